"""Pending entries: what may wait, in which order it is offered to a miner, and what leaves first.

Pure: no clock, randomness, sockets or disk; time and accounts come in as arguments. All here is policy of
this node, beside the law: a refusal is nobody's fault and costs a peer nothing. An entry stays until it is
confirmed, replaced or evicted, its nonce is used, or the tip is past its lifetime; one that its sender
cannot pay at the moment stays too, but is in no template, and is the first to be evicted.
"""

from __future__ import annotations

from node.mempool.checking import Checked, Held, InCheck, Verified
from node.mempool.pool import Added, Mempool, Pending, Returned, Settled, replacement_fee
from node.mempool.refused import Refused
from node.mempool.saved import Saved, dump, load_dump
from node.mempool.template import Template, block_overhead, entry_bytes

__all__ = [
    "Added",
    "Checked",
    "Held",
    "InCheck",
    "Mempool",
    "Pending",
    "Refused",
    "Returned",
    "Saved",
    "Settled",
    "Template",
    "Verified",
    "block_overhead",
    "dump",
    "entry_bytes",
    "load_dump",
    "replacement_fee",
]
