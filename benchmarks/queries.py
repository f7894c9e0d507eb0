"""`tx` and `history` through the local socket of a node with a long book: `python -m benchmarks.queries`.

Each question is about an entry, or an account, drawn among all, one after the other over one connection; the
figure is the 99th percentile, the median stands in the details. The limit is `status` over the same
connection, which reads nothing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from typing import Any, Final

from benchmarks import books
from benchmarks.nodes import Node, lab
from benchmarks.options import parser_of
from benchmarks.report import Result, Series, emit, percentile
from node.ledger.address import encode_address
from node.ledger.block import decode_block
from node.ledger.entry import decode_entry

ENTRIES: Final = 1_000_000
ASKED: Final = 1_000
"""Of each kind, a run."""


def measure(
    entries: int = ENTRIES, accounts: int = books.ACCOUNTS, runs: int = 5, asked: int = ASKED
) -> list[Result]:
    """Return milliseconds of `tx` and of `history`, 99th percentiles."""
    book = books.book_of(entries, accounts)
    dice = random.Random(3)
    took: dict[str, list[float]] = {"tx": [], "history": []}
    middles: dict[str, list[float]] = {"tx": [], "history": []}
    plain: list[float] = []
    with lab(book.parameters) as nodes:
        node = nodes.start(nodes.folder(book.blocks))
        for _ in range(runs):
            plain.append(percentile(_asked(node, "status", ({} for _ in range(asked))), 0.99))
            drawn = [_drawn(book, dice) for _ in range(asked)]
            for name, found in (
                ("tx", _asked(node, "tx", [{"txid": txid} for txid, _ in drawn])),
                ("history", _asked(node, "history", [{"address": address} for _, address in drawn])),
            ):
                took[name].append(percentile(found, 0.99))
                middles[name].append(percentile(found, 0.5))
        node.stop()
    return [
        Result(
            benchmark=f"queries {name}",
            unit="ms",
            figure=Series(f"99 of 100 answers to `{name}`", tuple(round(ms, 3) for ms in took[name])),
            limit=Series("99 of 100 answers to `status`", tuple(round(ms, 3) for ms in plain)),
            details={
                "entries": entries,
                "accounts": accounts,
                "asked": asked,
                "median_ms": round(percentile(middles[name], 0.5), 3),
            },
        )
        for name in took
    ]


def _drawn(book: books.Book, dice: random.Random) -> tuple[str, str]:
    """Return the id of some entry, and the address of its recipient."""
    entry = decode_entry(dice.choice(decode_block(dice.choice(book.blocks)).entries))
    return entry.txid.hex(), encode_address(book.parameters.prefix, entry.recipient)


def _asked(node: Node, method: str, questions: Iterable[dict[str, Any]]) -> list[float]:
    """Return what each answer took, in milliseconds."""
    found = []
    for question in questions:
        began = time.perf_counter()
        node.client.call(method, **question)
        found.append((time.perf_counter() - began) * 1e3)
    return found


def main() -> None:
    """Measure and print."""
    options = parser_of(
        "queries", "Measure questions.", entries=ENTRIES, accounts=books.ACCOUNTS, asked=ASKED
    ).parse_args()
    for result in measure(options.entries, options.accounts, options.runs, options.asked):
        emit(result)


if __name__ == "__main__":
    main()
