"""QR codes as people ask for them: of an address, a contact, a sum to be paid, a receipt."""

from __future__ import annotations

import pytest

from node import proof_file
from node.ledger.address import encode_address
from node.receipts import make_receipt
from tests.cli.conftest import BOB, Shell, address
from tests.fake_node import OWNER, FakeNode


@pytest.fixture
def network(node: FakeNode) -> str:
    return node.chain.network_id.hex()[:16]


def test_without_an_address_it_is_the_owners(shell: Shell, network: str) -> None:
    assert shell.ask("qr") == {"uri": f"indelible:{address(OWNER)}?network={network}"}


def test_amount_and_memo_stand_in_the_link(shell: Shell, network: str) -> None:
    shell.ask("contact", "add", "bob", address(BOB))
    uri = f"indelible:{address(BOB)}?amount=7.50&memo=one%20coffee&network={network}"
    assert shell.ask("qr", "bob", "--amount", "7.5", "--memo", "one coffee") == {"uri": uri}


def test_it_is_drawn_with_the_link_below(shell: Shell) -> None:
    shown = shell.type("qr").stdout.splitlines()
    assert shown[-1] == shell.ask("qr")["uri"]
    assert len({len(line) for line in shown[:-1]}) == 1
    assert set("".join(shown[:-1])) == set(" ▀▄█")


def test_it_works_without_a_node(lonely: Shell) -> None:
    assert lonely.ask("qr")["uri"].startswith("indelible:bean1")  # no book here: the built-in network


def test_anothers_address_needs_no_wallet_of_ones_own(lonely: Shell, node: FakeNode) -> None:
    (node.folder / "wallets" / "default.json").unlink()
    bean = encode_address("bean", BOB.public)
    assert lonely.ask("qr", bean)["uri"].startswith(f"indelible:{bean}?")
    assert lonely.fail("qr")["code"] == "wallet-missing"


@pytest.mark.parametrize("name, start", [("code.svg", b"<?xml"), ("code.PNG", b"\x89PNG")])
def test_it_is_written_to_a_file(shell: Shell, node: FakeNode, name: str, start: bytes) -> None:
    path = node.folder / name
    assert shell.ask("qr", "--output", str(path))["file"] == str(path)
    assert path.read_bytes().startswith(start)


def test_a_receipt_is_named_by_its_entry_and_tip(shell: Shell, node: FakeNode, network: str) -> None:
    txid = shell.ask("history")[0]["txid"]
    path = node.folder / "receipt.json"
    receipt = proof_file.encode(make_receipt(node.book, node.parameters, bytes.fromhex(txid)))
    path.write_bytes(receipt)
    tip = node.top.hash.hex()
    uri = f"indelible-receipt:{txid}?tip={tip}&network={network}"
    assert shell.ask("qr", "--receipt", str(path)) == {"uri": uri}
    path.write_bytes(receipt.replace(b"00", b"01", 1))
    assert shell.fail("qr", "--receipt", str(path))["code"] == "receipt-refused"


@pytest.mark.parametrize(
    "words, status, code",
    [
        (["nobody"], 2, "bad-address"),
        (["--amount", "1,5"], 2, "bad-amount"),
        (["--memo", "x" * 257], 2, "entry-memo"),
        (["--output", "code.jpg"], 2, "bad-output"),
        (["--output", "no/such/folder/code.svg"], 1, "path"),
        (["--receipt", "none.json"], 1, "path"),
        (["--receipt", "none.json", "--amount", "1"], 2, "usage"),
    ],
)
def test_what_makes_no_code_is_refused_by_name(
    shell: Shell, words: list[str], status: int, code: str
) -> None:
    assert shell.fail("qr", *words, status=status)["code"] == code
