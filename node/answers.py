"""An entry or a reward as the answers of the local socket show it: the fields of `tx`.

Pure. JSON-ready: amounts are integers of the smallest unit, hashes lower-case hex, keys addresses, times Unix
milliseconds; what is not known is None.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from node.ledger.address import encode_address
from node.ledger.block import Coinbase
from node.ledger.entry import Entry

Json: TypeAlias = dict[str, Any]
"""One JSON object."""


class Waiting(NamedTuple):
    """What the core knows of an entry that is in no block."""

    status: str
    """`pending`, or `conflicted` where another entry took its place or its lifetime ended."""
    entry: Entry | None = None
    """None where it is no longer at hand."""


def waiting_fields(txid: bytes, waiting: Waiting, prefix: str) -> Json:
    """Return an entry that is in no block, with the fields of `tx`; `prefix` is that of addresses."""
    found = {} if waiting.entry is None else entry_content(waiting.entry, prefix)
    return tx_fields(txid, waiting.status) | found


def tx_fields(txid: bytes, status: str = "unknown") -> Json:
    """Return all fields of `tx` for an entry of which nothing more is known."""
    return {
        "txid": txid.hex(),
        "status": status,
        "height": None,
        "block": None,
        "position": None,
        "confirmations": 0,
        "timestamp_ms": None,
        "block_timestamp_ms": None,
        "sender": None,
        "recipient": None,
        "amount": None,
        "fee": None,
        "nonce": None,
        "memo": None,
    }


def entry_content(entry: Entry, prefix: str) -> Json:
    """Return what the entry itself says."""
    return {
        "timestamp_ms": entry.timestamp_ms,
        "sender": shown_address(prefix, entry.sender),
        "recipient": shown_address(prefix, entry.recipient),
        "amount": entry.amount,
        "fee": entry.fee,
        "nonce": entry.nonce,
        "memo": entry.memo,
    }


def reward_content(coinbase: Coinbase, timestamp_ms: int, prefix: str) -> Json:
    """Return a reward as an entry that nobody sent, of its block's time."""
    return {
        "timestamp_ms": timestamp_ms,
        "recipient": shown_address(prefix, coinbase.miner),
        "amount": coinbase.amount,
        "fee": 0,
        "memo": coinbase.note,
    }


@lru_cache(maxsize=4_096)  # the same few people on every line, and a checksum takes 50 us
def shown_address(prefix: str, key: bytes) -> str:
    """Return the address of a key."""
    return encode_address(prefix, key)
