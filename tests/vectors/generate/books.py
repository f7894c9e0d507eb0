"""Three small books that are right, each in one way that matters. Touches nothing."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.vectors.generate.book import Made, Payment, block, genesis, pay
from tests.vectors.generate.keys import key

ANN, BOB, CAT = key("ann"), key("bob"), key("cat")


def entry(parent: Made, sender: Any, recipient: Any, amount: int, nonce: int, **rest: Any) -> Payment:  # noqa: ANN401 - a key pair, or any 32 bytes; fields of an entry
    """Return an entry for the child of `parent`, signed a second after it."""
    to = recipient if isinstance(recipient, bytes) else recipient.public
    fields = {"timestamp_ms": parent.timestamp_ms + 1_000, **rest}
    return pay(genesis(parent.network).hash, sender, to, amount, nonce=nonce, **fields)


@cache
def easy_book() -> tuple[Made, ...]:
    """Return six blocks: rewards, payments, records, a payment to oneself, a long pause, blocks in haste."""
    e1 = block("e1", genesis("easy"), miner=ANN.public, note="the first")
    e2 = block(
        "e2",
        e1,
        [
            entry(e1, ANN, BOB, 1_000, 0, fee=3, memo="two espressos"),
            entry(e1, ANN, ANN, 500, 1, fee=2, memo="to myself"),
            # Bob spends what he was paid two entries before, and Cat opens her account with a record.
            entry(e1, BOB, CAT, 600, 0, memo="beans"),
            entry(e1, CAT, bytes(32), 0, 0, memo="a pure record"),
        ],
        miner=CAT.public,
    )
    e3 = block("e3", e2, after_ms=1)
    e4 = block("e4", e3, [entry(e3, CAT, BOB, 599, 1)], after_ms=1, miner=bytes(32))
    # 160 intervals count of this pause, the other 840 seconds do not.
    e5 = block(
        "e5", e4, [entry(e4, BOB, ANN, 1, 1, fee=997, timestamp_ms=e4.timestamp_ms)], after_ms=1_000_000
    )
    e6 = block("e6", e5, [entry(e5, ANN, CAT, 2**10, 2)], note="\u2615" * 85, miner=ANN.public)
    return e1, e2, e3, e4, e5, e6


@cache
def steep_book() -> tuple[Made, ...]:
    """Return seven blocks on a network with allocations, halvings every 2 blocks, and maturity 2."""
    made = [block("s1", genesis("steep"), [entry(genesis("steep"), ANN, CAT, 7, 0, fee=0)])]
    for number in range(2, 8):
        # Faster than the interval: the difficulty doubles with each half-life (a second here) ahead.
        entries = [entry(made[-1], BOB, ANN, 2**number, number - 2, fee=number)]
        made.append(block(f"s{number}", made[-1], entries, after_ms=500))
    return tuple(made)


@cache
def branches() -> tuple[Made, ...]:
    """Return two branches on s1: four slow blocks, and three in haste that carry more work than the four."""
    trunk = steep_book()[0]
    slow = [trunk]
    for number in range(1, 5):
        entries = [entry(slow[-1], BOB, CAT, 100 + number, number - 1, fee=1)]
        slow.append(block(f"slow{number}", slow[-1], entries, after_ms=1_000, miner=CAT.public))
    fast = [trunk]
    for number in range(1, 4):
        entries = [entry(fast[-1], BOB, ANN, 200 + number, number - 1, fee=2)]
        fast.append(block(f"fast{number}", fast[-1], entries, after_ms=1, miner=ANN.public))
    return (*slow[1:], *fast[1:])


def filled(name: str, parent: Made, size: int) -> Made:
    """Return a block of exactly `size` bytes: entries with memos, a few without, and a note for the rest."""
    entries: list[Payment] = []
    for memo, rest in (("m" * 200, 500), ("", 200)):
        while len(block(name, parent, entries).raw) < size - rest:
            entries.append(entry(parent, BOB, CAT, 1, len(entries), memo=memo, fee=0))
    made = (block(name, parent, entries, note="n" * length) for length in range(257))
    return next(candidate for candidate in made if len(candidate.raw) == size)
