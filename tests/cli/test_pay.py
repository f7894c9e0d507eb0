"""Paying: what is signed and handed over, what is refused before it is, and two who pay at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from node import keyfile, wallet
from node.cli import signing
from node.events import Answer, Event, Submit
from node.ledger.entry import Entry
from node.ledger.signature import verify
from node.paths import wallets_folder
from tests.building import key
from tests.cli.conftest import BOB, Shell, address
from tests.fake_node import OWNER, FakeNode

QUICK = keyfile.Strength(operations=1, memory=8 << 10)
"""Of a passphrase that protects nothing."""


def entry_at(node: FakeNode, nonce: int, owner: bytes = OWNER.public) -> Entry:
    return node.entries[owner, nonce]


# ----------------------------------------------------------------------------------------------- send


def test_a_payment_is_signed_here_and_pending_there(shell: Shell, node: FakeNode) -> None:
    assert shell.ask("send", address(BOB), "7.5", "--memo", "two coffees ☕") == {
        "txid": entry_at(node, 3).txid.hex()
    }
    entry = entry_at(node, 3)
    assert (entry.sender, entry.recipient) == (OWNER.public, BOB.public)
    assert (entry.amount, entry.fee, entry.nonce, entry.memo) == (7_50, 1, 3, "two coffees ☕")
    message = b"indelible/entry/1\x00" + node.chain.network_id + b"\x98" + entry.raw[1:-66]
    assert verify(entry.sender, message, entry.signature)


def test_people_are_told_what_was_paid(shell: Shell, node: FakeNode) -> None:
    said = shell.type("send", address(BOB), "7.5", "--fee", "0.05").stdout
    assert "7.50 TEST" in said
    assert address(BOB) in said
    assert "0.05 TEST" in said
    assert f"txid {entry_at(node, 3).txid.hex()}\n" in said


def test_a_record_moves_no_money_and_oneself_may_be_paid(shell: Shell, node: FakeNode) -> None:
    shell.ask("send", address(OWNER), "0", "--memo", "key handed over")
    assert (entry_at(node, 3).amount, entry_at(node, 3).recipient) == (0, OWNER.public)


def test_another_wallet_may_pay(shell: Shell, node: FakeNode) -> None:
    wallet.create(wallets_folder(node.folder), "till", seed=BOB.seed)
    shell.ask("send", address(OWNER), "1", "--from", "till")
    assert entry_at(node, 0, BOB.public).amount == 1_00
    assert shell.fail("send", address(OWNER), "1", "--from", "nobody")["code"] == "wallet-missing"


@pytest.mark.parametrize(
    "words, status, code, said",
    [
        ([address(BOB)[:-1] + "q", "1"], 2, "bad-address", "checksum"),
        ([address(BOB).upper()[:20], "1"], 2, "bad-address", "missing"),
        (["bean1" + address(BOB)[5:], "1"], 2, "bad-address", "another network"),
        (["bob", "1"], 2, "bad-address", "not an address"),
        ([address(BOB), "-1"], 2, "bad-amount", "sign"),
        ([address(BOB), "-0.5"], 2, "bad-amount", "sign"),
        ([address(BOB), "1e9999"], 2, "bad-amount", "not an amount"),
        ([address(BOB), "nan"], 2, "bad-amount", "not an amount"),
        ([address(BOB), "inf"], 2, "bad-amount", "not an amount"),
        ([address(BOB), "0.001"], 2, "bad-amount", "finer"),
        ([address(BOB), "1,5"], 2, "bad-amount", "comma"),
        ([address(BOB), "90071992547409.92"], 2, "bad-amount", "too much"),
        ([address(BOB), "9" * 5_000], 2, "bad-amount", "too much"),
        ([address(BOB), "1", "--fee", "0.001"], 2, "bad-amount", "finer"),
        ([address(BOB), "1", "--memo", "x" * 257], 2, "entry-memo", "257 bytes"),
        ([address(BOB), "1", "--memo", "☕" * 86], 2, "entry-memo", "258 bytes"),
        ([address(BOB), "1", "--memo", "two\nlines"], 2, "entry-memo", "\\x0a"),
        ([address(BOB), "1", "--memo", "\udcff"], 2, "entry-memo", "UTF-8"),
        ([address(BOB), "200"], 1, "overspend", "14248"),
        ([address(BOB)], 2, "usage", "AMOUNT"),
        ([address(BOB), "1", "--mem", "x"], 2, "usage", "--memo"),
    ],
)
def test_what_cannot_be_paid_is_refused_by_name(
    shell: Shell, node: FakeNode, words: list[str], status: int, code: str, said: str
) -> None:
    error = shell.fail("send", *words, status=status)
    assert error["code"] == code
    assert said in error["message"]
    assert error["hint"]
    assert (OWNER.public, 3) not in node.entries


def test_a_fee_below_the_networks_is_refused_by_the_node(shell: Shell) -> None:
    assert shell.fail("send", address(BOB), "1", "--fee", "0")["code"] == "fee-too-low"
    assert shell.ask("send", address(BOB), "1", "--fee", "0.01")["txid"]


@pytest.mark.parametrize("dead", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32, b"\x02" + bytes(31)])
def test_a_key_that_nobody_can_have_is_not_paid(shell: Shell, node: FakeNode, dead: bytes) -> None:
    from node.ledger.address import encode_address  # noqa: PLC0415 - for this test alone

    error = shell.fail("send", encode_address("test", dead), "1", status=2)
    assert error["code"] == "bad-recipient"
    assert "lost" in error["message"]
    assert (OWNER.public, 3) not in node.entries


def test_whoever_has_no_coins_is_told_how_to_earn_some(shell: Shell, node: FakeNode) -> None:
    wallet.create(wallets_folder(node.folder), "poor", seed=key("poor").seed)
    error = shell.fail("send", address(BOB), "1", "--from", "poor")
    assert error["code"] == "overspend"
    assert error["hint"] == "`mine 1` earns 50.00 TEST"


def test_a_nonce_that_was_taken_meanwhile_is_signed_again(shell: Shell, node: FakeNode) -> None:
    """Somebody pays from the same wallet between the question for the nonce and the entry."""
    post = node.post
    rivals = iter(range(3, 6))

    def rival_first(event: Event) -> None:
        nonce = next(rivals, None)
        if isinstance(event, Submit) and nonce is not None:
            entry = node.chain.entry(OWNER, key("rival"), 1, nonce=nonce)
            node.entries[entry.sender, entry.nonce] = entry
        post(event)

    node.post = rival_first  # type: ignore[method-assign]
    assert shell.ask("send", address(BOB), "2", "--fee", "1")["txid"] == entry_at(node, 6).txid.hex()
    assert all(entry_at(node, nonce).recipient == key("rival").public for nonce in (3, 4, 5))


def test_signing_again_ends_after_five_times(shell: Shell, node: FakeNode) -> None:
    refusal = [{"code": "nonce-used", "message": "used", "hint": "sign it again"}]
    tried = []

    def refuse(event: Event) -> None:
        tried.append(event)
        assert node.control is not None
        assert isinstance(event, Submit)
        node.control.answered(Answer(event.request, refusal))

    node.post = refuse  # type: ignore[method-assign]
    result = shell.type("--json", "send", address(BOB), "1")
    assert (result.exit_code, len(tried)) == (1, 6)
    assert "nonce-used" in result.stderr


def test_payments_at_the_same_moment_all_go_through(shell: Shell, node: FakeNode) -> None:
    """Each with a higher fee than the one before: none may take another's place."""
    results = []

    def pay(number: int) -> None:
        import subprocess  # noqa: PLC0415 - threads of this test share no runner
        import sys  # noqa: PLC0415

        from tests.sources import ROOT  # noqa: PLC0415

        words = ["send", address(BOB), "1", "--fee", str(number), "--json"]
        command = [sys.executable, str(ROOT / "cli.py"), "--data-dir", str(node.folder), *words]
        results.append(subprocess.run(command, capture_output=True, text=True, check=False).returncode)

    threads = [threading.Thread(target=pay, args=[number]) for number in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0] * 5
    fees = sorted(entry_at(node, nonce).fee for nonce in range(3, 8))
    assert fees == [100, 200, 300, 400, 500]


