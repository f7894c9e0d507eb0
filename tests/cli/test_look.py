"""Commands that read the book: the fields of their JSON, and tables that fit the terminal."""

from __future__ import annotations

import pytest

from node.cli import look
from node.cli.text import printable
from tests.building import key
from tests.cli.conftest import BOB, Shell, address
from tests.fake_node import OWNER, FakeNode

TX = {
    *("txid", "status", "height", "block", "position", "confirmations", "timestamp_ms"),
    *("block_timestamp_ms", "sender", "recipient", "amount", "fee", "nonce", "memo"),
}
BLOCK = {
    *("height", "hash", "previous", "timestamp_ms", "bits", "work", "miner", "reward", "fees"),
    *("size", "transactions"),
}
NO_CORRECTIONS: dict[str, object] = {"corrects": [], "corrected_by": [], "corrections_complete": True}
WIDTHS = (40, 80, 120)


def widest(text: str) -> int:
    """Return the longest line with blanks: ids and addresses stand alone, for the terminal to wrap."""
    return max((len(line.rstrip()) for line in text.splitlines() if " " in line.strip()), default=0)


# ----------------------------------------------------------------------------------------------- JSON


def test_blocks_have_the_fields_of_the_table(shell: Shell) -> None:
    found = shell.ask("blocks")
    assert [block["height"] for block in found] == [4, 3, 2, 1, 0]
    assert all(set(block) == BLOCK for block in found)
    assert found[0]["transactions"] == 2
    assert found[0]["work"] == "0x8"


