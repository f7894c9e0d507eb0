"""Bodies and headers: what says nothing about a header, and what condemns it and all its heirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from node import connecting
from node.ledger import codec
from node.ledger.entry import Entry
from node.ledger.errors import RuleBroken
from node.storage.port import Standing
from tests.building import NO_CHANGES, ChainBuilder, Changes
from tests.chaining import ANN, BOB, CEM, PEER, RICH, Node, Payer, sound


def test_another_body_behind_a_header_says_nothing_about_the_header(
    builder: ChainBuilder, node: Node
) -> None:
    block = builder.block(None, Payer(builder).pay(2), miner=BOB)
    other = builder.block(None, miner=CEM)
    header_bytes = len(b"\x94\xc4\x5c") + 92
    for body in (
        other.raw,
        builder.block(None, block.entries, miner=CEM).raw,
        builder.block(None, block.entries[:1], miner=BOB).raw,
    ):
        forged = block.raw[:header_bytes] + body[header_bytes:]
        node.headers(block)
        with pytest.raises(RuleBroken) as caught:
            node.chain.offer(forged, PEER)
        assert caught.value.rule.says_nothing_about_the_header
        assert node.standing(block) is Standing.HEADER
        assert not node.chain.has_body(node.record(block))
    with pytest.raises(RuleBroken):
        node.chain.offer(block.raw[:-1], PEER)
    node.give(block)
    assert node.is_at(block)
    assert node.condemned() == []


SMALL = replace(RICH, maximum_block_bytes=2_000)


def paid(
    builder: ChainBuilder,
    *,
    nonce: int = 0,
    timestamp_ms: int | None = None,
    fee: int | None = None,
    signed: bool = True,
) -> Entry:
    return builder.entry(ANN, BOB, 1_00, nonce=nonce, timestamp_ms=timestamp_ms, fee=fee, signed=signed)


Making = Callable[[ChainBuilder], Sequence[Entry | bytes]]
GENESIS_MS = SMALL.genesis_ms

BAD: tuple[tuple[str, Changes, Making], ...] = (
    ("extension-root", Changes(extension_root=bytes(31) + b"\1"), lambda _: ()),
    ("history-root", Changes(history_root=bytes(32)), lambda _: ()),
    ("entry-count", Changes(count=7), lambda _: ()),
    ("coinbase-height", Changes(coinbase_height=9), lambda _: ()),
    ("coinbase-amount", Changes(coinbase_amount=50_01), lambda _: ()),
    ("coinbase-amount", Changes(coinbase_amount=49_99), lambda _: ()),
    ("coinbase-encoding", Changes(first_leaf=codec.encode((1, 2, 3))), lambda _: ()),
    ("block-size", NO_CHANGES, lambda b: [paid(b, nonce=nonce) for nonce in range(15)]),
    ("entry-encoding", NO_CHANGES, lambda b: [paid(b).raw[:-1]]),
    ("entry-expired", NO_CHANGES, lambda b: [paid(b, timestamp_ms=GENESIS_MS - SMALL.lifetime_ms)]),
    ("entry-from-future", NO_CHANGES, lambda b: [paid(b, timestamp_ms=GENESIS_MS + 33_000)]),
    ("fee-too-low", NO_CHANGES, lambda b: [paid(b, fee=0)]),
    ("nonce-gap", NO_CHANGES, lambda b: [paid(b, nonce=1)]),
    ("nonce-used", NO_CHANGES, lambda b: [paid(b), paid(b)]),
    ("overspend", NO_CHANGES, lambda b: [b.entry(CEM, BOB, 60_00)]),
    ("entry-signature", NO_CHANGES, lambda b: [paid(b, signed=False)]),
    ("entry-signature", NO_CHANGES, lambda b: [paid(b), paid(b, nonce=1, signed=False)]),
    ("entry-signature", NO_CHANGES, lambda b: [paid(b, nonce=n, signed=n != 3) for n in range(5)]),
)


@pytest.mark.parametrize("rule, changes, entries", BAD, ids=lambda value: value if type(value) is str else "")
@pytest.mark.parametrize("first", ["the block", "its heirs"])
def test_a_block_that_breaks_a_rule_is_condemned_by_it_with_all_its_heirs(
    rule: str, changes: Changes, entries: Making, first: str
) -> None:
    builder = ChainBuilder(SMALL)
    node = Node(builder)
    good = builder.block(miner=CEM)
    bad = builder.block(good, entries(builder), changes=changes)
    heirs = builder.blocks(bad, 2)
    node.give(good)
    node.headers(heirs[-1])
    order = [*heirs, bad] if first == "its heirs" else [bad, *heirs]
    for block in order:
        node.body(block, origin=PEER + block.height)
    node.settle()
    assert node.condemned() == [(2, rule)]
    assert [node.record(block).rule for block in (bad, *heirs)] == [rule, *["condemned-parent"] * 2]
    assert node.is_at(good)
    assert node.chain.headers.best.hash == good.hash
    assert node.chain.held_bytes == 0
    assert sound(node.disk)
    # Later ones are refused at once, and its own bytes are of no more interest.
    with pytest.raises(RuleBroken) as caught:
        node.headers(builder.block(heirs[-1]))
    assert caught.value.rule == "condemned-parent"
    assert node.body(bad) is None
    # The tip goes on, also after a restart.
    better = builder.block(good, miner=BOB)
    node.give(better)
    assert node.is_at(better)
    again = Node(builder, node.disk)
    with pytest.raises(RuleBroken):
        again.headers(bad)
    again.give(builder.block(better))
    assert again.chain.tip.height == 3


def test_the_one_who_sent_the_body_is_named(builder: ChainBuilder, node: Node) -> None:
    bad = builder.block(None, [builder.entry(CEM, BOB, 1)])
    node.headers(bad)
    node.body(bad, origin=42)
    node.settle()
    (outcome,) = node.outcomes
    assert (outcome.origin, outcome.broken.position) == (42, 0)  # type: ignore[union-attr]  # condemned


def test_the_position_of_the_first_bad_signature_is_told(builder: ChainBuilder, node: Node) -> None:
    entries = [
        builder.entry(ANN, BOB, 1, nonce=nonce, signed=nonce not in (298, 577)) for nonce in range(600)
    ]
    bad = builder.block(None, entries)
    node.headers(bad)
    node.body(bad)
    node.advance()
    while node.asked:
        node.answer(len(node.asked) - 1)
    node.settle()
    (outcome,) = node.outcomes
    assert outcome.broken.position == 298  # type: ignore[union-attr]  # condemned


def test_a_bad_body_offered_while_a_block_is_half_connected_does_not_disturb_it(
    builder: ChainBuilder,
) -> None:
    node = Node(builder, is_verified=lambda _: True)
    payer = Payer(builder, signed=False)
    good = builder.block(None, payer.pay(1_600))
    bad = builder.block(good, changes=Changes(extension_root=bytes(31) + b"\1"))
    heir = builder.block(bad)
    rival = builder.block(None, miner=BOB, changes=Changes(coinbase_height=5))
    node.headers(good)
    node.body(good)
    node.save()
    half = 2_000 + 2 * connecting.SLICE
    assert node.advance(half)
    assert node.chain.tip.height == 0
    node.headers(heir, rival)
    node.body(heir)
    node.body(bad)
    node.body(rival)
    assert node.condemned() == [(2, "extension-root")]
    assert node.chain.headers.best.hash == good.hash
    node.settle()
    assert node.condemned() == [(2, "extension-root"), (1, "coinbase-height")]
    assert node.is_at(good)
    assert node.standing(heir) is Standing.CONDEMNED
