"""Filling a book with a chain, as the core would: each block staged, committed and settled."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from node.ledger.state import ABSENT, Account
from node.storage import bulk
from node.storage.port import Batch, Connected, Store, Writer
from node.storage.sqlite import BOOK_NAME, open_book
from node.tree import skip_height
from tests.building import Built, ChainBuilder, key, record_of, with_allocations

ANN, BOB, CEM = key("ann"), key("bob"), key("cem")
PARAMETERS = with_allocations({ANN: 1_000_00, BOB: 500_00})


def sample_chain(blocks: int = 6, entries: int = 3) -> tuple[ChainBuilder, list[Built]]:
    """Return a valid chain of blocks, each with entries between three people; genesis is not among them."""
    chain = ChainBuilder(PARAMETERS)
    at = chain.genesis
    built = []
    for number in range(blocks):
        paid = [
            chain.entry(ANN, (BOB, CEM, ANN)[turn % 3], 1_00 + turn, memo=f"cup {number}.{turn}")
            for turn in range(entries)
        ]
        at = chain.block(at, paid, miner=(ANN, BOB, CEM)[number % 3])
        built.append(at)
    return chain, built


def connect(
    store: Store, writer: Writer, chain: ChainBuilder, built: list[Built], first_number: int = 1
) -> None:
    """Connect blocks that follow the tip, by way of the port."""
    for number, block in enumerate(built, first_number):
        batch = Batch(number)
        skipped = store.main_at(skip_height(block.height))
        assert skipped is not None
        record = record_of(
            block,
            store.next_id(),
            parent_id=store.tip().id,
            skip_id=skipped.id,
            first_seen_ms=block.timestamp_ms,
        )
        batch.records.append(record)
        batch.bodies.append((record.id, block.raw))
        assert block.parent is not None
        assert block.coinbase is not None
        batch.connected.append(Connected(record, block.coinbase, block.coinbase_leaf, block.entries))
        before, after = chain.accounts_at(block.parent), chain.accounts_at(block)
        for owner in sorted(before.keys() | after.keys()):
            batch.accounts[owner] = Account(*after[owner]) if owner in after else ABSENT
        store.stage(batch)
        writer.commit([batch])
        store.settle(batch.number)


def filled_book(folder: Path, chain: ChainBuilder, built: list[Built]) -> Path:
    """Write a book that holds these blocks, and close it; return where it is."""
    path = folder / BOOK_NAME
    book = open_book(path, chain.parameters)
    connect(book.store, book.writer, chain, built)
    book.close()
    return path


def pack_index(path: Path) -> None:
    """Let the keys of a finished book's first segment share rows, as those of a sync do."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("txids", "history"):
            keys = [key for (key,) in connection.execute(f"SELECT key FROM {table} WHERE segment = 0")]  # noqa: S608 - of two names
            connection.execute(f"DELETE FROM {table} WHERE segment = 0")  # noqa: S608 - of two names
            bulk.add_keys(connection, table, 0, keys, to_a_row=16)
