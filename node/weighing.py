"""The facts that `settled` weighs, gathered for one entry from the stored book and from what the node sees.

Pure: reads the book that it is given, through the storage port. Only branches near the tip are looked at, and
of each only its last blocks, so that one answer costs about as much as showing a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from node.answers import Json
from node.ledger.address import decode_address
from node.ledger.block import decode_block
from node.ledger.entry import Entry, decode_entry
from node.ledger.errors import RuleBroken
from node.ledger.params import Parameters
from node.settled import NEAR, STOOD_INTERVALS, Facts, Settled, settled
from node.storage.port import BlockRecord, Standing

MAX_LEAVES: Final = 128
"""Ends of branches that are weighed, the last to arrive: each took the work of a block."""
MAX_BRANCHES: Final = 4
"""Branches near the tip that are looked at, the heaviest first."""
MAX_BRANCH_BLOCKS: Final = 8
"""Last blocks of such a branch that are searched for a rival entry."""


class Seen(NamedTuple):
    """What a node sees of an entry beyond its book, at one moment."""

    now_ms: int
    """By this machine's clock; Unix milliseconds."""
    peer_heights: tuple[int, ...] = ()
    """Of each open connection: the highest block of the main chain that the peer is known to know."""
    heard_by: int = 0
    """Peers that have heard of the entry."""
    is_synced: bool = True
    sync_reason: str = ""
    clock_offset_ms: int = 0
    hashrate: int = 0
    """Hashes a second, as last measured here; 0: not yet."""
    has_gap: bool = False
    """An earlier entry of its sender is missing."""
    findings: int = 0
    """What the audit found wrong in this copy."""


class Book(Protocol):
    """The reads that weighing needs."""

    def tip(self) -> BlockRecord:
        """Return the last block of the main chain."""

    def record(self, block_id: int) -> BlockRecord:
        """Return the block of this id, which exists."""

    def main_at(self, height: int) -> BlockRecord | None:
        """Return the main chain's block at this height, None above the tip."""

    def body(self, block_id: int) -> bytes | None:
        """Return the raw bytes as stored, None where there are none."""

    def leaves(self, limit: int | None = None) -> list[BlockRecord]:
        """Return the blocks without children; with a limit, the last to arrive."""


def weigh(book: Book, parameters: Parameters, found: Json, seen: Seen) -> Settled:
    """Return the verdict on an entry as `tx` found it (its fields)."""
    tip, height = book.tip(), found["height"]
    is_confirmed = found["status"] == "confirmed"
    record = book.main_at(height) if is_confirmed else None
    branches = list(_near_branches(book, tip))
    lacking = [leaf for leaf, fork in branches if record is None or fork < record.height]
    leads = [_lead(book, tip, leaf) for leaf in lacking if _is_open(book, parameters, tip, leaf, seen.now_ms)]
    facts = Facts(
        status=found["status"],
        confirmations=found["confirmations"],
        peers=len(seen.peer_heights),
        having=sum(known >= height for known in seen.peer_heights) if is_confirmed else seen.heard_by,
        is_synced=seen.is_synced,
        sync_reason=seen.sync_reason,
        clock_offset_ms=seen.clock_offset_ms,
        drift_ms=parameters.drift_ms,
        has_gap=seen.has_gap,
        has_rival=_has_rival(book, parameters, found, lacking),
        lead=min(leads, default=None),
        interval_ms=parameters.interval_ms,
        findings=seen.findings,
    )
    if record is not None:
        facts = facts._replace(
            age_ms=max(0, seen.now_ms - record.first_seen_ms),
            rewrite_s=_rewrite_s(book, tip, record, seen.hashrate),
        )
    return settled(facts)


def _near_branches(book: Book, tip: BlockRecord) -> Iterator[tuple[BlockRecord, int]]:
    """Yield (last block, height of the fork) of side branches that lack little work, the heaviest first."""
    near = tip.work - NEAR * _work_of(book, tip)
    rivals = [
        leaf
        for leaf in book.leaves(MAX_LEAVES)
        if leaf.work > near and leaf.standing is not Standing.CONDEMNED
    ]
    for leaf in sorted(rivals, key=lambda leaf: (-leaf.work, leaf.id))[:MAX_BRANCHES]:
        fork = _fork_height(book, leaf)
        if fork < leaf.height and fork < tip.height:
            yield leaf, fork


def _work_of(book: Book, record: BlockRecord) -> int:
    return record.work - book.record(record.parent_id).work if record.height else 1


def _fork_height(book: Book, leaf: BlockRecord) -> int:
    """Return the height of the last block of a branch that is on the main chain."""
    lowest = leaf
    while not _is_main(book, lowest):  # by skips as far as they stay on the branch
        skipped = book.record(lowest.skip_id) if lowest.skip_id >= 0 else None
        stays = skipped is not None and not _is_main(book, skipped)
        lowest = skipped if stays and skipped is not None else book.record(lowest.parent_id)
    return lowest.height


def _is_main(book: Book, record: BlockRecord) -> bool:
    main = book.main_at(record.height)
    return main is not None and main.id == record.id


def _lead(book: Book, tip: BlockRecord, leaf: BlockRecord) -> int:
    """Return by how many blocks of the tip's work the main chain is ahead, rounded down."""
    return (tip.work - leaf.work) // _work_of(book, tip)


def _is_open(book: Book, parameters: Parameters, tip: BlockRecord, leaf: BlockRecord, now_ms: int) -> bool:
    """Tell whether a branch may still win: it is level, or has grown lately."""
    rests_ms = now_ms - leaf.first_seen_ms
    return _lead(book, tip, leaf) < 1 or rests_ms < STOOD_INTERVALS * parameters.interval_ms


def _rewrite_s(book: Book, tip: BlockRecord, record: BlockRecord, hashrate: int) -> int | None:
    if not hashrate or not record.height:
        return None
    return (tip.work - book.record(record.parent_id).work) // hashrate


def _has_rival(book: Book, parameters: Parameters, found: Json, leaves: list[BlockRecord]) -> bool:
    """Tell whether one of these branches holds another entry of the same sender and nonce."""
    if found["sender"] is None or found["nonce"] is None:
        return False
    sender, txid = decode_address(parameters.prefix, found["sender"]), bytes.fromhex(found["txid"])
    for leaf in leaves:
        block = leaf
        for _ in range(MAX_BRANCH_BLOCKS):
            if _is_main(book, block):
                break
            for entry in _entries(book, block):
                if (entry.sender, entry.nonce) == (sender, found["nonce"]) and entry.txid != txid:
                    return True
            block = book.record(block.parent_id)
    return False


def _entries(book: Book, record: BlockRecord) -> Iterator[Entry]:
    """Yield the entries of a side branch's block; none where its bytes are not here, or not in order."""
    raw = book.body(record.id)
    if raw is None:
        return
    try:
        block = decode_block(raw)
        if block.header.raw == record.header.raw:
            yield from map(decode_entry, block.entries)
    except RuleBroken:  # no rule of the book is judged by it: what cannot be read is no rival
        return
