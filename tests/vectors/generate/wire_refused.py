"""The wire: bytes that a peer is refused for, with the fault, and bytes that are skipped. Touches nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from tests.vectors.generate.keys import key, sign
from tests.vectors.generate.packing import Value, array_as, binary, pack, text, text_as, uint
from tests.vectors.generate.wire import (
    COINBASE,
    COMPACT,
    DIALLED,
    DIALLER,
    HEADER,
    HELLOS,
    NETWORK,
    PAIRS,
    ROOTS,
    SIGNED,
    TAG,
    TYPES,
    auth_message,
    digest,
    frame,
    hello,
    hello_payload,
    named,
)

ABOUT = (
    "What a peer sends at a stage of the handshake of wire.json (`hello`: first thing; `auth`: after its "
    "HELLO; `open`: after its AUTH; `compact`: after its AUTH in the compact_handshake), `we` being the "
    "other side of it. `refused`: so many `messages` are taken, then the fault. `skipped`: nothing comes of "
    "it. Bytes are hex."
)
OTHER_NETWORK = hashlib.sha256(b"indelible vectors: another network").digest()
NEEDS_A_FEATURE = (32, 33, 34, 48, 49)
OTHER = {"dialler": "dialled", "dialled": "dialler"}

Refusal = tuple[str, str, str, list[bytes], str]
"""Why, the side that we are, stage, frames that the peer sends (all but the last are taken), fault."""

PING = named("PING", b"\x07")


def _refused() -> Iterator[Refusal]:
    yield from _strangers()
    yield from _hellos()
    yield from _auths()
    yield from _out_of_place()
    for why, name, payload in (*_bad_payloads(), *_bad_compact()):
        yield f"{name}: {why}", "dialled", _open(name), [PING, named(name, payload)], "bad-payload"
    for name, (number, longest) in TYPES.items():
        if name not in {"HELLO", "AUTH"}:
            head = (longest + 2).to_bytes(4, "big") + bytes([number])
            why = f"{name}: the head of one byte too many"
            yield why, "dialler", _open(name), [PING, head], "frame-too-long"
    for number in (128, 255):
        head = (65_538).to_bytes(4, "big") + bytes([number])
        yield f"type {number}: too long to be skipped", "dialler", "open", [head], "frame-too-long"


def _strangers() -> Iterator[Refusal]:
    for why, raw, fault in (
        ("a frame of no bytes", bytes(4), "frame-empty"),
        ("a web browser", b"GET / HTTP/1.1\r\n\r\n", "unknown-type"),
        ("a TLS greeting", bytes.fromhex("1603010200010001fc0303"), "unknown-type"),
        ("the head of a HELLO of 1,025 bytes", bytes.fromhex("0000040201"), "frame-too-long"),
        ("the head of a HELLO of 4 GiB", bytes.fromhex("ffffffff01"), "frame-too-long"),
        ("the head of an unknown type, 1,025 bytes", bytes.fromhex("0000040280"), "frame-too-long"),
        ("AUTH first", named("AUTH", pack(bytes(64))), "before-handshake"),
        ("PING first", PING, "before-handshake"),
        ("BLOCK first", bytes.fromhex("0000040116"), "before-handshake"),
        ("type 0", frame(0, b""), "unknown-type"),
    ):
        yield why, "dialled", "hello", [raw], fault


def _hellos() -> Iterator[Refusal]:
    def one(why: str, fault: str, **other: Value) -> Refusal:
        return why, "dialled", "hello", [named("HELLO", hello_payload(hello(DIALLER, **other)))], fault

    yield one("another network", "wrong-network", network_id=OTHER_NETWORK)
    yield one("version 2", "wrong-version", version=2)
    yield one("version 0", "wrong-version", version=0)
    yield one("version 2 of another network", "wrong-version", version=2, network_id=OTHER_NETWORK)
    later = named("HELLO", pack([2, "all else is", ["different"]]))
    yield "version 2, of another form", "dialled", "hello", [later], "wrong-version"
    yield one("our own nonce", "self-connection", nonce=DIALLED.seed[:16])
    yield one("our own identity", "same-identity", identity=DIALLED.public)
    own = named("HELLO", hello_payload(HELLOS["dialled"]))
    yield "our own HELLO", "dialled", "hello", [own], "self-connection"
    for why, name, value in (
        ("network id of 31 bytes", "network_id", bytes(31)),
        ("network id as text", "network_id", "n" * 32),
        ("rules hash of 33 bytes", "rules_hash", bytes(33)),
        ("no identity", "identity", b""),
        ("nonce of 15 bytes", "nonce", bytes(15)),
        ("agent of 65 bytes", "agent", "a" * 65),
        ("agent with ESC", "agent", "\x1b[2J"),
        ("agent as bin", "agent", b"indelible"),
        ("port 65536", "port", 65_536),
        ("height 2^32", "height", 2**32),
        ("work as an integer", "work", 1),
        ("work of 31 bytes", "work", bytes(31)),
        ("time 2^53", "time_ms", 2**53),
        ("features 2^53", "features", 2**53),
    ):
        yield one(why, "bad-payload", **{name: value})
    right = hello_payload(HELLOS["dialler"])
    for why, payload in (
        ("no payload", b""),
        ("an empty array", b"\x90"),
        ("ten fields", b"\x9a" + right[1:-1]),
        ("twelve fields", b"\x9c" + right[1:] + b"\x00"),
        ("a byte left over", right + b"\x00"),
        ("a byte short", right[:-1]),
        ("a longer head", array_as(11, 2) + right[1:]),
        ("version true", b"\x9b\xc3" + right[2:]),
        ("version nil", b"\x9b\xc0" + right[2:]),
        ("version 1 in 2 bytes", b"\x9b" + uint(1, 1) + right[2:]),
        ("version -1", b"\x9b\xff" + right[2:]),
    ):
        yield f"HELLO: {why}", "dialler", "hello", [named("HELLO", payload)], "bad-payload"


def _auths() -> Iterator[Refusal]:
    def one(why: str, we: str, signature: bytes, fault: str = "bad-auth") -> Refusal:
        return why, we, "auth", [named("AUTH", pack(signature))], fault

    for we, peer in OTHER.items():
        yield one(f"the {peer}, not signed", we, bytes(64))
        yield one(f"the {peer}, by another key", we, sign(key("mallory"), SIGNED[peer]))
        yield one(f"the {peer}, our own AUTH sent back", we, sign(PAIRS[we], SIGNED[we]))
        yield one(f"the {peer}, in our role", we, sign(PAIRS[peer], SIGNED[we]))
    dialler, dialled = (hello_payload(HELLOS[side]) for side in ("dialler", "dialled"))
    before = hello_payload(HELLOS["dialled"] | {"nonce": bytes(16)})
    for why, message in (
        ("replayed from another connection", auth_message(b"\x01", dialler, before)),
        ("over the HELLOs in the other order", auth_message(b"\x01", dialled, dialler)),
        ("for another network", SIGNED["dialler"].replace(NETWORK, OTHER_NETWORK)),
        ("under the tag of entries", SIGNED["dialler"].replace(TAG, b"indelible/entry/1\x00")),
        ("without the role", SIGNED["dialler"][:-1]),
        ("without a tag", SIGNED["dialler"].removeprefix(TAG)),
    ):
        yield one(why, "dialled", sign(DIALLER, message))
    right = sign(DIALLER, SIGNED["dialler"])
    yield one("AUTH of 63 bytes", "dialled", right[:-1], "bad-payload")
    yield "AUTH as text", "dialled", "auth", [named("AUTH", text(b"a" * 64))], "bad-payload"
    yield "AUTH in an array", "dialled", "auth", [named("AUTH", b"\x91\xc4\x3e" + right[:62])], "bad-payload"
    yield "AUTH of 67 bytes", "dialled", "auth", [named("AUTH", bytes(67))], "frame-too-long"


def _out_of_place() -> Iterator[Refusal]:
    again = named("HELLO", hello_payload(HELLOS["dialler"]))
    auth = named("AUTH", pack(sign(DIALLER, SIGNED["dialler"])))
    yield "HELLO again instead of AUTH", "dialled", "auth", [again], "hello-twice"
    yield "HELLO again", "dialled", "open", [PING, again], "hello-twice"
    yield "AUTH again", "dialled", "open", [PING, auth], "auth-twice"
    for name in TYPES:
        if name not in {"HELLO", "AUTH", *COMPACT}:
            yield f"{name} instead of AUTH", "dialled", "auth", [named(name, b"")], "before-handshake"
    for number in (48, 49):
        why = f"type {number}, with other features"
        yield why, "dialled", "compact", [PING, frame(number, b"")], "unknown-type"
    for number in (0, 8, 15, 23, *NEEDS_A_FEATURE, 127):
        yield f"type {number}", "dialled", "open", [PING, frame(number, b"\x90")], "unknown-type"
    yield "a frame of no bytes, later", "dialled", "open", [PING, bytes(4)], "frame-empty"


def _bad_payloads() -> Iterator[tuple[str, str, bytes]]:
    for name in ("PING", "PONG"):
        for why, payload in (
            ("nothing", b""),
            ("nil", b"\xc0"),
            ("true", b"\xc3"),
            ("-1", b"\xff"),
            ("2^53", uint(2**53, 8)),
            ("7 in 2 bytes", uint(7, 1)),
            ("a float", b"\xca\x3f\x80\x00\x00"),
            ("an array of one", b"\x91\x07"),
            ("a byte left over", b"\x07\x00"),
        ):
            yield why, name, payload
    yield "nothing", "GET_ADDRESSES", b""
    yield "nil", "GET_ADDRESSES", b"\xc0"
    yield from _bad_addresses()
    yield from _bad_rejects()
    for name in ("INVENTORY", "GET_DATA", "NOT_FOUND"):
        for why, payload in (
            ("kind 0", pack([0, digest("x")])),
            ("kind 3", pack([3, digest("x")])),
            ("kind true", b"\x92\xc3" + pack(digest("x"))),
            ("no kind", b"\x91" + pack(digest("x"))),
            ("no hashes", pack([1, b""])),
            ("33 bytes", pack([1, bytes(33)])),
            ("an array of hashes", pack([1, [digest("x")]])),
            ("bin in a longer form", b"\x92\x01" + binary(digest("x"), 2)),
            ("a third field", pack([1, digest("x"), 0])),
        ):
            yield why, name, payload
    for why, payload in (
        ("none", b"\x90"),
        ("1,001", pack([b""] * 1_001)),
        ("an entry not in bin", pack([[1]])),
        ("an entry as text", pack(["entry"])),
        ("nil among them", b"\x92\xc4\x00\xc0"),
        ("a claim of 2^32 - 1", array_as(2**32 - 1, 4)),
        ("bin", pack(b"entry")),
    ):
        yield why, "ENTRIES", payload
    for why, payload in (
        ("no locator", pack([b"", bytes(32)])),
        ("31 bytes", pack([bytes(31), bytes(32)])),
        ("stop of 31 bytes", pack([bytes(32), bytes(31)])),
        ("no stop", b"\x91" + pack(bytes(32))),
    ):
        yield why, "GET_HEADERS", payload
    for why, payload in (
        ("91 bytes", pack(bytes(91))),
        ("93 bytes", pack(bytes(93))),
        ("an array", pack([bytes(92)])),
        ("text", text(b"h" * 92)),
    ):
        yield why, "HEADERS", payload


def _open(name: str) -> str:
    return "compact" if name in COMPACT else "open"


def _bad_compact() -> Iterator[tuple[str, str, bytes]]:
    body: Value = [1, *ROOTS]
    for why, payload in (
        ("91 bytes of header", pack([HEADER[1:], body, COINBASE, b""])),
        ("a body of three", pack([HEADER, [1, *ROOTS[:2]], COINBASE, b""])),
        ("a count of 2^32", pack([HEADER, [2**32, *ROOTS], COINBASE, b""])),
        ("a root of 31 bytes", pack([HEADER, [1, *ROOTS[:2], bytes(31)], COINBASE, b""])),
        ("no coinbase", pack([HEADER, body, b"", b""])),
        ("a coinbase that is none", pack([HEADER, body, b"\x91\x01", b""])),
        ("a coinbase as array", pack([HEADER, body, [7, bytes(32), 1, ""], b""])),
        ("a coinbase of 513 bytes", pack([HEADER, body, bytes(513), b""])),
        ("7 bytes of short ids", pack([HEADER, body, COINBASE, bytes(7)])),
        ("short ids as text", pack([HEADER, body, COINBASE, "sixsix"])),
        ("a fifth field", pack([HEADER, body, COINBASE, b"", 0])),
    ):
        yield why, "COMPACT_BLOCK", payload
    one = digest("block")
    for why, payload in (
        ("no positions", pack([one, b""])),
        ("5 bytes", pack([one, bytes(5)])),
        ("one twice", pack([one, bytes(8)])),
        ("descending", pack([one, b"\0\0\0\2\0\0\0\1"])),
        ("an array of positions", pack([one, [0]])),
        ("a hash of 31 bytes", pack([one[1:], bytes(4)])),
        ("a third field", pack([one, bytes(4), 0])),
    ):
        yield why, "GET_BLOCK_ENTRIES", payload
    for why, payload in (
        ("none", pack([one, []])),
        ("an entry not in bin", pack([one, [1]])),
        ("a hash of 31 bytes", pack([one[1:], [b"e"]])),
        ("no hash", pack([[b"e"]])),
        ("a claim of 2^32 - 1", b"\x92" + pack(one) + array_as(2**32 - 1, 4)),
        ("a byte left over", pack([one, [b"e"]]) + b"\0"),
    ):
        yield why, "BLOCK_ENTRIES", payload


def _bad_addresses() -> Iterator[tuple[str, str, bytes]]:
    good = pack(["192.0.2.7", 9000, 0])
    for why, payload in (
        ("nil", b"\xc0"),
        ("not in an array", good),
        ("257", array_as(257, 2) + pack(["h", 1, 0]) * 257),
        ("port 0", pack([["192.0.2.7", 0, 0]])),
        ("port 65536", pack([["192.0.2.7", 65_536, 0]])),
        ("no host", pack([["", 9000, 0]])),
        ("host of 254 bytes", pack([["h" * 254, 9000, 0]])),
        ("host as bin", pack([[b"192.0.2.7", 9000, 0]])),
        ("host with a line break", pack([["h\n", 9000, 0]])),
        ("host in a longer form", b"\x91\x93" + text_as(b"h", 1) + b"\x01\x00"),
        ("seen at 2^53", pack([["h", 1, 2**53]])),
        ("two fields", pack([["h", 1]])),
        ("a map", b"\x80"),
    ):
        yield why, "ADDRESSES", payload


def _bad_rejects() -> Iterator[tuple[str, str, bytes]]:
    for why, payload in (
        ("no code", pack(["", b""])),
        ("a code of 49", pack(["x" * 49, b""])),
        ("a code with a space", pack(["fee low", b""])),
        ("a code in capitals", pack(["FEE", b""])),
        ("a code with a line break", pack(["fee\n", b""])),
        ("a code of other digits", pack(["\u0663", b""])),
        ("a code as bin", pack([b"fee", b""])),
        ("an id of 31 bytes", pack(["fee", bytes(31)])),
        ("an id of nil", b"\x92\xa3fee\xc0"),
        ("an id of 0", b"\x92\xa3fee\x00"),
        ("an empty id as text", b"\x92\xa3fee\xa0"),
        ("a third field", pack(["fee", b"", 0])),
    ):
        yield why, "REJECT", payload


def _skipped() -> Iterator[tuple[str, str, str, list[bytes]]]:
    for number in (128, 200, 255):
        for stage in ("hello", "auth", "open"):
            yield f"type {number}", "dialled", stage, [frame(number, b"\xc1 anything")]
    yield "an unknown type of no payload", "dialler", "open", [frame(128, b"")]
    yield "an unknown type as long as may be", "dialler", "open", [frame(128, bytes(65_536))]
    yield "an unknown type as long as may be before HELLO", "dialler", "hello", [frame(128, bytes(1_024))]


def make() -> dict[str, object]:
    """Return the whole file."""
    return {
        "about": ABOUT,
        "refused": [
            {"why": why, "we": we, "stage": stage, "fault": fault, "messages": len(frames) - 1}
            | {"bytes": b"".join(frames).hex()}
            for why, we, stage, frames, fault in _refused()
        ],
        "skipped": [
            {"why": why, "we": we, "stage": stage, "bytes": b"".join(frames).hex()}
            for why, we, stage, frames in _skipped()
        ],
    }
