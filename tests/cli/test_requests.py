"""Payment requests as they are typed, waited for and listed."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from node.cli import requests as commands
from node.payment_uri import Payment, Scale, parse_payment
from tests.building import ChainBuilder
from tests.cli.conftest import BOB, Shell, address
from tests.fake_node import OWNER, FakeNode


def pay(node: FakeNode, amount: int, memo: str, *, nonce: int = 0) -> str:
    at = node.top.timestamp_ms + 600
    entry = node.chain.entry(BOB, OWNER, amount, nonce=nonce, memo=memo, timestamp_ms=at)
    node.entries[entry.sender, entry.nonce] = entry
    return entry.txid.hex()


@pytest.fixture(autouse=True)
def _now(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands half a second after the tip of the fake node's book."""
    monkeypatch.setattr(commands, "now_ms", lambda: node.top.timestamp_ms + 500)


def have_a_peer(node: FakeNode) -> None:
    node.peer_list = [{"height": 100}]


def asked(shell: Shell, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = shell.ask("request", *words)
    return found


def test_a_request_is_a_link_with_address_amount_and_memo(shell: Shell, node: FakeNode) -> None:
    found = asked(shell, "7.50", "--memo", "two coffees")
    assert set(found) == {
        *("name", "state", "address", "amount", "memo", "created_ms", "expires_ms", "txid", "settled", "uri"),
    }
    scale = Scale(node.chain.network_id, "test", 2)
    assert parse_payment(found["uri"], scale) == Payment(OWNER.public, 7_50, "two coffees")
    assert (found["state"], found["txid"], found["settled"]) == ("open", None, None)
    assert found["expires_ms"] - found["created_ms"] == 3_600_000
    assert (node.folder / "requests.json").stat().st_mode & 0o077 == 0


def test_without_a_memo_a_number_tells_it_from_others(shell: Shell) -> None:
    one, two = asked(shell, "7.50"), asked(shell, "7.50")
    assert one["memo"] == f"request {one['name']}"
    assert one["memo"] != two["memo"]


def test_a_request_can_be_for_another_wallet_or_a_contact(shell: Shell) -> None:
    till = shell.ask("wallet", "new", "till")["address"]
    shell.ask("contact", "add", "bob", address(BOB))
    assert asked(shell, "1", "--to", "till")["address"] == till
    assert asked(shell, "1", "--to", "bob")["address"] == address(BOB)
    assert shell.fail("request", "1", "--to", "nobody", status=2)["code"] == "bad-address"


@pytest.mark.parametrize("words", [["0"], ["-1"], ["x"], ["1", "--memo", "x" * 257], ["1", "--minutes", "0"]])
def test_what_nobody_can_pay_is_not_asked_for(shell: Shell, words: list[str]) -> None:
    assert shell.type("--json", "request", *words).exit_code in (1, 2)
    assert shell.ask("requests") == []


def test_a_payment_is_matched_once_and_shown_with_its_verdict(shell: Shell, node: FakeNode) -> None:
    asked(shell, "7.50", "--memo", "coffee")
    asked(shell, "7.50", "--memo", "coffee")
    txid = pay(node, 7_50, "coffee")
    newer, older = shell.ask("requests")
    assert (older["state"], older["txid"], newer["state"]) == ("paid", txid, "open")
    assert older["settled"]["verdict"] == "no", "nobody else has heard of it"
    have_a_peer(node)
    assert shell.ask("requests")[1]["settled"]["verdict"] == "likely"
    node.mine()
    second = pay(node, 8_00, "coffee", nonce=1)
    newer, older = shell.ask("requests")
    assert (older["txid"], newer["txid"]) == (txid, second)


def test_a_payment_that_was_replaced_leaves_the_request_open(shell: Shell, node: FakeNode) -> None:
    asked(shell, "7.50", "--memo", "coffee")
    pay(node, 7_50, "coffee")
    assert shell.ask("requests")[0]["state"] == "paid"
    pay(node, 0, "changed my mind")
    assert shell.ask("requests")[0]["state"] == "open"


def test_a_settled_payment_is_final(shell: Shell, node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    have_a_peer(node)
    asked(shell, "7.50", "--memo", "coffee")
    txid = pay(node, 7_50, "coffee")
    for _ in range(7):
        node.mine()
    assert shell.ask("requests")[0]["settled"]["verdict"] == "yes"
    monkeypatch.setattr(commands, "read_span", lambda *_: pytest.fail("looked for again"))
    assert shell.ask("requests")[0]["txid"] == txid


def test_an_expired_request_says_so(shell: Shell, node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(shell, "7.50")
    later = node.top.timestamp_ms + 500 + 3_600_001
    monkeypatch.setattr(commands, "now_ms", lambda: later)
    assert shell.ask("requests")[0]["state"] == "expired"


def test_waiting_ends_when_it_is_paid_or_when_the_time_is_over(shell: Shell, node: FakeNode) -> None:
    have_a_peer(node)
    error = shell.fail("request", "7.50", "--memo", "tea", "--wait", "0.1")
    assert error["code"] == "not-paid"
    paying = threading.Timer(0.2, lambda: pay(node, 1_00, "cake", nonce=9))
    paying.start()
    found = asked(shell, "1", "--memo", "cake", "--wait", "60")
    paying.join()
    assert (found["state"], found["settled"]["verdict"]) == ("paid", "likely")
    pay(node, 2_00, "pie", nonce=10)
    said = shell.type("request", "2", "--memo", "pie", "--wait", "60").stdout
    assert "PAID, settled: likely" in said
    assert "indelible:test1" in said


def test_people_see_a_code_and_a_list_that_fits(shell: Shell, chain: ChainBuilder) -> None:
    assert chain.parameters.symbol == "TEST"
    said = shell.type("request", "7.50", "--memo", "x", columns=120).stdout
    assert "█" in said
    assert said.rstrip().splitlines()[-1].startswith("indelible:test1")
    for columns in (40, 80, 120):
        listed = shell.type("requests", columns=columns).stdout
        assert "7.50" in listed
        assert "open" in listed
        assert "no requests yet" not in listed


def test_a_file_past_use_is_named(shell: Shell, node: FakeNode) -> None:
    (node.folder / "requests.json").write_text("{")
    assert shell.fail("requests", status=2)["code"] == "bad-requests"