def test_a_node_that_goes_away_leaves_the_txid_to_look_for(shell: Shell, node: FakeNode) -> None:

    def stop_at_once(event: Event) -> None:
        node.stop()

    node.post = stop_at_once  # type: ignore[method-assign]
    result = shell.type("send", address(BOB), "1")
    assert result.exit_code == 3
    assert "look with `tx " in result.stderr


# --------------------------------------------------------------------------------------- passphrases


@pytest.fixture
def safe(node: FakeNode) -> None:
    """An encrypted wallet with Bob's key."""
    wallet.create(wallets_folder(node.folder), "safe", "open sesame", BOB.seed, QUICK)


@pytest.mark.usefixtures("safe")
def test_a_passphrase_is_read_from_a_file(shell: Shell, node: FakeNode, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("open sesame\n")
    shell.ask("send", address(OWNER), "1", "--from", "safe", "--passphrase-file", str(secret))
    assert entry_at(node, 0, BOB.public).amount == 1_00


@pytest.mark.usefixtures("safe")
def test_a_passphrase_is_asked_for_where_there_is_a_terminal(
    shell: Shell, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "_is_terminal", lambda: True)
    result = shell.type("send", address(OWNER), "1", "--from", "safe", typed="open sesame\n")
    assert result.exit_code == 0
    assert "Passphrase of wallet safe" in result.stderr
    assert "sesame" not in result.stdout + result.stderr
    assert entry_at(node, 0, BOB.public).amount == 1_00


@pytest.mark.usefixtures("safe")
@pytest.mark.parametrize(
    "content, code",
    [("wrong", "wrong-passphrase"), (b"\xff\xff", "path"), (None, "path"), ("x" * 5_000, "path")],
)
def test_a_passphrase_that_does_not_open_is_refused(
    shell: Shell, node: FakeNode, tmp_path: Path, content: str | bytes | None, code: str
) -> None:
    secret = tmp_path / "passphrase"
    if content is not None:
        secret.write_bytes(content.encode() if isinstance(content, str) else content)
    error = shell.fail("send", address(OWNER), "1", "--from", "safe", "--passphrase-file", str(secret))
    assert error["code"] == code
    assert (BOB.public, 0) not in node.entries


@pytest.mark.usefixtures("safe")
def test_where_nobody_can_be_asked_the_file_is_named(shell: Shell) -> None:
    error = shell.fail("send", address(OWNER), "1", "--from", "safe")
    assert error["code"] == "wallet-locked"
    assert "--passphrase-file" in error["hint"]


# ----------------------------------------------------------------------------------------- bump, cancel


def test_a_pending_entry_is_bumped_and_stays_what_it_was(shell: Shell, node: FakeNode) -> None:
    old = entry_at(node, 2)
    assert shell.ask("bump", old.txid.hex()[:12], "--fee", "0.05") == {"txid": entry_at(node, 2).txid.hex()}
    new = entry_at(node, 2)
    assert (old.fee, new.fee) == (1, 5)
    assert old._replace(fee=0, signature=b"", raw=b"", txid=b"") == new._replace(
        fee=0, signature=b"", raw=b"", txid=b""
    )


def test_a_bump_that_offers_too_little_is_refused_by_the_node(shell: Shell, node: FakeNode) -> None:
    error = shell.fail("bump", entry_at(node, 2).txid.hex(), "--fee", "0.01")
    assert error["code"] == "fee-too-low-to-replace"
    assert shell.fail("bump", entry_at(node, 2).txid.hex(), status=2)["code"] == "usage"


@pytest.mark.parametrize("old_fee, new_fee", [(1, 2), (10, 11), (11, 13), (19, 21), (20, 22)])
def test_a_pending_entry_is_cancelled_for_the_least_that_replaces_it(
    shell: Shell, node: FakeNode, old_fee: int, new_fee: int
) -> None:
    old = node.chain.entry(OWNER, BOB, 1_00, nonce=2, fee=old_fee)
    node.entries[OWNER.public, 2] = old
    shell.ask("cancel", old.txid.hex())
    new = entry_at(node, 2)
    assert (new.recipient, new.amount, new.fee, new.nonce, new.memo) == (OWNER.public, 0, new_fee, 2, "")


def test_only_what_is_pending_and_ones_own_is_replaced(shell: Shell, node: FakeNode) -> None:
    confirmed = shell.ask("block", "4")["transactions"][0]["txid"]
    assert shell.fail("cancel", confirmed)["code"] == "already-confirmed"
    assert shell.fail("bump", confirmed, "--fee", "1")["code"] == "already-confirmed"
    assert shell.fail("cancel", "00" * 32)["code"] == "not-pending"
    assert shell.fail("cancel", "nonsense", status=2)["code"] == "bad-txid"
    foreign = node.chain.entry(key("cleo"), BOB, 0, nonce=0)
    node.entries[foreign.sender, 0] = foreign
    assert shell.fail("cancel", foreign.txid.hex())["code"] == "not-yours"
