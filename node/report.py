"""What the node tells of itself: `status` and `peers`, as section 4 of the design has them.

Pure. Of the book it tells only what is durable.
"""

from __future__ import annotations

from typing import Any, Final

from node.core import Core
from node.events import Now
from node.ledger.entry import Entry
from node.noted import LAST_REORG, decode_loud_switch
from node.pow import kernel_name
from node.storage.port import BlockRecord, StorageFault
from node.weighing import Seen

REWRITE_BLOCKS: Final = 100
"""Blocks whose work `rewrite_cost_s` weighs."""
_DAMAGED: Final = "book-damaged"
"""Code of what was changed in the book, unlike a disk that fails."""

Json = dict[str, Any]


def status(core: Core, now: Now, *, version: str, mode: str, address: str) -> Json:
    """Return the fields of `status`. Raises StorageFault."""
    tip = core.store.durable_tip()
    is_synced, reason = core.sync.reason(tip)
    hashrate = core.mining.hashrate if core.mining.is_working else 0
    return {
        "network": core.parameters.name,
        "network_id": core.network_id.hex(),
        "height": tip.height,
        "tip": tip.hash.hex(),
        "work": hex(tip.work),
        "headers_height": core.chain.headers.best.height,
        "synced": is_synced,
        "sync_reason": reason,
        "peers": sum(1 for _ in core.sessions.open()),
        "pending": core.pending_count(),
        "mining": {
            "mode": mode,
            "hashrate": hashrate,
            "kernel": kernel_name(),
            "address": address,
        },
        "address": address,
        "clock_offset_ms": core.links.clock_offset_ms(now),
        "last_reorg": _last_reorg(core),
        "rewrite_cost_s": _rewrite_cost_s(core),
        "uptime_s": core.uptime_s(now),
        "version": version,
    }


def _last_reorg(core: Core) -> Json | None:
    """Return what is remembered of the last deep or late switch. Raises StorageFault: the disk fails."""
    try:
        raw = core.store.value(LAST_REORG)
        switch = None if raw is None else decode_loud_switch(raw)
    except StorageFault as fault:
        if getattr(fault, "code", _DAMAGED) != _DAMAGED:
            raise
        return None  # it was changed here: the audit names it, and all else can be told
    if switch is None:
        return None
    return {
        "time_ms": switch.at_ms,
        "fork_height": switch.fork_height,
        "old_height": switch.old_height,
        "old_tip": switch.old.hex(),
        "new_height": switch.new_height,
        "new_tip": switch.new.hex(),
    }


def _rewrite_cost_s(core: Core) -> int | None:
    """Return how long this machine would take to redo the last blocks; None before its hash rate is known."""
    if not core.mining.hashrate:
        return None
    tip = core.store.durable_tip()
    base = core.chain.tree.ancestor(tip, max(0, tip.height - REWRITE_BLOCKS))
    return (tip.work - base.work) // core.mining.hashrate


def seen(core: Core, now: Now, txid: bytes, *, findings: int = 0) -> Seen:
    """Return what is seen of an entry beyond the book; `findings` are those of the audit."""
    tip = core.store.durable_tip()
    is_synced, reason = core.sync.reason(tip)
    waiting = core.mempool.get(txid)
    return Seen(
        now_ms=now.wall_ms,
        peer_heights=tuple(_shared_height(core, tip, session.connection) for session in core.sessions.open()),
        heard_by=core.gossip.heard_by(txid),
        is_synced=is_synced,
        sync_reason=reason,
        clock_offset_ms=core.links.clock_offset_ms(now),
        hashrate=core.mining.hashrate,
        has_gap=waiting is not None and _has_gap(core, waiting.entry),
        findings=findings,
    )


def _shared_height(core: Core, tip: BlockRecord, connection: int) -> int:
    """Return the height of the last block of the main chain that a peer is known to know."""
    known = core.sync.known_to(connection)
    return max((core.chain.tree.fork_point(tip, record).height for record in known), default=0)


def _has_gap(core: Core, entry: Entry) -> bool:
    confirmed = core.store.account(entry.sender).nonce
    return core.mempool.lowest_free_nonce(entry.sender, confirmed) < entry.nonce


def peers(core: Core, now: Now) -> list[Json]:
    """Return the fields of `peers`, one object a connection."""
    return [
        {
            "address": core.links.address_of(session),
            "name": session.name,
            "direction": "in" if session.dial is None else "out",
            "node_id": session.link.identity.hex(),
            "agent": session.link.peer.agent,
            "height": _height_of(core, session.connection),
            "latency_ms": session.latency_ms,
            "bytes_in": session.bytes_in,
            "bytes_out": session.bytes_out,
            "score": core.links.score(session),
            "connected_s": (now.mono_ms - session.since_ms) // 1000,
        }
        for session in core.sessions.open()
    ]


def _height_of(core: Core, connection: int) -> int:
    """Return the height up to which a peer is known to have come, or what it claimed where that is more."""
    session = core.sessions.get(connection)
    claimed = session.link.peer.height if session is not None else 0
    return max((record.height for record in core.sync.known_to(connection)), default=claimed)
