"""What of a damaged book is still proven by its own hashes, and what must be asked of others.

Reads that book. A header stands for itself by its proof of work and by its parent; a block's bytes by its
header; a lost header by its child, which names it. So it is known, hash by hash, what is missing, and what is
given is right or it is not: nobody has to be trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

from node.ledger import rules
from node.ledger.block import Block, Header, decode_block, decode_header
from node.ledger.errors import RuleBroken
from node.ledger.params import Parameters
from node.storage.genesis import genesis_record
from node.storage.port import Place, Standing
from node.storage.salvage import DamagedBook, Salvaged

_WITH_BODY: Final = (Standing.STORED, Standing.PROVEN)
_LOCATOR_RUN: Final = 10
_LAST: Final = 2**53
"""A number behind all that came before."""


class Placed(NamedTuple):
    """A header in its place. Satisfies `rules.Placed`."""

    header: Header
    chain_time: int
    work: int


@dataclass(slots=True)
class Known:
    """A block of which at least the header is known."""

    header: Header
    seen_ms: int | None
    """When this node first saw it; None where its row is lost."""
    rows: list[int] = field(default_factory=list)
    """The numbers of its rows: one, in a book that is in order."""
    body: int | None = None
    """The number that its bytes are stored under, where they are whole."""
    fetched: bool = False
    """True where its bytes came from a peer."""
    wanted: bool = False
    """True where its bytes belong into the book."""
    told: bool = False
    """True where nothing but a peer's word says that it is there."""

    @property
    def row(self) -> int | None:
        """The number of its row; None where it is lost."""
        return min(self.rows, default=None)

    @property
    def has_body(self) -> bool:
        """True where its bytes are at hand."""
        return self.fetched or self.body is not None


