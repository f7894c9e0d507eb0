"""The read API's answers about entries, pending ones too, and the one way to hand one in."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from node.answers import Json
from node.ledger import merkle
from node.proof_file import encode
from node.query import NotFound, Query, StoredBlock
from node.receipts import make_receipt
from node.web.answers import BINARY_TYPE, FOR_EVER, JSON_TYPE, WebError
from node.web.operations import TEXT, Asked, Operation, Payload, as_json, as_text
from node.web.params import OFFSET, REPLACE, TXID
from node.web.schemas import HASH, HEX, array, record, ref
from node.web.shown import status_of, tx_of

MAX_BODY: Final = 4_096
"""Bytes of a request's body: an entry has less than a thousand, twice that as hexadecimal."""
PAGE: Final = 1_000
"""Txids in one answer."""
RECENT: Final = 10
HISTOGRAM: Final = 100
"""Fees told apart."""

_HEX: Final = re.compile("(?:[0-9a-f]{2}){1,1024}")


async def _tx(asked: Asked) -> Payload:
    found = await _found(asked)
    if found["status"] == "conflicted":
        raise WebError(404, "conflicted", "another entry took its place, or its lifetime ended")
    if found["status"] == "unknown":
        raise WebError(404, "not-found", "there is no such entry", "check the txid")
    return as_json(tx_of(found))


async def _status(asked: Asked) -> Payload:
    return as_json(status_of(await _found(asked)))


async def _found(asked: Asked) -> Json:
    """Return what the book knows of an entry, or else what the node does."""
    txid: bytes = asked["txid"]
    found = await asked.context.read(lambda query: query.tx(txid))
    if found["status"] == "confirmed":
        return found
    known: Json = await asked.context.call("tx", txid=txid.hex())
    return known


async def _raw(asked: Asked) -> Payload:
    return Payload(await _bytes(asked), FOR_EVER)


async def _hex(asked: Asked) -> Payload:
    return as_text((await _bytes(asked)).hex(), FOR_EVER)


async def _bytes(asked: Asked) -> bytes:
    stored, position = await asked.context.read(lambda query: _placed(query, asked["txid"]))
    return stored.sane.block.entries[position - 1] if position else stored.sane.block.first_leaf


async def _merkle_proof(asked: Asked) -> Payload:
    stored, position = await asked.context.read(lambda query: _placed(query, asked["txid"]))
    leaves = stored.sane.leaves
    return as_json(
        {
            "block_height": stored.record.height,
            "block_hash": stored.record.hash.hex(),
            "pos": position,
            "tree_size": len(leaves),
            "merkle": [part.hex() for part in merkle.inclusion_proof(leaves, position)],
            "merkle_root": stored.sane.block.body.entries_root.hex(),
        }
    )


def _placed(query: Query, txid: bytes) -> tuple[StoredBlock, int]:
    """Return the block that holds an entry, and its position there. Raises NotFound."""
    found = query.tx(txid)
    stored = query.stored(bytes.fromhex(found["block"])) if found["status"] == "confirmed" else None
    if stored is None:
        raise NotFound("there is no such entry in a block of the main chain", "see /api/tx/TXID/status")
    return stored, found["position"]


async def _receipt(asked: Asked) -> Payload:
    parameters, txid = asked.context.parameters, asked["txid"]
    raw = await asked.context.read_book(lambda book: encode(make_receipt(book, parameters, txid)))
    name = f'attachment; filename="receipt-{txid.hex()[:16]}.json"'
    return Payload(raw, headers={"Content-Disposition": name})


async def _send(asked: Asked) -> Payload:
    raw = await _entry_in(asked)
    taken = await asked.context.call("submit", entry=raw, replace=asked["replace"])
    return as_text(taken["txid"], "no-store")


async def _entry_in(asked: Asked) -> str:
    """Return the entry of a request's body, in hexadecimal. Raises WebError."""
    media_type = asked.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (JSON_TYPE, BINARY_TYPE):
        hint = f"send {BINARY_TYPE}, or {JSON_TYPE} with its hexadecimal as `entry`"
        raise WebError(415, "unsupported-media-type", f"{media_type[:60]!a} is not taken", hint)
    body = await _body(asked)
    if media_type == BINARY_TYPE:
        if not body:
            raise WebError(422, "entry-encoding", "there is no entry", "send its bytes")
        return body.hex()
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    entry: Any = given.get("entry") if isinstance(given, dict) and set(given) == {"entry"} else None
    if not isinstance(entry, str) or not _HEX.fullmatch(entry):
        raise WebError(400, "invalid-params", "this is no entry", 'send {"entry": "9901…"}')
    return entry