def test_blocks_take_a_limit_and_a_height(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [block["height"] for block in shell.ask("blocks", "--limit", "2")] == [4, 3]
    assert [block["height"] for block in shell.ask("blocks", "--before", "2")] == [1, 0]
    assert shell.ask("blocks", "--before", "0") == []
    monkeypatch.setattr(look, "_BLOCKS", 2)  # in parts
    assert [block["height"] for block in shell.ask("blocks", "--limit", "100")] == [4, 3, 2, 1, 0]
    assert [block["height"] for block in shell.ask("blocks", "--limit", "3")] == [4, 3, 2]


def test_a_block_is_shown_by_height_or_hash_with_its_entries(shell: Shell) -> None:
    found = shell.ask("block", "4")
    assert set(found) == BLOCK
    assert [set(entry) for entry in found["transactions"]] == [TX, TX]
    assert shell.ask("block", found["hash"]) == found
    assert shell.ask("block", found["hash"].upper()) == found


def test_a_tx_is_shown_whatever_became_of_it(shell: Shell, node: FakeNode) -> None:
    confirmed = shell.ask("block", "4")["transactions"][0]
    found = shell.ask("tx", confirmed["txid"])
    assert found.pop("settled")["verdict"] == "likely", "nobody else has a copy"
    assert found == confirmed | NO_CORRECTIONS
    (pending,) = shell.ask("pending")
    found = shell.ask("tx", pending["txid"])
    assert found.pop("settled")["rule"] == "unheard"
    assert found == pending | NO_CORRECTIONS
    assert (set(pending), pending["status"], pending["memo"]) == (TX, "pending", "later")
    unknown = shell.ask("tx", "00" * 32)
    assert (set(unknown), unknown["status"]) == (TX | {"settled"} | set(NO_CORRECTIONS), "unknown")
    reward = shell.ask("history", "--limit", "5")[-1]
    assert shell.ask("tx", reward["txid"])["recipient"] == address(OWNER)


def test_the_first_digits_are_enough_for_what_is_ones_own(shell: Shell) -> None:
    (pending,) = shell.ask("pending")
    assert shell.ask("tx", pending["txid"][:10])["txid"] == pending["txid"]
    assert shell.ask("tx", pending["txid"][:10] + "…")["txid"] == pending["txid"]  # as tables show it
    assert shell.fail("tx", "abcdef123456")["code"] == "not-found"


def test_pending_entries_are_read_in_parts(
    shell: Shell, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "_ITEMS", 2)
    for nonce in range(3, 8):
        entry = node.chain.entry(OWNER, BOB, nonce, nonce=nonce)
        node.entries[entry.sender, entry.nonce] = entry
    assert len(shell.ask("pending")) == 6


def test_a_history_is_ones_own_or_anybodys(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    own = shell.ask("history")
    assert all(set(item) == TX | {"direction", "balance"} for item in own)
    assert [item["direction"] for item in own] == ["self", "out", "reward", "reward", "reward"]
    assert [item["balance"] for item in own] == [142_48, 142_49, 150_00, 100_00, 50_00]
    assert [item["direction"] for item in shell.ask("history", address(BOB))] == ["reward", "in"]
    assert shell.ask("history", address(key("nobody"))) == []
    monkeypatch.setattr(look, "_ITEMS", 2)  # in parts
    assert shell.ask("history") == own
    assert shell.ask("history", "--limit", "3") == own[:3]


def test_a_balance_is_ones_own_or_anybodys(shell: Shell) -> None:
    expected = {"address": address(OWNER), "confirmed": 142_48, "pending": -1_01, "next_nonce": 3}
    assert shell.ask("balance") == expected
    assert shell.ask("balance", address(BOB))["pending"] == 1_00


def test_tips_have_the_fields_of_the_table(shell: Shell) -> None:
    (tip,) = shell.ask("tips")
    assert set(tip) == {"hash", "height", "branch_length", "status"}
    assert (tip["height"], tip["branch_length"], tip["status"]) == (4, 0, "active")


# ------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "words, status, code",
    [
        (["block", "5"], 1, "not-found"),
        (["block", "00" * 32], 1, "not-found"),
        (["block", "-1"], 2, "usage"),
        (["block", "1e3"], 2, "bad-block"),
        (["block", "99999999999"], 2, "bad-block"),
        (["block", "4294967296"], 2, "invalid-params"),
        (["block", "\x1b[2J"], 2, "bad-block"),
        (["block"], 2, "usage"),
        (["tx", "xyz"], 2, "bad-txid"),
        (["tx", "ab"], 2, "bad-txid"),
        (["tx", "00" * 33], 2, "bad-txid"),
        (["tx", ""], 2, "bad-txid"),
        (["blocks", "--limit", "0"], 2, "usage"),
        (["blocks", "--limit", "many"], 2, "usage"),
        (["blocks", "--before", "-3"], 2, "usage"),
        (["balance", "test1nonsense"], 2, "bad-address"),
        (["balance", address(BOB)[:-1] + "q"], 2, "bad-address"),
        (["balance", "bean1" + address(BOB)[5:]], 2, "bad-address"),
        (["history", ""], 2, "bad-address"),
        (["history", address(BOB), "more"], 2, "usage"),
        (["pending", "now"], 2, "usage"),
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(
    shell: Shell, words: list[str], status: int, code: str
) -> None:
    error = shell.fail(*words, status=status)
    assert error["code"] == code
    assert error["message"]
    assert error["hint"]


# ----------------------------------------------------------------------------------------- for people


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize(
    "words", [["pending"], ["blocks"], ["block", "4"], ["history"], ["balance"], ["tips"], ["tx", "@"]]
)
def test_every_table_fits_the_terminal(shell: Shell, words: list[str], columns: int) -> None:
    txid = shell.ask("pending")[0]["txid"]
    result = shell.type(*[txid if word == "@" else word for word in words], columns=columns)
    assert (result.exit_code, result.stderr) == (0, "")
    assert widest(result.stdout) <= columns


def test_people_read_decimal_amounts_local_times_and_memos(shell: Shell) -> None:
    shown = shell.type("history", columns=120).stdout
    assert "time +00:00" in shown
    assert "2023-11-14 22:13:21" in shown
    assert "-7.51" in shown
    assert "142.49" in shown
    assert "TEST" in shown
    assert "coffee [bold]x[/] ☕ 日本" in shown


def test_a_narrow_terminal_gets_all_of_it_line_by_line(shell: Shell) -> None:
    shown = shell.type("history", "--limit", "2", columns=40).stdout
    for word in ("coffee", "142.48", "txid", "block"):
        assert word in shown


def test_times_are_of_the_local_zone(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    import time  # noqa: PLC0415 - for this test alone

    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        assert "2023-11-15 03:58:21 +05:45" in shell.type("tx", shell.ask("pending")[0]["txid"]).stdout
    finally:
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()


def test_nothing_is_said_to_be_there_where_nothing_is(shell: Shell, node: FakeNode) -> None:
    node.entries.clear()
    assert shell.type("pending").stdout.strip() == "nothing is pending"
    assert shell.type("history", address(key("nobody"))).stdout.strip() == "nothing yet"


def test_what_others_wrote_cannot_rule_the_terminal(shell: Shell, node: FakeNode) -> None:
    memo = "\u202eevil\u2066 [red]\u200b\u2028 \U000e0041"
    entry = node.chain.entry(OWNER, BOB, 5, nonce=3, memo=memo)
    node.entries[entry.sender, entry.nonce] = entry
    for words in (["pending"], ["tx", entry.txid.hex()]):
        shown = shell.type(*words, columns=200).stdout
        assert printable(memo) in shown
        assert not set(memo) & set(shown) - set("evil [red]")


def test_a_correction_is_shown_beside_what_it_corrects(shell: Shell) -> None:
    paid = next(one for one in shell.ask("history") if one["direction"] == "out")
    correction = shell.ask("send", "--corrects", paid["txid"], "--memo", "was tea")
    assert [one["txid"] for one in shell.ask("tx", paid["txid"])["corrected_by"]] == [correction["txid"]]
    assert [one["txid"] for one in shell.ask("tx", correction["txid"])["corrects"]] == [paid["txid"]]
    said = " ".join(shell.type("tx", paid["txid"], columns=120).stdout.split())
    assert f"corrected by {correction['txid'][:10]}… pending 0.00 TEST was tea" in said
    shell.ask("mine")
    assert f"corrects {paid['txid'][:10]}… was tea" in shell.type("history", columns=120).stdout
