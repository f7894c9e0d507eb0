"""What the disk's thread pays for an entry, and how long the file gets: `python -m benchmarks.store`.

Blocks of 2,000 made-up entries among 10,000 accounts (unsigned: a writer does not look) go into an empty book
by the port, as many to a transaction as in a sync. The figure is the processor time of the last tenth, body,
accounts, txids and history together; the limit is one small row with a random key. The details have what it
cost, and the bytes of the file, on the way there; and the look-ups in the index at the end, warm.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.books import ACCOUNTS, PER_BLOCK, network
from benchmarks.limits import rows_per_s
from benchmarks.options import parser_of
from benchmarks.report import Result, Series, emit, percentile
from node.ledger import merkle
from node.ledger.block import ZERO_HASH, Body, Coinbase, Header, encode_block, genesis_block
from node.ledger.entry import Entry, assemble_entry, unsigned_message
from node.ledger.params import Parameters
from node.ledger.state import Account
from node.storage.port import Batch, BlockRecord, Connected, Place, Standing
from node.storage.reading import open_read_only
from node.storage.sqlite import BOOK_NAME, open_book

ENTRIES: Final = 1_000_000
BLOCKS_AT_ONCE: Final = 8
"""Of one transaction: what gathers while a sync goes on."""
_STEPS: Final = 10
"""Points on the way."""
_ASKED: Final = 1_000
_END: Final = Place(2**32 - 1, 0)


class Point(NamedTuple):
    """The book at some length."""

    entries: int
    us: float
    """Processor time of the writing thread for an entry, since the point before."""
    bytes: float
    """Of the file's pages, for each entry so far."""


class Measured(NamedTuple):
    """One book written."""

    points: list[Point]
    tx_ms: list[float]
    history_ms: list[float]
    """Look-ups in the index of the finished book."""


class _Maker:
    """Makes blocks without end, each following the one before."""

    def __init__(self, parameters: Parameters, accounts: int) -> None:
        genesis = genesis_block(parameters)
        self._network_id = genesis.header.hash
        self._parent = genesis.header
        self._dice = random.Random(1)
        self._keys = [self._dice.randbytes(32) for _ in range(accounts)]
        self._spent = dict.fromkeys(self._keys, 0)
        self.txids: list[bytes] = []
        """Some of those made."""

    def payers(self) -> list[bytes]:
        """Return the keys that have paid something."""
        return [key for key, spent in self._spent.items() if spent]

    def batches(self, entries: int, per_block: int) -> Iterator[Batch]:
        while entries > 0:
            yield self._batch(min(entries, per_block))
            entries -= per_block

    def _batch(self, count: int) -> Batch:
        entries = [self._entry() for _ in range(count)]
        self.txids.append(entries[-1].txid)
        height = self._parent.height + 1
        coinbase = Coinbase(height, self._keys[0], 50_00, "")
        leaves = [merkle.leaf_hash(coinbase.encode()), *[entry.txid for entry in entries]]
        body = Body(len(leaves), merkle.tree_root(leaves), ZERO_HASH, ZERO_HASH)
        parent = self._parent
        self._parent = Header(
            1, height, parent.hash, body.root(), parent.timestamp_ms + 1, parent.bits, nonce=0
        )
        record = BlockRecord(
            id=height,
            header=self._parent,
            work=height << 20,
            chain_time=height,
            parent_id=height - 1,
            skip_id=height - 1,
            first_seen_ms=self._parent.timestamp_ms,
            history_nodes=bytes(32 * (height & -height).bit_length()),
            standing=Standing.PROVEN,
        )
        raws = tuple(entry.raw for entry in entries)
        raw = encode_block(self._parent, body, coinbase.encode(), raws).raw
        touched = [key for entry in entries for key in (entry.sender, entry.recipient)]
        return Batch(
            height,
            records=[record],
            bodies=[(height, raw)],
            connected=[Connected(record, coinbase, leaves[0], entries)],
            accounts={key: Account(self._dice.randrange(10**9), self._spent[key]) for key in touched},
        )

    def _entry(self) -> Entry:
        sender, recipient = self._dice.choice(self._keys), self._dice.choice(self._keys)
        self._spent[sender] += 1
        message = unsigned_message(
            self._network_id,
            sender=sender,
            recipient=recipient,
            amount=self._dice.randrange(1, 1000),
            fee=1,
            nonce=self._spent[sender] - 1,
            timestamp_ms=self._parent.timestamp_ms,
            memo="",
        )
        return assemble_entry(self._network_id, message, bytes(64))