class Spool:
    """Blocks that came from peers, in a file until they are in the new book."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._places: dict[bytes, tuple[int, int]] = {}
        self._path = path

    def put(self, block_hash: bytes, raw: bytes) -> None:
        """Keep a block."""
        self._places[block_hash] = (self._file.seek(0, 2), len(raw))
        self._file.write(raw)

    def get(self, block_hash: bytes) -> bytes:
        """Return a block that was put."""
        at, size = self._places[block_hash]
        self._file.seek(at)
        return self._file.read(size)

    def close(self) -> None:
        """Remove the file."""
        try:
            self._file.close()  # which writes what is left, and may find no room
        finally:
            self._path.unlink(missing_ok=True)


class Survivors:
    """The blocks of a damaged book, by hash. Memory: some hundred bytes a block, whatever its entries."""

    def __init__(self, old: DamagedBook, spool: Spool, parameters: Parameters) -> None:
        self._old = old
        self._spool = spool
        self._parameters = parameters
        self._genesis = genesis_record(parameters)
        self._known: dict[bytes, Known] = {}
        self._parent_rows: dict[bytes, int] = {}
        """By hash of a parent: the number under which its child's row names it."""
        self._placed: dict[bytes, Placed] = {}
        self._lost: set[bytes] = set()
        self._doubted: set[bytes] = set()
        self._rivals: dict[bytes, bytes] = {}
        """By hash of the block that a row is of: the one whose bytes stand under its number."""
        self._displaced: dict[bytes, bytes] = {}
        """By hash of a block that may stand in another's row: that other one."""

    # ------------------------------------------------------------------------------------ what is there

    def read(self) -> None:
        """Look at each block that is stored."""
        for block in self._old.blocks():
            if block.id:
                self._take_row(block)
                self._take_body(block)
        self._note_intruders()

    def _take_row(self, block: Salvaged) -> None:
        record = block.record
        if record is None or not self._works(record.header):
            return
        known = self._known.setdefault(record.hash, Known(record.header, record.first_seen_ms))
        known.rows.append(block.id)
        known.wanted = known.wanted or record.standing in _WITH_BODY or block.raw is not None
        self._parent_rows.setdefault(record.header.previous, record.parent_id)

    def _take_body(self, block: Salvaged) -> None:
        if block.raw is None:
            return
        found = self._decoded(block.raw)
        if found is None:
            return
        is_whole = self._is_whole(found)
        if block.record is not None and not is_whole and found.header != block.record.header:
            return  # neither its row nor its own bytes stand for such a header
        known = self._known.setdefault(found.header.hash, Known(found.header, None))
        known.wanted = True
        if known.body is None and is_whole:
            known.body = block.id

    def _note_intruders(self) -> None:
        """Note headers that may stand where another block's row was.

        So it is where the children under a row's number name another block, which has no row. Whoever finds
        proof of work can put such a header there; on the wire it would be just another branch, but this node
        never heard of it. And so it is where the bytes under a number are another block's than the row's.
        Which of two it was, others tell, who have the one or the other.
        """
        named = {row: one for one, row in self._parent_rows.items() if not self._has_row(one)}
        for block_hash, known in self._known.items():
            rows = known.rows or ([] if known.body is None else [known.body])
            if rows and all(named.get(row, block_hash) != block_hash for row in rows):
                self._displaced[block_hash] = named[rows[0]]
            known.rows = [row for row in known.rows if row not in named] or known.rows
        by_body = {known.body: one for one, known in self._known.items() if not known.rows}
        for block_hash, known in self._known.items():
            if known.body is None and known.row in by_body:
                self._rivals[block_hash] = by_body[known.row]

    def settle(self) -> None:
        """Drop the intruders, as far as what others gave tells."""
        for intruder, named in list(self._displaced.items()):
            if named in self._known and intruder in self._known:
                gone = self._known.pop(intruder)
                self._known[named].rows = self._known[named].rows or gone.rows
                del self._displaced[intruder]
        for by_row, by_body in list(self._rivals.items()):
            known = self._known.get(by_row)
            if known is not None and known.has_body and by_body in self._known:
                del self._known[by_body], self._rivals[by_row]
        self.place()
        for lost in sorted(self._lost):
            for known in [one for one in self._known.values() if one.header.previous == lost]:
                if self._is_replaced(known):
                    del self._known[known.header.hash]
        self.place()

    def _is_replaced(self, known: Known) -> bool:
        """Tell whether others gave another block in the place of a last one whose parent nobody knows."""
        has_children = any(one.header.previous == known.header.hash for one in self._known.values())
        return not has_children and any(
            one.fetched and one.header.height == known.header.height and one.header.hash in self._placed
            for one in self._known.values()
        )

    def give_up_rivals(self) -> None:
        """Go by the bytes where nobody has the block that the row over them is of."""
        for by_row, by_body in self._rivals.items():
            if by_row in self._known and by_body in self._known:
                del self._known[by_row]
        self._rivals.clear()
        self.place()

    def _has_row(self, block_hash: bytes) -> bool:
        known = self._known.get(block_hash)
        return block_hash == self._genesis.hash or (known is not None and bool(known.rows))

    def _decoded(self, raw: bytes) -> Block | None:
        try:
            block = decode_block(raw)
        except RuleBroken:
            return None
        return block if self._works(block.header) else None

    def _is_whole(self, block: Block) -> bool:
        try:
            rules.sane_block(block, self._parameters)
        except RuleBroken:
            return False
        return True

    def _works(self, header: Header) -> bool:
        try:
            rules.sane_header(header)
        except RuleBroken:
            return False
        return header.height > 0

    # ---------------------------------------------------------------------------------- what it comes to

    def place(self) -> None:
        """Find out which headers follow each other from genesis on, and whose bytes are wanted."""
        genesis = Placed(self._genesis.header, self._genesis.chain_time, 0)
        self._placed = {self._genesis.hash: genesis}
        self._lost = set()
        ascending = sorted(self._known.values(), key=lambda known: (known.header.height, known.header.hash))
        for known in ascending:
            self._place_one(known.header)
        for known in reversed(ascending):
            if not known.wanted:
                continue
            parent_known = self._known.get(known.header.previous)
            if parent_known is not None:
                parent_known.wanted = True
            elif known.header.previous != self._genesis.hash:
                self._lost.add(known.header.previous)

    def _place_one(self, header: Header) -> bool:
        """Give a header its place behind its parent; False where it has none there."""
        parent = self._placed.get(header.previous)
        if parent is None:
            return False
        try:
            rules.check_header_in_context(header, parent, self._parameters)
        except RuleBroken:
            return False
        time = rules.chain_time_of(header, parent, self._parameters)
        self._placed[header.hash] = Placed(header, time, parent.work + header.work)
        return True

    def missing(self) -> list[bytes]:
        """Return the hashes of blocks whose bytes are to be got, the lowest first; lost headers last."""
        bodies = [known for known in self._known.values() if known.wanted and not known.has_body]
        bodies.sort(key=lambda known: (known.header.height, known.header.hash))
        return [known.header.hash for known in bodies] + sorted(self._lost)

    def height_of(self, block_hash: bytes) -> int | None:
        """Return the height of a block, where anything tells."""
        if block_hash in self._known:
            return self._known[block_hash].header.height
        above = [known for known in self._known.values() if known.header.previous == block_hash]
        return above[0].header.height - 1 if above else None

    def give(self, block_hash: bytes, raw: bytes) -> bool:
        """Take the bytes of a block that is missing; False where they are not that block's."""
        block = self._decoded(raw)
        if block is None or block.header.hash != block_hash or not self._is_whole(block):
            return False
        known = self._known.setdefault(block_hash, Known(block.header, None, rows=self._free_row(block_hash)))
        self._spool.put(block_hash, raw)
        known.fetched = known.wanted = True
        self._lost.discard(block_hash)
        return True

    def extend(self, raws: Sequence[bytes]) -> int:
        """Take headers behind what is known, as a peer gave them; return how many follow what is here."""
        taken = 0
        for raw in raws:
            try:
                header = decode_header(raw)
            except RuleBroken:
                break
            if header.hash in self._known:
                continue
            if not self._works(header) or not self._place_one(header):
                break
            self._known[header.hash] = Known(header, None, wanted=True, told=True)
            taken += 1
        return taken

    def is_told_only(self, block_hash: bytes) -> bool:
        """Tell whether a header is known from a peer alone."""
        known = self._known.get(block_hash)
        return known is not None and known.told

    def take_back(self, block_hash: bytes) -> None:
        """Forget a block and what follows it: nobody has its bytes, or they break a rule."""
        gone = {block_hash}
        for known in sorted(self._known.values(), key=lambda known: known.header.height):
            if known.header.previous in gone:
                gone.add(known.header.hash)
        for one in sorted(gone):
            self._known.pop(one, None)

    def best(self) -> Known | None:
        """Return the end of the heaviest branch of blocks that belong into the book, the first seen."""
        ends = [known for known in self._known.values() if known.wanted and known.header.hash in self._placed]
        return max(ends, key=self._weight, default=None)

    def _weight(self, known: Known) -> tuple[int, int]:
        return self._placed[known.header.hash].work, -self._order(known)

    def is_of_best(self, block_hash: bytes) -> bool:
        """Tell whether a block is on the heaviest branch; one without a place may always be."""
        walk = self.best()
        if block_hash not in self._placed:
            height = self.height_of(block_hash)
            return walk is None or height is None or height + 1 >= walk.header.height
        while walk is not None and walk.header.hash != block_hash:
            walk = self._known.get(walk.header.previous)
        return walk is not None

    def keep_header_only(self, block_hash: bytes) -> None:
        """Go on without the bytes of a block of a side branch, and of those that follow it."""
        gone = {block_hash}
        for known in sorted(self._known.values(), key=lambda known: known.header.height):
            if known.header.hash in gone or known.header.previous in gone:
                gone.add(known.header.hash)
                known.wanted = known.fetched = False
                known.body = None
        self._lost.discard(block_hash)

    def locator(self, below_tip: bool = False) -> tuple[bytes, ...]:  # noqa: FBT001, FBT002 - one switch
        """Return hashes from the best tip back, as GET_HEADERS takes them; from its parent where told."""
        walk = self.best()
        if walk is not None and below_tip:
            walk = self._known.get(walk.header.previous)
        hashes = []
        step = skip = 1
        while walk is not None:
            skip -= 1
            if skip == 0:
                hashes.append(walk.header.hash)
                step = step * 2 if len(hashes) > _LOCATOR_RUN else 1
                skip = step
            walk = self._known.get(walk.header.previous)
        return (*hashes, self._genesis.hash)

    # ----------------------------------------------------------------------- a tip that was replaced

    def is_doubtful(self) -> bool:
        """Tell whether the index of the old book knew another block than the tip that is found there."""
        best = self.best()
        if best is None or not best.has_body:
            return False
        if best.row != self._old.main_id(best.header.height) or self._is_indexed(best):
            return False
        self._doubted.add(best.header.hash)
        return True

    def settle_doubts(self) -> None:
        """Drop a tip that the index does not know where a peer gave the one that it knows."""
        for known in list(self._known.values()):
            doubtful = [one for one in self._doubted if self._height(one) == known.header.height]
            if not (known.fetched and doubtful and self._is_indexed(known)):
                continue
            for one in doubtful:
                gone = self._known.pop(one)
                known.rows = known.rows or gone.rows
            self._doubted.clear()
        self.place()

    def _is_indexed(self, known: Known) -> bool:
        leaves = decode_block(self.body(known)).leaves()
        return all(
            self._old.has_leaf(leaf, Place(known.header.height, position))
            for position, leaf in enumerate(leaves)
        )

    def _height(self, block_hash: bytes) -> int | None:
        known = self._known.get(block_hash)
        return None if known is None else known.header.height

    # ------------------------------------------------------------------------------------ what is kept

    def body(self, known: Known) -> bytes:
        """Return the bytes of a block that has them."""
        if known.fetched:
            return self._spool.get(known.header.hash)
        raw = None if known.body is None else self._old.body(known.body)
        if raw is None:
            raise RuntimeError("only what has a body is asked for it")
        return raw

    def ordered(self) -> Iterator[Salvaged]:
        """Yield all blocks that have a place, in order of arrival, each behind its parent."""
        done = {self._genesis.hash}
        for known in sorted(self._known.values(), key=self._arrival):
            path: list[Known] = []
            walk: Known | None = known
            while walk is not None and walk.header.hash not in done:
                path.append(walk)
                walk = self._known.get(walk.header.previous)
            for one in reversed(path):
                if one.header.hash in self._placed:
                    done.add(one.header.hash)
                    yield self._salvaged(one)

    def _salvaged(self, known: Known) -> Salvaged:
        raw = self.body(known) if known.wanted and known.has_body else None
        seen_ms = known.header.timestamp_ms if known.seen_ms is None else known.seen_ms
        record = replace(self._genesis, header=known.header, first_seen_ms=seen_ms, standing=Standing.HEADER)
        return Salvaged(self._order(known), raw, record)

    def _arrival(self, known: Known) -> tuple[int, int, bytes]:
        return self._order(known), known.header.height, known.header.hash

    def _order(self, known: Known) -> int:
        if known.row is not None:
            return known.row
        return known.body if known.body is not None else _LAST

    def _free_row(self, block_hash: bytes) -> list[int]:
        """Return the number under which the child's row names a lost block, where no other block has it."""
        row = self._parent_rows.get(block_hash)
        is_taken = row is None or any(row in known.rows for known in self._known.values())
        return [] if row is None or is_taken else [row]
