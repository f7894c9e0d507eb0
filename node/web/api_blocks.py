"""The read API's answers about blocks."""

from __future__ import annotations

from functools import partial
from typing import Final

from node.answers import Json, shown_address
from node.ledger.block import genesis_block
from node.ledger.params import Parameters
from node.query import NotFound, Query
from node.web.answers import ASK_AGAIN, BINARY_TYPE, FOR_EVER
from node.web.operations import TEXT, Asked, Operation, Payload, as_json, as_text
from node.web.params import BLOCK, HEIGHT_OF, INDEX, START, START_HEIGHT
from node.web.schemas import HASH, HEIGHT, HEX, array, ref
from node.web.shown import tx_of

BLOCKS: Final = 10
"""In one answer."""
ENTRIES: Final = 25
"""Of a block in one answer."""
_HEX_DIGITS: Final = 64
"""Of a txid."""


async def _tip_height(asked: Asked) -> Payload:
    return as_text(str((await asked.context.read(_tip))["height"]))


async def _tip_hash(asked: Asked) -> Payload:
    return as_text(str((await asked.context.read(_tip))["hash"]))


def _tip(query: Query) -> Json:
    (tip,) = query.headers(1)
    return {"height": tip.height, "hash": tip.hash.hex()}


async def _blocks(asked: Asked) -> Payload:
    parameters = asked.context.parameters
    top = asked.given.get("start_height")

    def newest(query: Query) -> list[Json]:
        headers = query.headers(BLOCKS, None if top is None else top + 1)
        if top is not None and (not headers or headers[0].height != top):
            raise NotFound(f"there is no block {top}", "it is above the tip")
        return [asked.context.kept.of(header.hash, partial(_block, query, parameters)) for header in headers]

    found = await asked.context.read(newest)
    lowest = found[-1]["height"]
    return as_json(found, after=f"/api/blocks/{lowest - 1}" if lowest else None)


async def _hash_at(asked: Asked) -> Payload:
    height: int = asked["height"]

    def at(query: Query) -> str:
        header = query.header(height)
        if header is None:
            raise NotFound(f"there is no block {height}", "it is above the tip")
        return header.hash.hex()

    return as_text(await asked.context.read(at))


async def _one(asked: Asked) -> Payload:
    parameters = asked.context.parameters
    make = asked.context.kept.of
    return as_json(
        await asked.context.read(lambda query: make(asked["hash"], partial(_block, query, parameters))),
        FOR_EVER,
    )


async def _status(asked: Asked) -> Payload:
    def status(query: Query) -> Json:
        stored = query.stored(asked["hash"])
        height = 0 if stored is None else stored.record.height
        is_main = stored is None or stored.confirmations > 0
        after = query.header(height + 1) if is_main else None
        return {
            "in_best_chain": is_main,
            "height": height,
            "next_best": None if after is None else after.hash.hex(),
        }

    return as_json(await asked.context.read(status))


async def _txids(asked: Asked) -> Payload:
    return as_json(await _leaves(asked), FOR_EVER)


async def _txid_at(asked: Asked) -> Payload:
    leaves, index = await _leaves(asked), asked["index"]
    if index >= len(leaves):
        raise NotFound(f"the block has no position {index}", f"its last is {len(leaves) - 1}")
    return as_text(leaves[index], FOR_EVER)


async def _leaves(asked: Asked) -> list[str]:
    """Return the txids of a block: from its bytes, hashed; asked for again, from what is kept of them."""
    kept = asked.context.kept_leaves.of
    joined = (await asked.context.read(lambda query: kept(asked["hash"], partial(_joined, query)))).hex()
    return [joined[at : at + _HEX_DIGITS] for at in range(0, len(joined), _HEX_DIGITS)]


def _joined(query: Query, name: bytes) -> bytes:
    stored = query.stored(name)
    return b"" if stored is None else b"".join(stored.sane.leaves)


async def _txs(asked: Asked) -> Payload:
    first: int = asked.given.get("start", 0)

    def part(query: Query) -> tuple[list[Json], int]:
        # The reward stands at position 0, and the others are counted from 1.
        found = query.part_of_block(asked["hash"], max(first, 1), ENTRIES - (first == 0))
        size = 1 + found["transactions"] if found["height"] else 0
        if first and first >= size:
            raise NotFound(f"the block has no position {first}", f"it has {size} entries")
        coinbase = [found["coinbase"]] if found["coinbase"] and not first else []
        return [tx_of(entry) for entry in (*coinbase, *found["entries"])], size

    entries, size = await asked.context.read(part)
    after = first + ENTRIES
    # Confirmations grow with the chain, so this may not be kept for ever.
    return as_json(
        entries,
        ASK_AGAIN,
        after=f"/api/block/{asked['hash'].hex()}/txs/{after}" if after < size else None,
    )


