"""Adversaries that abuse compact blocks: short ids that lead astray, parts that never come, wrong ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from node.compact import compact_of
from node.ledger.block import decode_block, decode_coinbase, decode_header
from node.messages import (
    SHORT_ID_BYTES,
    BlockEntries,
    CompactBlock,
    GetBlockEntries,
    GetData,
    Hello,
    Kind,
    Message,
    NotFound,
)
from tests.building import Built
from tests.simulation.adversaries.party import Adversary
from tests.simulation.adversaries.script import Line, Script

_MOST: Final = 6


def with_parts(hello: Hello) -> Hello:
    """Return the greeting of one who passes blocks on by short ids."""
    return replace(hello, features=1)


def compact(block: Built) -> CompactBlock:
    """Return a block by its short ids, right or wrong as it is."""
    return compact_of(block.block, block.block.leaves()[1:])


def _find(me: Adversary) -> Built:
    """Mine a valid block of entries that nobody has heard of, as far as there are coins for them."""
    nonce = me.nonce_at(me.view.tip)
    count = 0 if nonce is None else 1 + me.dice.randrange(_MOST)
    block = me.build(me.view.tip, [me.entry((nonce or 0) + number) for number in range(count)])
    me.view.add(block)
    me.serves[block.hash] = block.raw
    me.shown = block
    return block


def wrong_short_ids(me: Adversary) -> Script:
    """Mines valid blocks and tells of them by short ids that are random, swapped, or all the same.

    Of what others have found it hands on copies that it has changed so, or whose coinbase it has, one or two
    of a block; and whoever asks for what is missing of one gets an answer late, out of turn, or none.

    Whoever cannot make the block of them asks for the whole of it, or makes it of another's copy, and takes
    it; nobody is charged for the short ids, neither it nor those who have passed them on.
    """
    questions: list[tuple[Line, GetBlockEntries]] = []

    def wrong(right: CompactBlock) -> CompactBlock:
        size = len(right.short_ids)
        return replace(
            right,
            short_ids=me.dice.choice(
                (
                    me.dice.randbytes(size),
                    right.short_ids[SHORT_ID_BYTES:] + right.short_ids[:SHORT_ID_BYTES],
                    right.short_ids[:SHORT_ID_BYTES] * (size // SHORT_ID_BYTES),
                )
            ),
        )

    def changed(right: CompactBlock) -> CompactBlock:
        if right.short_ids and me.dice.randrange(4):
            return wrong(right)
        coinbase = replace(decode_coinbase(right.coinbase), miner=me.wallet.public)
        return replace(right, coinbase=coinbase.encode())

    def find() -> None:
        block = _find(me)
        said = wrong(compact(block))
        for line in me.open_lines():
            me.say(line, said)
        me.did(f"short ids of block {block.height} {block.hash.hex()[:8]} that are another's")

    def hand_on(copy: CompactBlock, from_: Line) -> None:
        copies = [changed(copy) for _ in range(1 + me.dice.randrange(2))]
        for line in me.open_lines():
            if line is not from_:
                me.say(line, *copies)
        me.did(f"{len(copies)} changed copies of a block from {from_.host}")

    def answer_one() -> None:
        if questions:
            line, asked = questions.pop(me.dice.randrange(len(questions)))
            if me.dice.randrange(4):
                me.answer(line, asked)

    def answers(line: Line, message: Message) -> bool:
        match message:
            case CompactBlock():
                if me.view.get(decode_header(message.header).hash) is None:
                    hand_on(message, line)
            case GetBlockEntries():
                questions.append((line, message))
                me.later(me.dice.choice((1, 300, 1_500, 3_000)), answer_one)
                return True
        return False

    return Script(find=find, mines=True, greets=with_parts, answers=answers, wants_bodies=True)


def endless_parts(me: Adversary) -> Script:
    """Tells of block upon block on the tip, each with its work done, and hands out no part of any.

    What waits for parts is bounded; the nodes go on with what they have, and nobody is charged.
    """

    def act() -> None:
        for line in me.open_lines()[:3]:
            block = me.build(me.view.tip, [me.entry(number) for number in range(_MOST)])
            me.say(line, compact(block))
            me.did(f"parts of block {block.height} {block.hash.hex()[:8]} to {line.host}, and no more")

    def answers(_: Line, message: Message) -> bool:
        is_asked = isinstance(message, GetBlockEntries | GetData)
        return is_asked and me.dice.randrange(2) == 0

    return Script(act=act, every_ms=1_500, greets=with_parts, answers=answers)


def greedy_for_parts(me: Adversary) -> Script:
    """Asks for entries of every block that it hears of, of each more than once, and of some that are none.

    What it was not sent costs it a little each time, and a place that a block does not have costs it all.
    """

    def act() -> None:
        line = me.any_line()
        if line is None:
            return
        for block in me.view.branch(4):
            positions = tuple(sorted(me.dice.sample(range(1_000), 1 + me.dice.randrange(5))))
            me.say(line, *[GetBlockEntries(block.hash, positions)] * 2)
        me.say(line, GetBlockEntries(me.dice.randbytes(32), (0,)))
        me.did(f"asks {line.host} for entries of what it was not sent")

    return Script(act=act, every_ms=1_000, greets=with_parts)


def wrong_parts(me: Adversary) -> Script:
    """Mines valid blocks of entries that nobody has, and answers questions for them with something else.

    The blocks are taken all the same, whole. What could be another's doing costs it nothing; another number
    of entries than was asked for, and entries that nobody asked for, do.
    """

    def lie(line: Line, asked: GetBlockEntries) -> None:
        entries = decode_block(me.serves[asked.block_hash]).entries
        right = [entries[position] for position in asked.positions if position < len(entries)]
        lies: tuple[list[bytes], ...] = (
            right[1:],
            [*right, right[0]],
            right[::-1],
            [me.dice.randbytes(len(raw)) for raw in right],
            [me.entry(0).raw for _ in right],
        )
        said = me.dice.choice([one for one in lies if one and one != right])
        me.say(line, BlockEntries(asked.block_hash, tuple(said)))
        me.did(f"{len(said)} entries in the place of {len(right)} to {line.host}")

    def answers(line: Line, message: Message) -> bool:
        if not isinstance(message, GetBlockEntries) or message.block_hash not in me.serves:
            return False
        if me.dice.randrange(4):
            lie(line, message)
        else:
            me.say(line, NotFound(Kind.BLOCK, (message.block_hash,)))
        return True

    def find() -> None:
        block = _find(me)
        for line in me.open_lines():
            me.say(line, compact(block))

    def act() -> None:
        line = me.any_line()
        if line is not None and me.dice.randrange(4) == 0:
            me.say(line, BlockEntries(me.dice.randbytes(32), (me.entry(0).raw,)))
            me.did(f"entries that {line.host} has not asked for")

    return Script(
        act=act, every_ms=4_000, find=find, mines=True, greets=with_parts, answers=answers, wants_bodies=True
    )
