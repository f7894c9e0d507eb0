"""A message as the bytes of its frame, and back.

Pure. A frame is u32 length (of what follows), u8 type, payload. A payload is canonical msgpack or a fault: an
array of the message's fields in the order of its record (`node.messages`); where there is one field, that
field itself; where there is none, the empty array. Hashes and headers travel as one bin, end to end.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, cast

from node.ledger import codec
from node.ledger.block import HEADER_BYTES, MAX_COUNT, Body, decode_coinbase
from node.ledger.codec import HASH_BYTES, MAX_UINT
from node.ledger.entry import MAX_ENTRY_BYTES, SIGNATURE_BYTES
from node.ledger.errors import RuleBroken
from node.ledger.params import MAX_HEIGHT, Parameters
from node.messages import (
    MAX_ADDRESSES,
    MAX_AGENT_BYTES,
    MAX_COINBASE_BYTES,
    MAX_ENTRIES,
    MAX_HASHES,
    MAX_HEADERS,
    MAX_HOST_BYTES,
    MAX_LOCATOR,
    NONCE_BYTES,
    PROTOCOL_VERSION,
    SHORT_ID_BYTES,
    WORK_BYTES,
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

FRAME: Final = struct.Struct(">IB")
"""Ahead of each payload: u32 length of the type and the payload together, u8 type."""

BLOCK_MARGIN: Final = 1 << 10
"""How far a BLOCK may pass the network's block limit; the rule block-size then says what is wrong with it."""
_IDS_SHARE: Final = 16
_POSITIONS_SHARE: Final = 32
"""An entry takes 143 bytes of a block or more, and 6 in COMPACT_BLOCK, 4 in GET_BLOCK_ENTRIES: these parts of
the block limit hold as many as a block does, and the margin what stands before them."""

_POSITION_BYTES: Final = 4
_MAX_PORT: Final = 2**16 - 1
_CODE: Final = re.compile(r"[a-z0-9-]{1,48}", re.ASCII)


class BadPayload(ValueError):
    """A payload that is not what its type says."""


class OtherVersion(ValueError):
    """A HELLO of another protocol version, whose other fields are therefore not looked at."""


def encode(message: Message) -> bytes:
    """Return the whole frame; the same for every peer.

    Raises ValueError where the message is beyond its bounds: our own mistake, which no peer must pay for.
    """
    form = _FORM_OF[type(message)]
    payload: bytes = form.pack(message)
    if not form.share and len(payload) > form.limit:
        raise ValueError(f"{form.number.name} of {len(payload)} bytes, at most {form.limit}")
    return frame(form.number, payload)


def frame(number: int, payload: bytes) -> bytes:
    """Return u32 length || u8 type || payload."""
    return FRAME.pack(len(payload) + 1, number) + payload


def decode(number: Type, payload: bytes) -> Message:
    """Return the message that a frame of this type holds. Raises BadPayload, OtherVersion."""
    return _UNPACK[number](payload)


