"""Names for addresses: made, listed, typed for an address, and shown in its place."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import ANN, BOB, Shell, address
from tests.fake_node import OWNER, FakeNode


def test_a_contact_is_added_listed_and_removed(shell: Shell) -> None:
    bob = {"name": "bob", "address": address(BOB)}
    assert shell.ask("contact", "list") == []
    assert shell.ask("contact", "add", "bob", address(BOB).upper()) == bob
    assert shell.ask("contact", "list") == [bob]
    assert address(BOB) in shell.type("contact", "list").stdout
    assert shell.ask("contact", "remove", "bob") == bob
    assert "no contacts yet" in shell.type("contact", "list").stdout


def test_contacts_work_without_a_node(lonely: Shell) -> None:
    bean = "bean1" + address(BOB)[5:]
    assert lonely.fail("contact", "add", "bob", bean, status=2)["code"] == "bad-address"
    assert lonely.type("contact", "list").exit_code == 0


def test_a_name_that_cannot_be_kept_is_refused(shell: Shell) -> None:
    assert shell.fail("contact", "add", "test1bob", address(BOB), status=2)["code"] == "bad-name"
    shell.ask("contact", "add", "bob", address(BOB))
    assert shell.fail("contact", "add", "Bob", address(ANN))["code"] == "contact-exists"
    assert shell.fail("contact", "remove", "bo")["hint"] == "did you mean bob?"


def test_what_takes_an_address_takes_a_name(shell: Shell, node: FakeNode) -> None:
    shell.ask("contact", "add", "bob", address(BOB))
    assert shell.ask("balance", "bob") == shell.ask("balance", address(BOB))
    assert shell.ask("history", "bob") == shell.ask("history", address(BOB))
    txid = shell.ask("send", "bob", "1")["txid"]
    sent = next(entry for entry in node.entries.values() if entry.txid.hex() == txid)
    assert sent.recipient == BOB.public


def test_an_unknown_name_is_never_guessed(shell: Shell, node: FakeNode) -> None:
    shell.ask("contact", "add", "bob", address(BOB))
    before = dict(node.entries)
    for words in (("send", "bobb", "1"), ("history", "Bob"), ("balance", "bobb")):
        error = shell.fail(*words, status=2)
        assert (error["code"], error["hint"]) == ("bad-address", "did you mean bob?")
    assert node.entries == before


def test_names_stand_in_the_place_of_addresses_for_people_and_json_keeps_addresses(shell: Shell) -> None:
    looks = (("history",), ("pending",), ("block", "4"), ("blocks",), ("balance", address(BOB)))
    before = [shell.ask(*words) for words in looks]
    shell.ask("contact", "add", "bob.the_barista", address(BOB))
    for words in looks:
        assert "bob.the_barista" in shell.type(*words, columns=160).stdout
    assert [shell.ask(*words) for words in looks] == before
    txid = before[0][1]["txid"]
    assert f"{address(BOB)} (bob.the_barista)" in shell.type("tx", txid, columns=160).stdout
    said = shell.type("send", "bob.the_barista", "1").stdout
    assert f"to {address(BOB)} (bob.the_barista)" in said


def test_a_broken_file_is_told_of_and_keeps_nobody_from_looking(shell: Shell, node: FakeNode) -> None:
    (node.folder / "contacts.toml").write_text("bob = \n")
    result = shell.type("history")
    assert result.exit_code == 0
    assert "contacts.toml:1:" in result.stderr.replace("\n", "")
    assert shell.ask("balance", address(BOB))["address"] == address(BOB)
    error = shell.fail("contact", "list", status=2)
    assert error["code"] == "bad-config"
    assert "contacts.toml:1:" in error["message"]
    assert shell.fail("send", "bob", "1", status=2)["code"] == "bad-config"


def test_a_new_network_can_give_to_a_contact(shell: Shell, tmp_path: Path) -> None:
    shell.ask("contact", "add", "bob", address(BOB))
    shell.ask("network", "new", "shop", "--allocate", "bob=5")
    assert address(BOB)[5:-6] in (tmp_path / "shop.toml").read_text()
    assert shell.fail("network", "new", "bar", "--allocate", "bobb=5", status=2)["code"] == "bad-address"


def test_ones_own_address_is_shown_with_its_name(shell: Shell) -> None:
    shell.ask("contact", "add", "till", address(OWNER))
    assert f"{address(OWNER)} (till)" in shell.type("status", columns=160).stdout
