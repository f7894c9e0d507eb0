"""Keeps the page's index in step with the book: built in slices, rolled back on a reorganisation.

Runs on a thread of its own at the page's side, with a read-only handle for each slice; reads the book through
`query`, which hashes again all that it hands out. A damaged block stops it there, until the book is healed; a
damaged index is made anew, one that cannot be asked just now is asked again.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple, Protocol, TypeVar

from node.ledger.entry import Entry, decode_entry
from node.ledger.params import Parameters
from node.query import BookDamaged, NotFound, Query, StoredBlock
from node.storage.files import LEAST_FREE_BYTES
from node.storage.page_index import HOUR_MS, MAX_WORK, BlockRow, Change, Growth, IndexFault, PageIndex
from node.storage.port import Place, StorageFault
from node.web.books import TooBusy
from node.web.hub import Hub, TooManyBrowsers

T = TypeVar("T")

SLICE_ENTRIES: Final = 2_000
"""Entries after which a slice ends; what one slice writes is one transaction."""
SLICE_BLOCKS: Final = 200

IDLE_S: Final = 5.0
"""Between looks at the book once the index is complete, where the node tells of nothing new."""
MOVING: Final = frozenset({"block-connected", "reorganisation", "node-here"})
"""Kinds of events that say that the book is another one."""
TROUBLED_S: Final = 15.0
"""The same after a fault of the book or the disk."""


class Progress(NamedTuple):
    """How far the index is."""

    height: int
    """Of the newest block that is indexed; -1 for none."""
    tip: int
    """Of the book."""
    trouble: str = ""
    """Why it does not go on, for people."""

    @property
    def complete(self) -> bool:
        """Whether it has all of the book, but for what came in this moment."""
        return self.height >= self.tip - 1 and self.tip >= 0

    @property
    def percent(self) -> int:
        """Rounded down."""
        return 100 if self.complete else 100 * (self.height + 1) // (self.tip + 1) if self.tip >= 0 else 0


class Asks(Protocol):
    """Where the book can be asked (`books.Books`)."""

    async def ask(self, question: Callable[[Query], T]) -> T:
        """Return the answer to a question, from another thread."""


def step(index: PageIndex, query: Query) -> Progress:
    """Bring the index one slice closer to the book. Raises BookDamaged, StorageFault, IndexFault."""
    tip = query.headers(1)[0].height
    newest = index.newest()
    top = newest[0].height if newest else -1
    gathering = _Gathering(index, query, query.parameters)
    if newest and gathering.main_hash(top) != newest[0].hash:
        return Progress(gathering.rewind(top), tip)
    return Progress(gathering.follow(top, tip), tip)


class _Gathering:
    """One slice: what some blocks mean to the index, added up."""

    def __init__(self, index: PageIndex, query: Query, parameters: Parameters) -> None:
        self._index = index
        self._query = query
        self._parameters = parameters
        self._change = Change()
        self._entries = 0

    def main_hash(self, height: int) -> bytes | None:
        found = self._query.header(height)
        return None if found is None else found.hash

    def follow(self, top: int, tip: int) -> int:
        """Index blocks above `top`; return the new top."""
        while top < tip and not self._is_full():
            top += 1
            self._add(top, lambda height: height)
        if self._change.blocks:
            self._index.add(self._change)
        return top

    def rewind(self, top: int) -> int:
        """Take blocks that left the main chain out of the index; return the new top."""
        while not self._is_full():
            known = self._index.hash_at(top)
            if known is not None and known == self.main_hash(top):
                break
            try:
                self._add(known, self._index.hash_at)
                if self._change.blocks[-1].height != top:
                    raise NotFound("the index was edited", "it is made anew")
            # It goes deeper than is kept, or the branch was condemned: what it added is lost.
            except NotFound:
                self._index.remake()
                return -1
            top -= 1
        self._index.rewind(self._change)
        return top

    def _is_full(self) -> bool:
        return self._entries >= SLICE_ENTRIES or len(self._change.blocks) >= SLICE_BLOCKS

    def _add(self, name: int | bytes | None, name_at: Callable[[int], int | bytes | None]) -> None:
        """Add one block; `name_at` names its ancestors. Raises NotFound."""
        stored = self._stored(name)
        if stored is None:
            self._add_genesis()
            return
        header = stored.record.header
        parent = self._query.header(header.previous)
        entries = [decode_entry(raw) for raw in stored.sane.block.entries]
        row = BlockRow(
            height=header.height,
            hash=header.hash,
            time_ms=header.timestamp_ms,
            # Nobody waited for the first block: a network may be founded long before it is used.
            interval_ms=header.timestamp_ms - parent.timestamp_ms
            if parent is not None and parent.height
            else 0,
            work=min(header.work, MAX_WORK),
            entries=len(entries),
        )
        self._change.blocks.append(row)
        self._add_hour(row, sum(entry.amount for entry in entries))
        for position, entry in enumerate(entries, 1):
            self._add_entry(entry, row.time_ms // HOUR_MS)
            if entry.memo:
                self._change.memos.append((Place(row.height, position), entry.memo))
        self._grow(stored.sane.coinbase.miner, 0, 1)
        self._add_matured(stored, name_at)
        self._entries += len(entries) + 1

    def _stored(self, name: int | bytes | None) -> StoredBlock | None:
        if name is None:
            raise NotFound("a block is not known any more", "the index is made anew")
        return self._query.stored(name)

    def _add_genesis(self) -> None:
        head = self._query.headers(1, 1)[0]
        self._change.blocks.append(BlockRow(0, head.hash, head.timestamp_ms, 0, 0, 0))
        for key, amount in self._parameters.allocations:
            self._grow(key, amount, 0)

    def _add_hour(self, row: BlockRow, amount: int) -> None:
        hour = row.time_ms // HOUR_MS
        blocks, interval_ms, work, entries, moved = self._change.hours.get(hour, (0, 0, 0, 0, 0))
        self._change.hours[hour] = (
            blocks + 1,
            interval_ms + row.interval_ms,
            work + row.work,
            entries + row.entries,
            moved + amount,
        )

    def _add_entry(self, entry: Entry, hour: int) -> None:
        self._grow(entry.sender, -entry.amount - entry.fee, 1)
        if entry.recipient == entry.sender:
            self._grow(entry.sender, entry.amount, 0)
            return
        self._grow(entry.recipient, entry.amount, 1)
        entries, amount = self._change.takings.get((entry.recipient, hour), (0, 0))
        self._change.takings[entry.recipient, hour] = (entries + 1, amount + entry.amount)

    def _add_matured(self, stored: StoredBlock, name_at: Callable[[int], int | bytes | None]) -> None:
        """Credit the reward that this block lets its miner have: its own, or an earlier block's."""
        height = stored.record.height - self._parameters.maturity
        if height < 1:
            return
        paid = stored if self._parameters.maturity == 0 else self._stored(name_at(height))
        if paid is not None:
            self._grow(paid.sane.coinbase.miner, paid.sane.coinbase.amount, 0)

    def _grow(self, key: bytes, balance: int, entries: int) -> None:
        before = self._change.accounts.get(key, Growth())
        self._change.accounts[key] = Growth(before.balance + balance, before.entries + entries)