def limits(parameters: Parameters) -> dict[int, int]:
    """Return the longest payload of each type on this network, in bytes."""
    block = parameters.maximum_block_bytes
    return {form.number: form.limit + (block // form.share if form.share else 0) for form in _FORMS}


# ------------------------------------------------------------------------------------- parts of payloads


def _value(payload: bytes) -> object:
    try:
        return codec.decode(payload)
    except codec.NotCanonical as error:
        raise BadPayload(str(error)) from None


def _uint(value: object, most: int = MAX_UINT) -> int:
    if type(value) is int and 0 <= value <= most:
        return value
    raise BadPayload(f"not an integer from 0 to {most}")


def _bin(value: object, length: int) -> bytes:
    if type(value) is bytes and len(value) == length:
        return value
    raise BadPayload(f"not bin of {length}")


def _text(value: object, longest: int) -> str:
    if type(value) is str and codec.is_text(value) and len(value.encode()) <= longest:
        return value
    raise BadPayload(f"not text of at most {longest} bytes without control characters")


def _array(value: object, least: int, most: int) -> tuple[object, ...]:
    if type(value) is tuple and least <= len(value) <= most:
        return value
    raise BadPayload(f"not an array of {least}" + ("" if least == most else f" to {most}"))


def _split(value: object, size: int, least: int, most: int) -> tuple[bytes, ...]:
    """Cut one bin into pieces of `size`: one check, where an array of bins would need one each."""
    if type(value) is bytes and len(value) % size == 0 and least <= len(value) // size <= most:
        return tuple(value[at : at + size] for at in range(0, len(value), size))
    raise BadPayload(f"not bin of {least} to {most} times {size}")


def _join(pieces: Sequence[bytes], size: int, least: int, most: int) -> bytes:
    joined = b"".join(pieces)
    if not least <= len(pieces) <= most or len(joined) != size * len(pieces):
        raise ValueError(f"{len(pieces)} pieces of {len(joined)} bytes, not {least} to {most} of {size} each")
    return joined


# ----------------------------------------------------------------------------------------- the handshake


def _pack_hello(hello: Hello) -> bytes:
    return codec.encode(
        (
            hello.version,
            hello.network_id,
            hello.rules_hash,
            hello.identity,
            hello.nonce,
            hello.agent,
            hello.port,
            hello.height,
            hello.work.to_bytes(WORK_BYTES, "big"),
            hello.time_ms,
            hello.features,
        )
    )


def _unpack_hello(payload: bytes) -> Hello:
    value = _value(payload)
    if type(value) is tuple and value and codec.is_uint(value[0]) and value[0] != PROTOCOL_VERSION:
        raise OtherVersion(f"it speaks protocol version {value[0]}, this node {PROTOCOL_VERSION}")
    version, network, rules, identity, nonce, agent, port, height, work, time_ms, features = _array(
        value, 11, 11
    )
    return Hello(
        version=_uint(version),
        network_id=_bin(network, HASH_BYTES),
        rules_hash=_bin(rules, HASH_BYTES),
        identity=_bin(identity, HASH_BYTES),
        nonce=_bin(nonce, NONCE_BYTES),
        agent=_text(agent, MAX_AGENT_BYTES),
        port=_uint(port, _MAX_PORT),
        height=_uint(height, MAX_HEIGHT),
        work=int.from_bytes(_bin(work, WORK_BYTES), "big"),
        time_ms=_uint(time_ms),
        features=_uint(features),
    )


# -------------------------------------------------------------------------------------- everything else


def _unpack_get_addresses(payload: bytes) -> GetAddresses:
    _array(_value(payload), 0, 0)
    return GetAddresses()


def _unpack_address(value: object) -> Address:
    host, port, last_seen_s = _array(value, 3, 3)
    address = Address(_text(host, MAX_HOST_BYTES), _uint(port, _MAX_PORT), _uint(last_seen_s))
    if not (address.host and address.port):
        raise BadPayload("an address without host or port")
    return address


def _unpack_addresses(payload: bytes) -> Addresses:
    return Addresses(tuple(map(_unpack_address, _array(_value(payload), 0, MAX_ADDRESSES))))


def _unpack_reject(payload: bytes) -> Reject:
    code, name = _array(_value(payload), 2, 2)
    if type(code) is not str or _CODE.fullmatch(code) is None:
        raise BadPayload("not a code of 1 to 48 lower-case letters, digits and hyphens")
    return Reject(code, _bin(name, HASH_BYTES if name else 0))


def _pack_hashes(message: Inventory | GetData | NotFound) -> bytes:
    return codec.encode((int(message.kind), _join(message.hashes, HASH_BYTES, 1, MAX_HASHES)))


def _unpack_hashes(payload: bytes) -> tuple[Kind, tuple[bytes, ...]]:
    number, hashes = _array(_value(payload), 2, 2)
    if type(number) is not int or number not in _KINDS:
        raise BadPayload("a kind of thing that is neither entry (1) nor block (2)")
    return Kind(number), _split(hashes, HASH_BYTES, 1, MAX_HASHES)


_KINDS: Final = tuple(map(int, Kind))


def _unpack_entries(payload: bytes) -> Entries:
    raws = _array(_value(payload), 1, MAX_ENTRIES)
    if set(map(type, raws)) != {bytes}:
        raise BadPayload("an entry that is not bin")
    return Entries(cast("tuple[bytes, ...]", raws))


def _pack_entries(entries: Entries) -> bytes:
    if not 1 <= len(entries.raws) <= MAX_ENTRIES:
        raise ValueError(f"{len(entries.raws)} entries, not 1 to {MAX_ENTRIES}")
    return codec.encode(entries.raws)


def _pack_get_headers(message: GetHeaders) -> bytes:
    return codec.encode((_join(message.locator, HASH_BYTES, 1, MAX_LOCATOR), message.stop))


def _unpack_get_headers(payload: bytes) -> GetHeaders:
    locator, stop = _array(_value(payload), 2, 2)
    return GetHeaders(_split(locator, HASH_BYTES, 1, MAX_LOCATOR), _bin(stop, HASH_BYTES))


def _pack_headers(headers: Headers) -> bytes:
    return codec.encode(_join(headers.raws, HEADER_BYTES, 0, MAX_HEADERS))


def _unpack_headers(payload: bytes) -> Headers:
    return Headers(_split(_value(payload), HEADER_BYTES, 0, MAX_HEADERS))


# ----------------------------------------------------------------------------------------- compact blocks


def _pack_compact(compact: CompactBlock) -> bytes:
    return codec.encode((compact.header, compact.body.fields(), compact.coinbase, compact.short_ids))


def _unpack_compact(payload: bytes) -> CompactBlock:
    header, body, coinbase, short_ids = _array(_value(payload), 4, 4)
    if type(short_ids) is not bytes or len(short_ids) % SHORT_ID_BYTES:
        raise BadPayload(f"not bin of some times {SHORT_ID_BYTES}")
    return CompactBlock(_bin(header, HEADER_BYTES), _body(body), _coinbase(coinbase), short_ids)


def _body(value: object) -> Body:
    count, *roots = _array(value, 4, 4)
    return Body(_uint(count, MAX_COUNT), *(_bin(root, HASH_BYTES) for root in roots))


def _coinbase(value: object) -> bytes:
    if type(value) is not bytes or len(value) > MAX_COINBASE_BYTES:
        raise BadPayload(f"not bin of at most {MAX_COINBASE_BYTES}")
    try:
        decode_coinbase(value)
    except RuleBroken as broken:
        raise BadPayload(str(broken)) from None
    return value


def _pack_get_block_entries(asked: GetBlockEntries) -> bytes:
    if not asked.positions:
        raise ValueError("no positions, at least one")
    return codec.encode((asked.block_hash, struct.pack(f">{len(asked.positions)}I", *asked.positions)))


def _unpack_get_block_entries(payload: bytes) -> GetBlockEntries:
    block_hash, packed = _array(_value(payload), 2, 2)
    if type(packed) is not bytes or not packed or len(packed) % _POSITION_BYTES:
        raise BadPayload(f"not bin of one or more times {_POSITION_BYTES}")
    positions = struct.unpack(f">{len(packed) // _POSITION_BYTES}I", packed)
    if any(after <= before for before, after in pairwise(positions)):
        raise BadPayload("positions that do not ascend")
    return GetBlockEntries(_bin(block_hash, HASH_BYTES), positions)


def _pack_block_entries(entries: BlockEntries) -> bytes:
    if not entries.raws:
        raise ValueError("no entries, at least one")
    return codec.encode((entries.block_hash, entries.raws))


def _unpack_block_entries(payload: bytes) -> BlockEntries:
    # As a block is read: there may be more of them than any other array holds.
    reader = codec.Reader(payload)
    try:
        if reader.array() != 2:
            raise BadPayload("not an array of 2")
        block_hash = _bin(reader.bin(), HASH_BYTES)
        raws = tuple(reader.bins())
        reader.end()
    except codec.NotCanonical as error:
        raise BadPayload(str(error)) from None
    if not raws:
        raise BadPayload("no entries")
    return BlockEntries(block_hash, raws)


# ---------------------------------------------------------------------------------------------- the table


class _Form(NamedTuple):
    """How one type is written and read."""

    number: Type
    limit: int
    """The longest payload, bytes."""
    record: type[Message]
    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes], Message]
    share: int = 0
    """Where not 0, this part of the network's block limit is allowed on top: 1 / share."""