async def _raw(asked: Asked) -> Payload:
    stored = await asked.context.read(lambda query: query.stored(asked["hash"]))
    raw = genesis_block(asked.context.parameters).raw if stored is None else stored.sane.block.raw
    return Payload(raw, FOR_EVER)


async def _header(asked: Asked) -> Payload:
    stored = await asked.context.read(lambda query: query.stored(asked["hash"]))
    block = genesis_block(asked.context.parameters) if stored is None else stored.sane.block
    return as_text(block.header.raw.hex(), FOR_EVER)


def _block(query: Query, parameters: Parameters, name: bytes) -> Json:
    """Return the API's Block: all of it is fixed by the hash."""
    stored = query.stored(name)
    block = genesis_block(parameters) if stored is None else stored.sane.block
    coinbase = None if stored is None else stored.sane.coinbase
    header = block.header
    reward = parameters.reward(header.height) if header.height else 0
    return {
        "id": header.hash.hex(),
        "height": header.height,
        "version": header.version,
        "timestamp_ms": header.timestamp_ms,
        "tx_count": 0 if stored is None else len(stored.sane.leaves),
        "size": len(block.raw),
        "merkle_root": block.body.entries_root.hex(),
        "previousblockhash": header.previous.hex(),
        "nonce": hex(header.nonce),
        "bits": header.bits,
        "work": hex(0 if stored is None else stored.record.work),
        "miner": None if coinbase is None else shown_address(parameters.prefix, coinbase.miner),
        "reward": reward,
        "fees": 0 if coinbase is None else coinbase.amount - reward,
    }


OPERATIONS: Final = (
    Operation("/blocks/tip/height", "tipHeight", "Height of the newest block", _tip_height, HEIGHT, TEXT),
    Operation("/blocks/tip/hash", "tipHash", "Hash of the newest block", _tip_hash, HASH, TEXT),
    Operation(
        "/blocks",
        "blocks",
        f"The newest {BLOCKS} blocks",
        _blocks,
        array(ref("Block"), BLOCKS),
        is_paged=True,
    ),
    Operation(
        "/blocks/{start_height}",
        "blocksFrom",
        f"{BLOCKS} blocks from a height down",
        _blocks,
        array(ref("Block"), BLOCKS),
        params=(START_HEIGHT,),
        errors=(404,),
        is_paged=True,
    ),
    Operation(
        "/block-height/{height}",
        "hashAt",
        "Hash of the main chain's block at a height",
        _hash_at,
        HASH,
        TEXT,
        params=(HEIGHT_OF,),
        errors=(404,),
    ),
    Operation(
        "/block/{hash}", "block", "A block, of any branch", _one, ref("Block"), params=(BLOCK,), errors=(404,)
    ),
    Operation(
        "/block/{hash}/status",
        "blockStatus",
        "Whether a block is on the main chain, and what comes after it",
        _status,
        ref("BlockStatus"),
        params=(BLOCK,),
        errors=(404,),
    ),
    Operation(
        "/block/{hash}/txids",
        "blockTxids",
        "The txids of a block, its reward's first",
        _txids,
        array(HASH),
        params=(BLOCK,),
        errors=(404,),
    ),
    Operation(
        "/block/{hash}/txid/{index}",
        "blockTxid",
        "The txid at a position of a block",
        _txid_at,
        HASH,
        TEXT,
        params=(BLOCK, INDEX),
        errors=(404,),
    ),
    Operation(
        "/block/{hash}/txs",
        "blockTxs",
        f"The first {ENTRIES} entries of a block, its reward first",
        _txs,
        array(ref("Tx"), ENTRIES),
        params=(BLOCK,),
        errors=(404,),
        is_paged=True,
    ),
    Operation(
        "/block/{hash}/txs/{start}",
        "blockTxsFrom",
        f"{ENTRIES} entries of a block from a position on",
        _txs,
        array(ref("Tx"), ENTRIES),
        params=(BLOCK, START),
        errors=(404,),
        is_paged=True,
    ),
    Operation(
        "/block/{hash}/raw",
        "blockRaw",
        "The bytes of a block",
        _raw,
        {},
        BINARY_TYPE,
        params=(BLOCK,),
        errors=(404,),
    ),
    Operation(
        "/block/{hash}/header",
        "blockHeader",
        "The 92 bytes of a block's header, in hexadecimal",
        _header,
        HEX,
        TEXT,
        params=(BLOCK,),
        errors=(404,),
    ),
)
