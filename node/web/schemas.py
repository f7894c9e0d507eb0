"""What the objects of the read API look like: JSON Schema for its OpenAPI document. Pure."""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

MOST: Final = 2**53 - 1
MAX_HEIGHT: Final = 2**32 - 1
HASH: Final[Json] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
HEX: Final[Json] = {"type": "string", "pattern": "^([0-9a-f]{2})*$"}
NUMBER_AS_HEX: Final[Json] = {"type": "string", "pattern": "^0x[0-9a-f]+$"}
UINT: Final[Json] = {"type": "integer", "minimum": 0, "maximum": MOST}
INTEGER: Final[Json] = {"type": "integer", "minimum": -MOST, "maximum": MOST}
HEIGHT: Final[Json] = {"type": "integer", "minimum": 0, "maximum": MAX_HEIGHT}
TEXT: Final[Json] = {"type": "string"}
BOOLEAN: Final[Json] = {"type": "boolean"}


def record(description: str = "", **fields: Json) -> Json:
    """Return the schema of an object with exactly these fields."""
    schema: Json = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    return schema | ({"description": description} if description else {})


def maybe(schema: Json, description: str = "") -> Json:
    """Return the schema of a value that may be null."""
    either: Json = {"anyOf": [schema, {"type": "null"}]}
    return either | ({"description": description} if description else {})


def array(of: Json, most: int | None = None) -> Json:
    """Return the schema of a list."""
    return {"type": "array", "items": of} | ({} if most is None else {"maxItems": most})


def described(schema: Json, description: str) -> Json:
    """Return a schema with words."""
    return schema | {"description": description}


def ref(name: str) -> Json:
    """Return a reference to one of OBJECTS."""
    return {"$ref": f"#/components/schemas/{name}"}


_TX_FIELDS: Final = {
    "txid": HASH,
    "is_reward": described(BOOLEAN, "Made by its block, and sent by nobody."),
    "sender": maybe(TEXT, "Null for a reward."),
    "recipient": TEXT,
    "amount": UINT,
    "fee": UINT,
    "nonce": maybe(UINT, "Null for a reward."),
    "timestamp_ms": described(UINT, "The payer's time; a reward's is its block's."),
    "memo": TEXT,
    "status": ref("TxStatus"),
}

OBJECTS: Final[dict[str, Json]] = {
    "Error": record(
        "What happened (`code`, stable), and what to do next.", code=TEXT, message=TEXT, hint=TEXT
    ),
    "Block": record(
        "A block. `id` is its hash, `tx_count` counts its reward too.",
        id=HASH,
        height=HEIGHT,
        version=HEIGHT,
        timestamp_ms=UINT,
        tx_count=UINT,
        size=described(UINT, "Bytes."),
        merkle_root=described(HASH, "Over the txids, its reward the first (RFC 6962)."),
        previousblockhash=HASH,
        nonce=NUMBER_AS_HEX,
        bits=UINT,
        work=described(NUMBER_AS_HEX, "Cumulative, from genesis."),
        miner=maybe(TEXT, "Null in genesis."),
        reward=described(UINT, "Without fees."),
        fees=UINT,
    ),
    "BlockStatus": record(
        "",
        in_best_chain=BOOLEAN,
        height=HEIGHT,
        next_best=maybe(HASH, "The next block; null at the tip and on a side branch."),
    ),
    "TxStatus": record(
        "Where an entry stands.",
        confirmed=BOOLEAN,
        state={"enum": ["pending", "confirmed", "conflicted", "unknown"]},
        block_height=maybe(HEIGHT),
        block_hash=maybe(HASH),
        block_time_ms=maybe(UINT),
        position=maybe(UINT, "Leaf of its block; 0 is the reward."),
        confirmations=described(UINT, "Blocks from its own to the tip."),
    ),
    "Tx": record("An entry, or a reward. Amounts are integers of the smallest unit.", **_TX_FIELDS),
    "AddressTx": record(
        "An entry as one account sees it.",
        **_TX_FIELDS,
        direction={"enum": ["in", "out", "self", "reward"]},
        balance=maybe(INTEGER, "Once it was applied; null where `balance` was not handed over."),
    ),
    "MerkleProof": record(
        "An inclusion proof after RFC 6962.",
        block_height=HEIGHT,
        block_hash=HASH,
        pos=described(UINT, "Index of the leaf."),
        tree_size=UINT,
        merkle=described(array(HASH), "From the leaf up."),
        merkle_root=HASH,
    ),
    "Address": record(
        "",
        address=TEXT,
        confirmed=UINT,
        pending=described(INTEGER, "What pending entries will change it by."),
        next_nonce=described(UINT, "The lowest that neither the book nor a pending entry uses."),
    ),
    "Mempool": record(
        "The pending entries, summed up over the oldest 1,000.",
        count=described(UINT, "All of them."),
        counted=described(UINT, "Those that the sums are over."),
        total_fee=UINT,
        fee_histogram=described(
            array({"type": "array", "items": UINT, "minItems": 2, "maxItems": 2}, 100),
            "[fee, entries that offer it], the highest fee first.",
        ),
    ),
    "RecentTx": record("", txid=HASH, fee=UINT, amount=UINT, timestamp_ms=UINT),
    "Tip": record(
        "The end of a branch.",
        hash=HASH,
        height=HEIGHT,
        branch_length=described(UINT, "Blocks that are not on the main chain."),
        status={"enum": ["active", "valid-fork", "headers-only", "invalid"]},
    ),
    "Peer": record(
        "A connection. What leads to people is null for viewers on other machines.",
        address=maybe(TEXT),
        name=maybe(TEXT),
        node_id=maybe(HASH),
        direction={"enum": ["in", "out"]},
        agent=TEXT,
        height=HEIGHT,
        latency_ms=maybe(UINT),
        bytes_in=maybe(UINT),
        bytes_out=maybe(UINT),
        score=maybe(INTEGER),
        connected_s=UINT,
    ),
    "Info": record(
        "What a wallet needs to know before it signs.",
        network=TEXT,
        network_id=HASH,
        prefix=described(TEXT, "Of addresses."),
        symbol=TEXT,
        decimals=UINT,
        interval_ms=UINT,
        minimum_fee=UINT,
        reward=described(UINT, "Of the next block."),
    ),
}
"""By name, for `ref`."""
