"""The newest blocks with their newest entries, each read and hashed once for as long as it is shown.

Reads the book through `query`. What a hash names never changes, so what was read once is true for good; only
which blocks are the newest is asked each time. Used by several threads.
"""

from __future__ import annotations

from typing import Final

from node.answers import Json
from node.query import Query
from node.web.kept import Kept

NEWEST: Final = 12
"""Entries of one block, its last ones."""


class Recent:
    """Summaries of blocks by their hashes."""

    def __init__(self) -> None:
        self._kept: Kept[Json] = Kept()

    def blocks(self, query: Query, limit: int, before: int | None = None) -> list[Json]:
        """Return blocks of the main chain below height `before`, newest first, with their last entries.

        The fields of `Query.part_of_block`; at most NEWEST entries each, the last that were paid
        first, with the confirmations of when they were read. Raises BookDamaged, StorageFault.
        """

        def read(name: bytes) -> Json:
            found = query.part_of_block(name, -NEWEST, NEWEST)
            found["entries"].sort(key=lambda entry: int(entry["timestamp_ms"]), reverse=True)
            return found

        return [self._kept.of(header.hash, read) for header in query.headers(limit, before)]