def measure(
    entries: int = ENTRIES, accounts: int = ACCOUNTS, per_block: int = PER_BLOCK, runs: int = 5
) -> list[Result]:
    """Return microseconds of the writing thread for an entry, at that length of the book."""
    limits, taken = [], []
    for _ in range(runs):
        limits.append(1e6 / rows_per_s())
        taken.append(_written(entries, accounts, per_block))
    points = [
        Point(same[0].entries, statistics.median(one.us for one in same), same[0].bytes)
        for same in zip(*(one.points for one in taken), strict=True)
    ]
    tx_ms = [ms for one in taken for ms in one.tx_ms]
    history_ms = [ms for one in taken for ms in one.history_ms]
    return [
        Result(
            benchmark="store",
            unit="us",
            figure=Series(
                f"writing thread for an entry, at {entries:,}",
                tuple(round(one.points[-1].us, 2) for one in taken),
            ),
            limit=Series(
                "SQLite, a small row with a random key, in one transaction",
                tuple(round(us, 2) for us in limits),
            ),
            details={
                "accounts": accounts,
                "first_us": round(points[0].us, 2),
                "file_bytes_per_entry": round(points[-1].bytes, 1),
                "tx_median_ms": round(percentile(tx_ms, 0.5), 3),
                "tx_p99_ms": round(percentile(tx_ms, 0.99), 3),
                "history_median_ms": round(percentile(history_ms, 0.5), 3),
                "history_p99_ms": round(percentile(history_ms, 0.99), 3),
                "points": json.dumps(
                    [[one.entries, round(one.us, 2), round(one.bytes, 1)] for one in points]
                ),
            },
        )
    ]


def _written(entries: int, accounts: int, per_block: int) -> Measured:
    parameters = network()
    maker = _Maker(parameters, accounts)
    step = max(per_block * BLOCKS_AT_ONCE, entries // _STEPS)
    with tempfile.TemporaryDirectory(prefix="indelible-") as folder:
        path = Path(folder) / BOOK_NAME
        book = open_book(path, parameters)
        points: list[Point] = []
        waiting: list[Batch] = []
        spent_s, written, told = 0.0, 0, 0
        for batch in maker.batches(entries, per_block):
            waiting.append(batch)
            written += len(batch.connected[0].entries)
            if len(waiting) < BLOCKS_AT_ONCE and written < entries:
                continue
            began = time.thread_time()
            book.writer.commit(waiting)
            spent_s += time.thread_time() - began
            waiting = []
            if written - told >= step or written == entries:
                us = spent_s * 1e6 / (written - told)
                ((size,),) = book.reader.ask(
                    "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
                )
                points.append(Point(written, us, size / written))
                spent_s, told = 0.0, written
        book.close()
        reader = open_read_only(path)
        places = _timed(reader.places_of, maker.txids)
        histories = _timed(lambda key: reader.history_of(key, _END, 50), maker.payers())
        reader.close()
    return Measured(points, places, histories)


def _timed(ask: Callable[[bytes], list[Place]], keys: list[bytes]) -> list[float]:
    """Return what each look-up took, in milliseconds, the file read once before."""
    dice = random.Random(2)
    drawn = [dice.choice(keys) for _ in range(_ASKED)]
    for key in drawn:
        if not ask(key):
            raise RuntimeError(f"the index has nothing of {key.hex()}")
    took = []
    for key in drawn:
        began = time.perf_counter()
        ask(key)
        took.append((time.perf_counter() - began) * 1e3)
    return took


def main() -> None:
    """Measure and print; `--entries 10000000` takes some minutes a run."""
    parser = parser_of("store", "Measure what the writing thread pays.", entries=ENTRIES, accounts=ACCOUNTS)
    parser.add_argument("--points", type=Path, metavar="FILE", help="where to write the points, for the plot")
    options = parser.parse_args()
    for result in measure(options.entries, options.accounts, runs=options.runs):
        emit(result)
        if options.points is not None:
            options.points.write_text(f"{result.details['points']}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
