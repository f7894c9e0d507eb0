"""A small book as a node makes it, with two branches; what it says; and a peer in the same process."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.heal import SourceFailed
from node.ledger import codec
from node.ledger.block import genesis_block
from node.ledger.params import Parameters
from node.storage.genesis import genesis_record
from node.storage.reading import open_read_only
from node.storage.rebuild import Feeding
from node.storage.rows import keys_of_row
from node.storage.salvage import Salvaged
from node.storage.sqlite import BOOK_NAME, open_book
from tests.building import Built, ChainBuilder, key
from tests.storage.filling import ANN, BOB, CEM, PARAMETERS

BLOCKS = 12
ENTRIES = 40


def chain_of(blocks: int = BLOCKS, entries: int = ENTRIES) -> list[Built]:
    """Return blocks in order of arrival: a main chain, two on block 4, and one on block 9."""
    chain = ChainBuilder(PARAMETERS)
    people = (ANN, BOB, CEM)
    at, made, paid = chain.genesis, [], 0
    for number in range(blocks):
        share = (entries * (number + 1)) // blocks - paid
        bought = [
            chain.entry(ANN, people[turn % 3], 1_00 + turn, nonce=paid + turn, memo=f"cup {number}.{turn}")
            for turn in range(share)
        ]
        paid += share
        at = chain.block(at, bought, miner=people[number % 3])
        made.append(at)
    first = chain.blocks(made[3], 2, miner=key("side"))
    second = chain.blocks(made[8], 1, miner=key("other side"))
    return [*made[:6], *first, *made[6:10], *second, *made[10:]]


def write_book(
    folder: Path, arrived: Sequence[Built], parameters: Parameters = PARAMETERS, *, packed: bool = False
) -> Path:
    """Write a book of blocks in order of arrival, as a node's chain makes it.

    Keys of the index share rows where it is `packed`, as in a book that was synced.
    """
    path = folder / BOOK_NAME
    genesis = genesis_record(parameters)
    with closing(open_book(path, parameters)) as book, ThreadPoolExecutor(1) as threads:
        if packed:
            book.writer._main._packed_from = 1
        feeding = Feeding(book, parameters, threads)
        for number, block in enumerate(arrived, 1):
            feeding.feed(Salvaged(number, block.raw, None))
        switches = codec.encode(((arrived[0].hash, 1), (genesis.hash, 0)))
        feeding.finish({"unsaved_switches": switches})
    return path


def content(path: Path) -> dict[str, Any]:
    """Return what a book says: each table, blocks by their hashes, and the answers that look-ups give.

    When this node first saw a block, and table `named`, are its own memory and no part of the book. Of a
    block on the side it does not count whether it was proven once: it is proven again before it is followed.
    """
    with closing(open_read_only(path)) as book:
        hashes = {row[0]: book.record(row[0]).hash for row in book.ask("SELECT id FROM blocks")}
        main = [(height, hashes[block_id]) for height, block_id in book.ask("SELECT * FROM main")]
        blocks = {}
        for block_id, block_hash in hashes.items():
            record = book.record(block_id)
            found = book.find(block_hash)
            assert found is not None
            blocks[block_hash] = (
                record.header.raw,
                record.work,
                record.chain_time,
                hashes.get(record.parent_id),
                hashes.get(record.skip_id),
                record.history_nodes,
                min(int(record.standing), 1) if record.standing < 3 else 3,
                record.rule,
                found.id == block_id,
                book.body(block_id),
            )
        keys = _keys(book.ask("SELECT key FROM txids"))
        return {
            "meta": sorted(book.ask("SELECT * FROM meta")),
            "main": main,
            "tip": book.tip().hash,
            "blocks": blocks,
            "bodies": len(book.ask("SELECT id FROM bodies")),
            "accounts": sorted(book.ask("SELECT * FROM accounts")),
            "txids": keys,
            "places": [book.places_of(found[:8]) for found in keys],
            "history": _keys(book.ask("SELECT key FROM history")),
            "counts": book.counts(),
            "leaves": sorted(record.hash for record in book.leaves()),
        }


def _keys(rows: Sequence[tuple[bytes]]) -> list[bytes]:
    """Return the keys of the index, however many share a row."""
    return sorted({key for (row,) in rows for key in keys_of_row(row)})


@dataclass(slots=True)
class Neighbour:
    """A peer with the untouched book, asked without a wire. Satisfies `heal.Source`."""

    arrived: Sequence[Built]
    name: str = "bob"
    forge: bool = False
    """Gives other bytes than were asked for."""
    lacks: frozenset[bytes] = frozenset()
    asked: list[bytes] = field(default_factory=list)

    def blocks(self, hashes: Sequence[bytes]) -> Iterator[bytes]:
        self.asked += hashes
        for block in self.arrived:
            if block.hash in hashes and block.hash not in self.lacks:
                yield self.arrived[0].raw[:-1] if self.forge else block.raw

    def headers(self, locator: Sequence[bytes]) -> list[bytes]:
        main = max(self.arrived, key=lambda block: block.work).path()
        known = {block.hash: block.height for block in main}
        start = next((known[one] for one in locator if one in known), None)
        if start is None:
            raise SourceFailed("it is of another book")
        return [block.header.raw for block in main[start + 1 :]]

    def close(self) -> None:
        """Nothing is open."""


def copy_of(original: Path, folder: Path) -> Path:
    """Copy a closed book."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(original, folder / BOOK_NAME))


def changed(path: Path) -> sqlite3.Connection:
    """Return a connection that edits a book as the sqlite3 tool does."""
    return sqlite3.connect(path, isolation_level=None)


def genesis_raw() -> bytes:
    """Return the first block's bytes."""
    return genesis_block(PARAMETERS).raw
