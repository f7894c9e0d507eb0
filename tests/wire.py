"""Messages of the wire for the tests: from the vectors, and any."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from node.ledger.block import Body, Coinbase
from node.messages import (
    Address,
    Addresses,
    Auth,
    BlockEntries,
    BlockMessage,
    CompactBlock,
    Entries,
    GetAddresses,
    GetBlockEntries,
    GetData,
    GetHeaders,
    Headers,
    Hello,
    Inventory,
    Kind,
    Message,
    NotFound,
    Ping,
    Pong,
    Reject,
    Type,
)

hash_bytes = st.binary(min_size=32, max_size=32)
u53 = st.integers(0, 2**53 - 1)
texts = st.text(st.characters(exclude_categories=["C"]), max_size=16)
many_hashes = st.lists(hash_bytes, min_size=1, max_size=5).map(tuple)
kinds = st.sampled_from(Kind)
hellos = st.builds(
    Hello,
    version=st.just(1),
    network_id=hash_bytes,
    rules_hash=hash_bytes,
    identity=hash_bytes,
    nonce=st.binary(min_size=16, max_size=16),
    agent=texts,
    port=st.integers(0, 65_535),
    height=st.integers(0, 2**32 - 1),
    work=st.integers(0, 2**256 - 1),
    time_ms=u53,
    features=u53,
)
addresses = st.builds(Address, texts.filter(bool), st.integers(1, 65_535), u53)
BY_TYPE: dict[Type, st.SearchStrategy[Message]] = {
    Type.HELLO: hellos,
    Type.AUTH: st.builds(Auth, st.binary(min_size=64, max_size=64)),
    Type.PING: st.builds(Ping, u53),
    Type.PONG: st.builds(Pong, u53),
    Type.GET_ADDRESSES: st.just(GetAddresses()),
    Type.ADDRESSES: st.builds(Addresses, st.lists(addresses, max_size=4).map(tuple)),
    Type.REJECT: st.builds(
        Reject, st.from_regex("[a-z0-9-]{1,48}", fullmatch=True), hash_bytes | st.just(b"")
    ),
    Type.INVENTORY: st.builds(Inventory, kinds, many_hashes),
    Type.GET_DATA: st.builds(GetData, kinds, many_hashes),
    Type.NOT_FOUND: st.builds(NotFound, kinds, many_hashes),
    Type.ENTRIES: st.builds(Entries, st.lists(st.binary(max_size=300), min_size=1, max_size=4).map(tuple)),
    Type.GET_HEADERS: st.builds(GetHeaders, many_hashes, hash_bytes),
    Type.HEADERS: st.builds(Headers, st.lists(st.binary(min_size=92, max_size=92), max_size=3).map(tuple)),
    Type.BLOCK: st.builds(BlockMessage, st.binary(max_size=300)),
    Type.COMPACT_BLOCK: st.builds(
        CompactBlock,
        st.binary(min_size=92, max_size=92),
        st.builds(Body, st.integers(0, 2**32 - 1), hash_bytes, hash_bytes, hash_bytes),
        st.builds(Coinbase, u53, hash_bytes, u53, texts).map(Coinbase.encode),
        st.lists(st.binary(min_size=6, max_size=6), max_size=5).map(b"".join),
    ),
    Type.GET_BLOCK_ENTRIES: st.builds(
        GetBlockEntries,
        hash_bytes,
        st.sets(st.integers(0, 2**32 - 1), min_size=1, max_size=5).map(sorted).map(tuple),
    ),
    Type.BLOCK_ENTRIES: st.builds(
        BlockEntries, hash_bytes, st.lists(st.binary(max_size=300), min_size=1, max_size=4).map(tuple)
    ),
}
"""Any message of each type."""
messages = st.one_of(*BY_TYPE.values())
"""Any message."""


def hello_of(fields: dict[str, Any]) -> Hello:
    """The HELLO with these fields of a vector."""
    bins = ("network_id", "rules_hash", "identity", "nonce")
    return Hello(
        **(fields | {name: bytes.fromhex(fields[name]) for name in bins} | {"work": int(fields["work"], 16)})
    )
