"""How blocks, accounts and the index over the main chain stand in SQLite's tables. Pure: values in, rows out.

The index has two tables of 15-byte keys: 8 bytes of a txid (or of an account's key), then the place, that is
height u32 and position u24, big-endian. Keys with the same 8 bytes are candidates, and whoever asks looks at
the entry itself. A key belongs to a *segment*, a range of heights with some thousands of entries: new keys
gather in few pages whatever the length of the chain, and a look-up probes each segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from node.ledger.block import decode_header
from node.ledger.codec import MAX_UINT
from node.ledger.entry import Entry
from node.ledger.errors import RuleBroken
from node.ledger.state import Account
from node.storage.port import BlockRecord, Place, Standing

PREFIX_BYTES: Final = 8
PLACE_BYTES: Final = 7
_MAX_HEIGHT: Final = 2**32 - 1
_MAX_POSITION: Final = 2**24 - 1

RECORD_COLUMNS: Final = (
    "id, header, work, chain_time, parent_id, skip_id, first_seen_ms, history_nodes, standing, rule, tail"
)
"""Of table `blocks`, as `record_of_row` takes them; `tail` is `hash_tail`."""
Row: TypeAlias = tuple[object, ...]


class BadRow(ValueError):
    """A row that the node never wrote like this."""


def hash_tail(block_hash: bytes) -> bytes:
    """Return what blocks are searched by: the last 8 bytes, as proof of work makes the first ones zero."""
    return block_hash[-PREFIX_BYTES:]


def row_of_record(record: BlockRecord, *, leaf: bool) -> Row:
    """Return the row of a block: RECORD_COLUMNS, then `leaf` (it has no children)."""
    return (
        record.id,
        record.header.raw,
        record.work.to_bytes((record.work.bit_length() + 7) // 8, "big"),
        record.chain_time,
        record.parent_id,
        record.skip_id,
        record.first_seen_ms,
        record.history_nodes,
        int(record.standing),
        record.rule,
        hash_tail(record.header.hash),
        int(leaf),
    )


def record_of_row(row: Row) -> BlockRecord:
    """Return the block of a row of RECORD_COLUMNS, its header hashed again. Raises BadRow."""
    block_id, header_raw, work, chain_time, parent_id, skip_id, first_seen_ms, nodes, standing, rule, tail = (
        row
    )
    if not (
        type(header_raw) is type(work) is type(nodes) is bytes
        and type(chain_time)
        is type(parent_id)
        is type(skip_id)
        is type(first_seen_ms)
        is type(standing)
        is int
        and type(block_id) is int
        and type(rule) is str
    ):
        raise BadRow("a column of another type")
    try:
        header = decode_header(header_raw)
        record = BlockRecord(
            id=block_id,
            header=header,
            work=int.from_bytes(work, "big"),
            chain_time=chain_time,
            parent_id=parent_id,
            skip_id=skip_id,
            first_seen_ms=first_seen_ms,
            history_nodes=nodes,
            standing=Standing(standing),
            rule=rule,
        )
    except (RuleBroken, ValueError) as error:
        raise BadRow(str(error)) from None
    if hash_tail(header.hash) != tail:
        raise BadRow("its header hashes to another block")
    return record


def account_of_row(row: Row) -> Account:
    """Return the account of (balance, nonce). Raises BadRow."""
    balance, nonce = row
    if type(balance) is type(nonce) is int and 0 <= balance <= MAX_UINT and 0 <= nonce <= MAX_UINT:
        return Account(balance, nonce)
    raise BadRow("a balance or nonce that cannot be")


def pack_accounts(accounts: Iterable[tuple[bytes, Account]]) -> bytes:
    """Return accounts side by side, 64 bytes each: key, balance and nonce as 16 decimal digits."""
    return b"".join([b"%b%016d%016d" % (key, balance, nonce) for key, (balance, nonce) in accounts])


class BlockKeys(NamedTuple):
    """What one block of the main chain adds to the index."""

    txids: list[bytes]
    """One for each leaf, in order of position."""
    history: list[bytes]
    """One for each account that a leaf touches; may hold one twice."""


def keys_of_block(height: int, coinbase_leaf: bytes, miner: bytes, entries: Sequence[Entry]) -> BlockKeys:
    """Return the index keys of a block. A reward is at position 0, also where it matures later."""
    start = height.to_bytes(4, "big")
    places = [start + position.to_bytes(3, "big") for position in range(len(entries) + 1)]
    places_of_entries = places[1:]
    txids = [entry.txid[:8] + place for entry, place in zip(entries, places_of_entries, strict=True)]
    history = [entry.sender[:8] + place for entry, place in zip(entries, places_of_entries, strict=True)]
    history += [entry.recipient[:8] + place for entry, place in zip(entries, places_of_entries, strict=True)]
    history.append(miner[:8] + places[0])
    return BlockKeys([coinbase_leaf[:8] + places[0], *txids], history)


def pack_place(place: Place) -> bytes:
    """Return the last 7 bytes of a key; a place beyond what is possible is brought back to the last."""
    height, position = min(place.height, _MAX_HEIGHT), min(place.position, _MAX_POSITION)
    return height.to_bytes(4, "big") + position.to_bytes(3, "big")


def place_of_key(key: bytes) -> Place:
    """Return the place that a key ends in."""
    return Place(int.from_bytes(key[8:12], "big"), int.from_bytes(key[12:15], "big"))
