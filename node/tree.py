"""The block tree: where a header stands among the headers before it, and walks along its branches.

Pure. Walks take O(log height) reads of the store through skip links, so nothing grows with the length of
the book and nothing of it has to be held in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from node.ledger import history, merkle
from node.ledger.codec import HASH_BYTES
from node.storage.port import BlockRecord, Store

_FRONTIERS: Final = 64
"""Frontiers kept: one for each branch being extended, with room."""
_CHUNK: Final = 512
"""Blocks of a path in memory at once, at most."""
_FIRST_CHUNK: Final = 8
"""Of a path that may be left after a few steps."""


def skip_height(height: int) -> int:
    """Return the height that the skip link of a block points to.

    Bits are cleared as in Bitcoin Core's CBlockIndex::pskip: from any height any lower one is reached in
    about 2 log2(height) steps.
    """
    if height < 2:
        return 0
    return _clear_lowest(_clear_lowest(height - 1)) + 1 if height & 1 else _clear_lowest(height)


def _clear_lowest(number: int) -> int:
    return number & (number - 1)


class Tree:
    """Walks over the records of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fresh: dict[int, BlockRecord] = {}
        """Records of a batch that is still being filled, which the store cannot know yet."""
        self._frontiers: OrderedDict[int, history.Frontier] = OrderedDict()

    def record(self, block_id: int) -> BlockRecord:
        """Return the block of this id, which exists."""
        return self.fresh.get(block_id) or self._store.record(block_id)

    def parent(self, record: BlockRecord) -> BlockRecord:
        """Return the block before; genesis has none."""
        return self.record(record.parent_id)

    def ancestor(self, record: BlockRecord, height: int) -> BlockRecord:
        """Return the ancestor at `height`, which is no more than the record's own."""
        walk = record
        while walk.height > height:
            skip = skip_height(walk.height)
            skip_of_parent = skip_height(walk.height - 1)
            # Follow the skip link unless the parent's reaches further without passing the height.
            if skip == height or (
                skip > height and not (skip_of_parent < skip - 2 and skip_of_parent >= height)
            ):
                walk = self.record(walk.skip_id)
            else:
                walk = self.record(walk.parent_id)
        return walk

    def is_ancestor(self, ancestor: BlockRecord, record: BlockRecord) -> bool:
        """True where `record` descends from `ancestor`, or is it."""
        return ancestor.height <= record.height and self.ancestor(record, ancestor.height).id == ancestor.id

    def last_that(self, record: BlockRecord, holds: Callable[[BlockRecord], bool]) -> BlockRecord:
        """Return the highest ancestor for which `holds`; it must hold from genesis up to some height only."""
        above, found, step = record, record, 1  # does not hold at `above`
        # Nearly always it is near: look back in growing steps, then halve what the last one spans.
        while found.height > 0 and not holds(found):
            above = found
            found = self.ancestor(found, max(0, found.height - step))
            step *= 2
        while above.height - found.height > 1:
            middle = self.ancestor(above, (found.height + above.height) // 2)
            if holds(middle):
                found = middle
            else:
                above = middle
        return found

    def fork_point(self, left: BlockRecord, right: BlockRecord) -> BlockRecord:
        """Return the last common ancestor."""
        height = min(left.height, right.height)
        left, right = self.ancestor(left, height), self.ancestor(right, height)
        if left.id == right.id:
            return left
        return self.last_that(left, lambda block: self.ancestor(right, block.height).id == block.id)

    def path(self, above: BlockRecord, upto: BlockRecord) -> Iterator[BlockRecord]:
        """Yield the blocks above `above`, which `upto` descends from, up to `upto`, ascending.

        In memory bounded by a chunk, and with few reads where it is left after a few steps.
        """
        chunk, low = _FIRST_CHUNK, above.height
        while low < upto.height:
            high = min(low + chunk, upto.height)
            walk = self.ancestor(upto, high)
            blocks = [walk]
            while walk.height > low + 1:
                walk = self.parent(walk)
                blocks.append(walk)
            yield from reversed(blocks)
            low, chunk = high, min(chunk * 2, _CHUNK)

    def locator(self, record: BlockRecord) -> tuple[bytes, ...]:
        """Return hashes from `record` back: about eleven in a row, then in doubling steps, genesis last."""
        hashes, height, step = [], record.height, 1
        walk = record
        while height > 0:
            walk = self.ancestor(walk, height)
            hashes.append(walk.hash)
            if len(hashes) > 10:
                step *= 2
            height -= step
        return (*hashes, self.record(0).hash)

    # ------------------------------------------------------------------------------------ history tree

    def frontier(self, record: BlockRecord) -> history.Frontier:
        """Return the history tree over the blocks from genesis up to and with `record`."""
        known = self._frontiers.get(record.id)
        if known is not None:
            self._frontiers.move_to_end(record.id)
            return known
        before = self._frontiers.get(record.parent_id)
        if before is not None:
            # One block after the other is looked at: no need to read the peaks along the tree each time.
            frontier, _ = before.append(record.hash)
        else:
            frontier = history.from_nodes(record.height + 1, self.node_at(record))
        self._keep_frontier(record.id, frontier)
        return frontier

    def grow(self, parent: BlockRecord, block_id: int, block_hash: bytes) -> bytes:
        """Append a child of `parent` to its history tree; return the inner nodes that this completed."""
        frontier, nodes = self.frontier(parent).append(block_hash)
        self._keep_frontier(block_id, frontier)
        return b"".join(nodes)

    def node_at(self, record: BlockRecord) -> Callable[[int, int], bytes]:
        """Return the look-up of history nodes along the branch of `record`, as `history` asks for them."""

        def look_up(leaf_index: int, level: int) -> bytes:
            block = self.ancestor(record, leaf_index)
            if level == 0:
                return merkle.leaf_hash(block.hash)
            return block.history_nodes[(level - 1) * HASH_BYTES : level * HASH_BYTES]

        return look_up

    def _keep_frontier(self, block_id: int, frontier: history.Frontier) -> None:
        self._frontiers[block_id] = frontier
        if len(self._frontiers) > _FRONTIERS:
            self._frontiers.popitem(last=False)