async def _body(asked: Asked) -> bytes:
    body = b""
    async for chunk in asked.request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise WebError(413, "too-large", f"an entry is never longer than {MAX_BODY} bytes", "send one")
    return body


# ---------------------------------------------------------------------------------------------------- pending


async def _mempool(asked: Asked) -> Payload:
    count = (await asked.context.call("status"))["pending"]
    entries: list[Json] = await asked.context.call("pending", limit=PAGE) if count else []
    fees: dict[int, int] = {}
    for entry in entries:
        fees[entry["fee"]] = fees.get(entry["fee"], 0) + 1
    return as_json(
        {
            "count": count,
            "counted": len(entries),
            "total_fee": sum(entry["fee"] for entry in entries),
            "fee_histogram": [[fee, fees[fee]] for fee in sorted(fees, reverse=True)[:HISTOGRAM]],
        }
    )


async def _mempool_txids(asked: Asked) -> Payload:
    offset: int = asked["offset"]
    entries: list[Json] = await asked.context.call("pending", limit=PAGE, offset=offset)
    after = f"/api/mempool/txids?offset={offset + PAGE}" if len(entries) == PAGE else None
    return as_json([entry["txid"] for entry in entries], after=after)


async def _mempool_recent(asked: Asked) -> Payload:
    count = (await asked.context.call("status"))["pending"]
    entries: list[Json] = await asked.context.call("pending", limit=RECENT, offset=max(0, count - RECENT))
    return as_json(
        [
            {name: entry[name] for name in ("txid", "fee", "amount", "timestamp_ms")}
            for entry in reversed(entries)
        ]
    )


OPERATIONS: Final = (
    Operation(
        "/tx/{txid}", "tx", "An entry, pending or in a block", _tx, ref("Tx"), params=(TXID,), errors=(404,)
    ),
    Operation(
        "/tx/{txid}/status",
        "txStatus",
        "Where an entry stands; `unknown` is an answer",
        _status,
        ref("TxStatus"),
        params=(TXID,),
    ),
    Operation(
        "/tx/{txid}/merkle-proof",
        "txMerkleProof",
        "The proof that an entry is in its block",
        _merkle_proof,
        ref("MerkleProof"),
        params=(TXID,),
        errors=(404,),
    ),
    Operation(
        "/tx/{txid}/raw",
        "txRaw",
        "The bytes of an entry in a block",
        _raw,
        {},
        BINARY_TYPE,
        params=(TXID,),
        errors=(404,),
    ),
    Operation(
        "/tx/{txid}/hex",
        "txHex",
        "The same in hexadecimal",
        _hex,
        HEX,
        TEXT,
        params=(TXID,),
        errors=(404,),
    ),
    Operation(
        "/receipt/{txid}",
        "receipt",
        "A receipt, which proves itself (docs/receipts.md)",
        _receipt,
        {"type": "object"},
        params=(TXID,),
        errors=(404,),
    ),
    Operation(
        "/tx",
        "send",
        "Hand in a signed entry; its txid",
        _send,
        HASH,
        TEXT,
        method="POST",
        queries=(REPLACE,),
        errors=(413, 415, 422),
        bodies={
            JSON_TYPE: record("", entry={"type": "string", "pattern": f"^{_HEX.pattern}$"}),
            BINARY_TYPE: {},
        },
    ),
    Operation("/mempool", "mempool", "The pending entries, summed up", _mempool, ref("Mempool")),
    Operation(
        "/mempool/txids",
        "mempoolTxids",
        f"The txids of pending entries, the oldest first, {PAGE} a page",
        _mempool_txids,
        array(HASH, PAGE),
        queries=(OFFSET,),
        is_paged=True,
    ),
    Operation(
        "/mempool/recent",
        "mempoolRecent",
        f"The {RECENT} newest pending entries",
        _mempool_recent,
        array(ref("RecentTx"), RECENT),
    ),
)
