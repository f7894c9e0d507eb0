"""How blocks, accounts and the index over the main chain stand in SQLite's tables. Pure: values in, rows out.

The index has two tables of 15-byte keys: 8 bytes of a txid (or of an account's key), then the place, that is
height u32 and position u24, big-endian. Keys with the same 8 bytes are candidates, and whoever asks looks at
the entry itself. A key belongs to a *segment*, a range of heights with some thousands of entries: new keys
gather in few pages whatever the length of the chain, and a look-up probes each segment.

A row holds one key, or, in a segment that was written at once, up to KEYS_OF_ROW of them side by side. Rows
of a segment ascend and so do the keys in them: a key is in the last row that begins with it or below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from node.ledger import merkle
from node.ledger.block import decode_block, decode_coinbase, decode_header
from node.ledger.codec import MAX_UINT
from node.ledger.entry import Entry
from node.ledger.errors import Rule, RuleBroken
from node.ledger.state import Account
from node.storage.port import BlockRecord, Place, Standing

PREFIX_BYTES: Final = 8
PLACE_BYTES: Final = 7
KEY_BYTES: Final = PREFIX_BYTES + PLACE_BYTES
KEYS_OF_ROW: Final = 16
"""At most. More would save little, and make the inner pages of the tables wide."""
# Of an entry: behind the heads of the array and the bin, and the version, come 32 bytes; then a head again.
_SENDER: Final = slice(4, 36)
_RECIPIENT: Final = slice(38, 70)
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


class BlockKeys(NamedTuple):
    """What one block of the main chain adds to the index."""

    txids: list[bytes]
    """One for each leaf, in order of position."""
    history: list[bytes]
    """One for each account that a leaf touches."""


def keys_of_block(height: int, coinbase_leaf: bytes, miner: bytes, entries: Sequence[Entry]) -> BlockKeys:
    """Return the index keys of a block. A reward is at position 0, also where it matures later."""
    return _keys(
        height,
        [coinbase_leaf, *[entry.txid for entry in entries]],
        miner,
        [entry.sender for entry in entries],
        [entry.recipient for entry in entries],
    )


def keys_of_stored(raw: bytes, header: bytes) -> BlockKeys:
    """Return the index keys of a block from its stored bytes, once they hash to its header.

    Its entries were decoded when it was proven; here their keys are read where they always stand. Raises
    RuleBroken where the bytes are no longer that block's.
    """
    block = decode_block(raw)
    leaves = block.leaves()
    if (block.header.raw, block.body.root(), merkle.tree_root(leaves)) != (
        header,
        block.header.body_root,
        block.body.entries_root,
    ):
        raise RuleBroken(Rule.BODY_ROOT, "its bytes do not hash to its header")
    return _keys(
        block.header.height,
        leaves,
        decode_coinbase(block.first_leaf).miner,
        [entry[_SENDER] for entry in block.entries],
        [entry[_RECIPIENT] for entry in block.entries],
    )


def _keys(
    height: int,
    leaves: Sequence[bytes],
    miner: bytes,
    senders: Sequence[bytes],
    recipients: Sequence[bytes],
) -> BlockKeys:
    start = height.to_bytes(4, "big")
    places = [start + position.to_bytes(3, "big") for position in range(len(leaves))]
    txids = [leaf[:8] + place for leaf, place in zip(leaves, places, strict=True)]
    reward = places.pop(0)
    paying = [key[:8] + place for key, place in zip(senders, places, strict=True)]
    paid = [key[:8] + place for key, place in zip(recipients, places, strict=True)]
    # Who pays itself, or a key that begins alike, is touched once.
    others = [one for one, payer in zip(paid, paying, strict=True) if one != payer]
    return BlockKeys(txids, [miner[:8] + reward, *paying, *others])


def pack_place(place: Place) -> bytes:
    """Return the last 7 bytes of a key; a place beyond what is possible is brought back to the last."""
    height, position = min(place.height, _MAX_HEIGHT), min(place.position, _MAX_POSITION)
    return height.to_bytes(4, "big") + position.to_bytes(3, "big")


def keys_of_row(row: bytes) -> list[bytes]:
    """Return the keys of a row of the index."""
    return [row[at : at + KEY_BYTES] for at in range(0, len(row), KEY_BYTES)]


def place_of_key(key: bytes) -> Place:
    """Return the place that a key ends in."""
    return Place(int.from_bytes(key[8:12], "big"), int.from_bytes(key[12:15], "big"))
