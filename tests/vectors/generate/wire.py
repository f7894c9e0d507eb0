"""The wire: a frame for each message, the longest of them, and a handshake. Touches nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from tests.vectors.generate.keys import Pair, key, sign
from tests.vectors.generate.packing import Value, pack

ABOUT = (
    "A frame is u32 length (of what follows), u8 type, payload. `types`: numbers and longest payloads, where "
    "the block limit of the network is `maximum_block_bytes`. `messages`: fields and frames, the same both "
    "ways. `longest`: messages whose field holds `item` so many times, and the hash of their frame. "
    "`handshake`: two HELLOs, what the AUTH of each side signs, and both AUTHs; `compact_handshake`: the "
    "same with feature bit 0 set on both sides. `short_ids`: of entries in COMPACT_BLOCK, under the hash of "
    "its header. Bytes are hex."
)
BLOCK_LIMIT = 1 << 20
NETWORK = hashlib.sha256(b"indelible vectors: a network").digest()
RULES = hashlib.sha256(bytes.fromhex("91920001")).digest()  # the list [(0, 1)]: [[0, 1]]
TAG = b"indelible/auth/1\x00"
MAX = 2**53 - 1

TYPES = {
    # name: (number, longest payload)
    "HELLO": (1, 1_024),
    "AUTH": (2, 66),
    "PING": (3, 9),
    "PONG": (4, 9),
    "GET_ADDRESSES": (5, 1),
    "ADDRESSES": (6, 3 + 256 * (1 + 2 + 253 + 3 + 9)),
    "REJECT": (7, 128),
    "INVENTORY": (16, 5 + 32_000),
    "GET_DATA": (17, 5 + 32_000),
    "NOT_FOUND": (18, 5 + 32_000),
    "ENTRIES": (19, 3 + 1_000 * (3 + 512)),
    "GET_HEADERS": (20, 1 + 3 + 3_232 + 34),
    "HEADERS": (21, 5 + 184_000),
    "BLOCK": (22, BLOCK_LIMIT + 1_024),
    "COMPACT_BLOCK": (32, BLOCK_LIMIT // 16 + 1_024),
    "GET_BLOCK_ENTRIES": (33, BLOCK_LIMIT // 32 + 1_024),
    "BLOCK_ENTRIES": (34, BLOCK_LIMIT + 1_024),
}
COMPACT = ("COMPACT_BLOCK", "GET_BLOCK_ENTRIES", "BLOCK_ENTRIES")
"""Types that need feature bit 0."""
HELLO_FIELDS = (
    *("version", "network_id", "rules_hash", "identity", "nonce", "agent"),
    *("port", "height", "work", "time_ms", "features"),
)


def frame(number: int, payload: bytes) -> bytes:
    """Return a frame."""
    return (len(payload) + 1).to_bytes(4, "big") + bytes([number]) + payload


def named(name: str, payload: bytes) -> bytes:
    """Return a frame of a type."""
    return frame(TYPES[name][0], payload)


def digest(name: str) -> bytes:
    """Return 32 bytes for a name."""
    return hashlib.sha256(name.encode()).digest()


# ----------------------------------------------------------------------------------------- the handshake

DIALLER, DIALLED = key("dialler"), key("dialled")


def hello(pair: Pair, **other: Value) -> dict[str, Value]:
    """Return the fields of a HELLO, some of them as given."""
    usual: dict[str, Value] = {
        "version": 1,
        "network_id": NETWORK,
        "rules_hash": RULES,
        "identity": pair.public,
        "nonce": pair.seed[:16],
        "agent": "indelible/1.0",
        "port": 9000,
        "height": 1042,
        "work": (2**70).to_bytes(32, "big"),
        "time_ms": 1_793_491_200_000,
        "features": 0,
    }
    return usual | other


def hello_payload(fields: dict[str, Value]) -> bytes:
    """Return the payload of a HELLO."""
    return pack([fields[name] for name in HELLO_FIELDS])


HELLOS = {"dialler": hello(DIALLER), "dialled": hello(DIALLED, port=0, agent="another program")}
COMPACT_HELLOS = {"dialler": hello(DIALLER, features=1), "dialled": hello(DIALLED, features=(1 << 40) + 1)}
"""Of two nodes that have feature bit 0."""
PAIRS = {"dialler": DIALLER, "dialled": DIALLED}


def auth_message(role: bytes, dialler: bytes, dialled: bytes) -> bytes:
    """Return what an AUTH of this role signs, from the payloads of both HELLOs."""
    return TAG + NETWORK + hashlib.sha256(dialler).digest() + hashlib.sha256(dialled).digest() + role


ROLES = {"dialler": b"\x01", "dialled": b"\x02"}


def _signed(hellos: Mapping[str, dict[str, Value]]) -> dict[str, bytes]:
    payloads = hello_payload(hellos["dialler"]), hello_payload(hellos["dialled"])
    return {side: auth_message(role, *payloads) for side, role in ROLES.items()}


SIGNED = _signed(HELLOS)


def _side(side: str, hellos: Mapping[str, dict[str, Value]]) -> dict[str, object]:
    signed = _signed(hellos)[side]
    return {
        "seed": PAIRS[side].seed.hex(),
        "hello": _shown(hellos[side]),
        "hello_frame": named("HELLO", hello_payload(hellos[side])).hex(),
        "auth_signs": signed.hex(),
        "auth_frame": named("AUTH", pack(sign(PAIRS[side], signed))).hex(),
    }


def _shown(fields: dict[str, Value]) -> dict[str, object]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}


# ------------------------------------------------------------------------------------------ the messages


def hashes(count: int) -> list[bytes]:
    """Return some hashes."""
    return [digest(f"hash {number}") for number in range(count)]


HEADER = bytes(range(92))
ENTRY = b"\x99" + bytes(range(100))
ADDRESSES: list[Value] = [
    ["192.0.2.7", 9000, 1_793_491_200],
    ["2001:db8::1", 65_535, 0],
    ["h" * 253, 1, MAX],
]


def _messages() -> Iterator[dict[str, object]]:
    for side, greeting in HELLOS.items():
        yield _message(f"HELLO of the {side}", "HELLO", _shown(greeting), hello_payload(greeting))
    widest = hello(DIALLER, agent="\u00e9" * 32, port=65_535, height=2**32 - 1, work=b"\xff" * 32)
    widest |= {"time_ms": MAX, "features": MAX}
    yield _message("HELLO, every field at its widest", "HELLO", _shown(widest), hello_payload(widest))
    signature = digest("left") + digest("right")
    yield _message("AUTH", "AUTH", {"signature": signature.hex()}, pack(signature))
    for name in ("PING", "PONG"):
        for token in (0, 127, 128, 65_536, MAX):
            yield _message(f"{name} {token}", name, {"token": token}, pack(token))
    yield _message("GET_ADDRESSES", "GET_ADDRESSES", {}, b"\x90")
    for items in ([], ADDRESSES):
        yield _message(f"ADDRESSES, {len(items)}", "ADDRESSES", {"items": items}, pack(items))
    for code, refused in (("fee-too-low", digest("entry")), ("full", b""), ("x" * 48, digest("block"))):
        yield _message("REJECT", "REJECT", {"code": code, "id": refused.hex()}, pack([code, refused]))
    for name in ("INVENTORY", "GET_DATA", "NOT_FOUND"):
        for kind, count in ((1, 1), (2, 2), (1, 20)):
            every = hashes(count)
            fields = {"kind": kind, "hashes": _hex(every)}
            yield _message(f"{name} of {count}", name, fields, pack([kind, b"".join(every)]))
    for raws in ([ENTRY], [ENTRY, b"", b"\x90"], [ENTRY] * 16):
        yield _message(f"ENTRIES, {len(raws)}", "ENTRIES", {"raws": _hex(raws)}, pack([*raws]))
    for count, stop in ((1, bytes(32)), (11, digest("stop"))):
        fields = {"locator": _hex(hashes(count)), "stop": stop.hex()}
        payload = pack([b"".join(hashes(count)), stop])
        yield _message(f"GET_HEADERS, {count}", "GET_HEADERS", fields, payload)
    for count in (0, 1, 3):
        yield _message(f"HEADERS, {count}", "HEADERS", {"raws": _hex([HEADER] * count)}, pack(HEADER * count))
    for raw in (pack([HEADER, [1], [2], []]), b"", b"no block at all"):
        yield _message(f"BLOCK of {len(raw)} bytes", "BLOCK", {"raw": raw.hex()}, raw)
    yield from _compact_messages()


def _compact_messages() -> Iterator[dict[str, object]]:
    for count in (0, 1, 3):
        yield _compact(count)
    for positions in ([0], [0, 1, 2**32 - 1], list(range(5, 300, 7))):
        fields = {"block_hash": digest("block").hex(), "positions": positions}
        payload = pack([digest("block"), b"".join(at.to_bytes(4, "big") for at in positions)])
        yield _message(f"GET_BLOCK_ENTRIES, {len(positions)}", "GET_BLOCK_ENTRIES", fields, payload)
    for raws in ([ENTRY], [ENTRY, b"", b"\x90"], [ENTRY] * 1_100):
        fields = {"block_hash": digest("block").hex(), "raws": _hex(raws)}
        payload = pack([digest("block"), [*raws]])
        yield _message(f"BLOCK_ENTRIES, {len(raws)}", "BLOCK_ENTRIES", fields, payload)


COINBASE = pack([7, digest("miner"), 50_00, "note"])
ROOTS = [digest("entries"), digest("history"), bytes(32)]


def short_id(header: bytes, txid: bytes) -> bytes:
    """Return the short id of an entry in a COMPACT_BLOCK with this header."""
    key = hashlib.sha256(hashlib.sha256(header).digest()).digest()
    return hashlib.blake2b(txid, digest_size=6, key=key, person=b"indelible/short").digest()


def compact_payload(count: int, *, header: bytes = HEADER, coinbase: bytes = COINBASE) -> bytes:
    """Return the payload of a COMPACT_BLOCK of so many entries."""
    ids = b"".join(short_id(header, txid) for txid in hashes(count))
    return pack([header, [count + 1, *ROOTS], coinbase, ids])


def _compact(count: int) -> dict[str, object]:
    ids = b"".join(short_id(HEADER, txid) for txid in hashes(count))
    fields = {"header": HEADER.hex(), "body": [count + 1, *_hex(ROOTS)], "coinbase": COINBASE.hex()}
    shown = fields | {"short_ids": ids.hex()}
    return _message(f"COMPACT_BLOCK of {count} entries", "COMPACT_BLOCK", shown, compact_payload(count))


def _short_ids() -> Iterator[dict[str, str]]:
    for header in (HEADER, bytes(92)):
        for txid in hashes(3):
            block_hash = hashlib.sha256(hashlib.sha256(header).digest()).hexdigest()
            yield {"block_hash": block_hash, "txid": txid.hex(), "short_id": short_id(header, txid).hex()}


def _longest() -> Iterator[dict[str, object]]:
    one = digest("one")
    for name in ("INVENTORY", "GET_DATA", "NOT_FOUND"):
        yield _many(name, {"kind": 2}, "hashes", one, 1_000, pack([2, one * 1_000]))
    yield _many("ENTRIES", {}, "raws", b"e" * 512, 1_000, pack([b"e" * 512] * 1_000))
    stop = {"stop": bytes(32).hex()}
    yield _many("GET_HEADERS", stop, "locator", one, 101, pack([one * 101, bytes(32)]))
    yield _many("HEADERS", {}, "raws", HEADER, 2_000, pack(HEADER * 2_000))
    address: Value = ["h" * 253, 65_535, MAX]
    yield _many("ADDRESSES", {}, "items", address, 256, pack([address] * 256))
    yield {"type": "BLOCK", "fields": {}, "field": "raw", "item": "00", "count": BLOCK_LIMIT + 1_024} | (
        _hashed("BLOCK", bytes(BLOCK_LIMIT + 1_024))
    )
    most = BLOCK_LIMIT // 143
    body: Value = [most + 1, *ROOTS]
    fields = {"header": HEADER.hex(), "body": [most + 1, *_hex(ROOTS)], "coinbase": COINBASE.hex()}
    payload = pack([HEADER, body, COINBASE, b"sixsix" * most])
    yield _many("COMPACT_BLOCK", fields, "short_ids", b"sixsix", most, payload)
    block = {"block_hash": one.hex()}
    yield _many("BLOCK_ENTRIES", block, "raws", b"e" * 140, most, pack([one, [b"e" * 140] * most]))


def _message(why: str, name: str, fields: Mapping[str, object], payload: bytes) -> dict[str, object]:
    return {"why": why, "type": name, "fields": fields, "frame": named(name, payload).hex()}


def _many(
    name: str, others: Mapping[str, object], field: str, item: Value, count: int, payload: bytes
) -> dict[str, object]:
    shown = item.hex() if isinstance(item, bytes) else item
    return {"type": name, "fields": others, "field": field, "item": shown, "count": count} | (
        _hashed(name, payload)
    )


def _hashed(name: str, payload: bytes) -> dict[str, object]:
    return {
        "payload_bytes": len(payload),
        "frame_sha256": hashlib.sha256(named(name, payload)).hexdigest(),
    }


def _hex(pieces: list[bytes]) -> list[str]:
    return [piece.hex() for piece in pieces]


def make() -> dict[str, object]:
    """Return the whole file."""
    return {
        "about": ABOUT,
        "maximum_block_bytes": BLOCK_LIMIT,
        "rules_hash": RULES.hex(),
        "types": [{"name": name, "number": row[0], "limit": row[1]} for name, row in TYPES.items()],
        "messages": list(_messages()),
        "longest": list(_longest()),
        "handshake": {side: _side(side, HELLOS) for side in PAIRS},
        "compact_handshake": {side: _side(side, COMPACT_HELLOS) for side in PAIRS},
        "short_ids": list(_short_ids()),
    }
