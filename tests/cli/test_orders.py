"""Payment links and corrections, as `send` takes them."""

from __future__ import annotations

import pytest

from node.ledger.entry import Entry
from tests.building import ChainBuilder
from tests.cli.conftest import BOB, Shell, address
from tests.fake_node import OWNER, FakeNode


def sent(node: FakeNode, txid: str) -> Entry:
    return next(entry for entry in node.entries.values() if entry.txid.hex() == txid)


def link(node: FakeNode, query: str = "amount=7.50&memo=two%20coffees") -> str:
    return f"indelible:{address(BOB)}?{query}&network={node.chain.network_id.hex()[:16]}"


def test_a_payment_link_says_whom_how_much_and_what_for(shell: Shell, node: FakeNode) -> None:
    entry = sent(node, shell.ask("send", link(node))["txid"])
    assert (entry.recipient, entry.amount, entry.memo) == (BOB.public, 7_50, "two coffees")
    entry = sent(node, shell.ask("send", link(node, "memo=tip"), "0.5")["txid"])
    assert (entry.amount, entry.memo) == (50, "tip")
    entry = sent(node, shell.ask("send", link(node, "amount=1"), "--memo", "mine")["txid"])
    assert entry.memo == "mine"


@pytest.mark.parametrize(
    "words, code",
    [
        (["indelible:test1zzz?amount=1"], "bad-link"),
        (["LINK", "9"], "usage"),
        (["LINK", "--memo", "another"], "usage"),
        (["OPEN"], "usage"),
        (["FOREIGN"], "bad-link"),
        ([], "usage"),
    ],
)
def test_a_link_is_never_guessed_at_or_overruled(
    shell: Shell, node: FakeNode, words: list[str], code: str
) -> None:
    links = {
        "LINK": link(node),
        "OPEN": link(node, "memo=x"),
        "FOREIGN": f"indelible:{address(BOB)}?amount=1&network={'0' * 16}",
    }
    typed = [links.get(word, word) for word in words]
    result = shell.type("--json", "send", *typed)
    assert result.exit_code != 0
    assert f'"{code}"' in result.stderr
    assert len(node.entries) == 1


def test_a_correction_goes_to_the_other_party_with_a_reference(shell: Shell, node: FakeNode) -> None:
    paid = next(one for one in shell.ask("history") if one["direction"] == "out")
    entry = sent(node, shell.ask("send", "--corrects", paid["txid"][:10], "--memo", "was tea")["txid"])
    assert (entry.sender, entry.recipient, entry.amount) == (OWNER.public, BOB.public, 0)
    assert entry.memo == f"corrects {paid['txid']} was tea"
    refund = shell.ask("send", "--corrects", paid["txid"], "1.50")
    assert sent(node, refund["txid"]).amount == 1_50
    again = shell.ask("send", address(BOB), "2", "--corrects", paid["txid"])
    assert sent(node, again["txid"]).amount == 2_00
    assert sent(node, again["txid"]).memo == f"corrects {paid['txid']}"


def test_who_got_the_payment_refunds_the_one_who_made_it(
    shell: Shell, node: FakeNode, chain: ChainBuilder
) -> None:
    got = chain.entry(BOB, OWNER, 3_00, nonce=0)
    node.entries[got.sender, got.nonce] = got
    shell.ask("contact", "add", "bob", address(BOB))
    entry = sent(node, shell.ask("send", "bob", "3", "--corrects", got.txid.hex())["txid"])
    assert (entry.recipient, entry.amount) == (BOB.public, 3_00)


def test_a_correction_that_would_not_count_is_not_signed(
    shell: Shell, node: FakeNode, chain: ChainBuilder
) -> None:
    foreign = chain.entry(BOB, BOB, 0, nonce=0)
    node.entries[foreign.sender, foreign.nonce] = foreign
    assert shell.fail("send", "--corrects", foreign.txid.hex())["code"] == "not-yours"
    reward = shell.ask("history", "--limit", "9")[-1]
    assert shell.fail("send", "--corrects", reward["txid"])["code"] == "not-found"
    assert shell.fail("send", "--corrects", "00" * 32)["code"] == "not-found"
    paid = next(one for one in shell.ask("history") if one["direction"] == "out")
    wrong = shell.fail("send", address(OWNER), "1", "--corrects", paid["txid"])
    assert wrong["code"] == "wrong-recipient"
    long = shell.fail("send", "--corrects", paid["txid"], "--memo", "x" * 183, status=2)
    assert long["code"] == "entry-memo"
    assert len(node.entries) == 2