_HASHES: Final = 1 + 1 + 3 + MAX_HASHES * HASH_BYTES
_LOCATOR: Final = 1 + 3 + MAX_LOCATOR * HASH_BYTES + 2 + HASH_BYTES
_ADDRESSES: Final = 3 + MAX_ADDRESSES * (1 + 2 + MAX_HOST_BYTES + 3 + 9)
_ENTRIES: Final = 3 + MAX_ENTRIES * (3 + MAX_ENTRY_BYTES)

_FORMS: Final = (
    _Form(Type.HELLO, 1 << 10, Hello, _pack_hello, _unpack_hello),
    _Form(
        Type.AUTH,
        2 + SIGNATURE_BYTES,
        Auth,
        lambda auth: codec.encode(auth.signature),
        lambda payload: Auth(_bin(_value(payload), SIGNATURE_BYTES)),
    ),
    _Form(
        Type.PING,
        9,
        Ping,
        lambda ping: codec.encode(ping.token),
        lambda payload: Ping(_uint(_value(payload))),
    ),
    _Form(
        Type.PONG,
        9,
        Pong,
        lambda pong: codec.encode(pong.token),
        lambda payload: Pong(_uint(_value(payload))),
    ),
    _Form(Type.GET_ADDRESSES, 1, GetAddresses, lambda _: codec.encode(()), _unpack_get_addresses),
    _Form(
        Type.ADDRESSES,
        _ADDRESSES,
        Addresses,
        lambda addresses: codec.encode(addresses.items),
        _unpack_addresses,
    ),
    _Form(Type.REJECT, 128, Reject, lambda reject: codec.encode((reject.code, reject.id)), _unpack_reject),
    _Form(
        Type.INVENTORY, _HASHES, Inventory, _pack_hashes, lambda payload: Inventory(*_unpack_hashes(payload))
    ),
    _Form(Type.GET_DATA, _HASHES, GetData, _pack_hashes, lambda payload: GetData(*_unpack_hashes(payload))),
    _Form(
        Type.NOT_FOUND, _HASHES, NotFound, _pack_hashes, lambda payload: NotFound(*_unpack_hashes(payload))
    ),
    _Form(Type.ENTRIES, _ENTRIES, Entries, _pack_entries, _unpack_entries),
    _Form(Type.GET_HEADERS, _LOCATOR, GetHeaders, _pack_get_headers, _unpack_get_headers),
    _Form(Type.HEADERS, 5 + MAX_HEADERS * HEADER_BYTES, Headers, _pack_headers, _unpack_headers),
    _Form(Type.BLOCK, BLOCK_MARGIN, BlockMessage, lambda block: block.raw, BlockMessage, share=1),
    _Form(Type.COMPACT_BLOCK, BLOCK_MARGIN, CompactBlock, _pack_compact, _unpack_compact, share=_IDS_SHARE),
    _Form(
        Type.GET_BLOCK_ENTRIES,
        BLOCK_MARGIN,
        GetBlockEntries,
        _pack_get_block_entries,
        _unpack_get_block_entries,
        share=_POSITIONS_SHARE,
    ),
    _Form(
        Type.BLOCK_ENTRIES, BLOCK_MARGIN, BlockEntries, _pack_block_entries, _unpack_block_entries, share=1
    ),
)
_FORM_OF: Final = {form.record: form for form in _FORMS}
_UNPACK: Final = {form.number: form.unpack for form in _FORMS}