class Indexer:
    """Follows the book for as long as the page lives; `progress` tells how far it is."""

    def __init__(self, index: PageIndex, books: Asks) -> None:
        self.index = index
        self._books = books
        self._due = asyncio.Event()
        self._is_damaged = False
        self.progress = Progress(-1, -1)

    async def run(self, events: Hub) -> None:
        """Follow the book, for ever; look at it at once when the node tells of something."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(events))
            while True:
                wait_s = await self._advance()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._due.wait()
                self._due.clear()

    def met(self, fault: IndexFault) -> None:
        """Have the index made anew at once, where whoever read it has met damage."""
        if fault.is_damage:
            self._is_damaged = True
            self._due.set()

    async def _listen(self, events: Hub) -> None:
        while True:
            with suppress(TooManyBrowsers):  # the book is looked at now and then all the same
                async for event in events.subscribe():
                    # Until it is complete it goes on by itself, and leaves others their time in between.
                    if event["kind"] in MOVING and (self.progress.complete or self.progress.trouble):
                        self._due.set()
            await asyncio.sleep(IDLE_S)

    async def _advance(self) -> float:
        """Do one slice, or begin anew; return how long to wait before the next."""
        if shutil.disk_usage(self.index.path.parent).free < 4 * LEAST_FREE_BYTES:
            return self._troubled("too little space on the disk")
        loop = asyncio.get_running_loop()
        began, was_damaged = loop.time(), self._is_damaged
        try:
            if self._is_damaged:
                self.progress = Progress(-1, self.progress.tip)
                await asyncio.to_thread(self.index.remake)
                self._is_damaged = False  # also where somebody met a file that was half made
            self.progress = await self._books.ask(lambda query: step(self.index, query))
        except TooBusy:
            return IDLE_S
        except (BookDamaged, StorageFault) as fault:
            self._is_damaged |= isinstance(fault, IndexFault) and fault.is_damage
            return 0.0 if self._is_damaged and not was_damaged else self._troubled(str(fault))
        # As long again as a slice takes is left to others: it runs beside a node on the same machine.
        return IDLE_S if self.progress.height >= self.progress.tip else loop.time() - began

    def _troubled(self, why: str) -> float:
        self.progress = self.progress._replace(trouble=why)
        return TROUBLED_S
