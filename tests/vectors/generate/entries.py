"""Entries: good ones with what is signed and hashed, and bytes that break a rule. Touches nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.vectors.generate.book import (
    AUTH_TAG,
    EASY,
    ENTRY_TAG,
    Payment,
    genesis,
    message_of,
    pay,
)
from tests.vectors.generate.keys import key, sign
from tests.vectors.generate.packing import Value, array_as, binary, pack, text, text_as, uint

ABOUT = (
    "Entries of the network `network` of params.json. Bytes are hex. `good`: fields, what the signature "
    "covers, the entry's bytes and its txid; `seed` is the sender's secret. `bad`: bytes and the rule "
    "they break by themselves. `bad_signatures`: well-formed entries whose sender did not sign just that "
    "(entry-signature). `in_context`: entries against the timestamp of their block; rule null where they "
    "are right."
)
ANN, BOB = key("ann"), key("bob")
NOW = EASY["genesis_ms"] + 1_000
NETWORK_ID = genesis("easy").hash
MAX = 2**53 - 1
FIELDS = ("version", "sender", "recipient", "amount", "fee", "nonce", "timestamp_ms", "memo", "signature")

FORMS: list[Value] = [1, ANN.public, BOB.public, 500, 1, 0, NOW, "two espressos"]
SIGNATURE = sign(ANN, message_of(NETWORK_ID, FORMS))
GOOD = pack([*FORMS, SIGNATURE])


def make() -> dict[str, object]:
    """Return the whole file."""
    return {
        "about": ABOUT,
        "network": "easy",
        "network_id": NETWORK_ID.hex(),
        "tag": ENTRY_TAG.hex(),
        "good": [_good(why, payment) for why, payment in _goods()],
        "bad": [{"why": why, "rule": rule, "entry": raw.hex()} for why, rule, raw in _bads()],
        "bad_signatures": [{"why": why, "entry": raw.hex()} for why, raw in _bad_signatures()],
        "in_context": list(_in_context()),
    }


def _good(why: str, payment: Payment) -> dict[str, object]:
    fields: list[Value] = [1, *payment[:-1]]
    message = message_of(NETWORK_ID, fields)
    return {
        "why": why,
        "seed": ANN.seed.hex(),
        "sender": payment.sender.hex(),
        "recipient": payment.recipient.hex(),
        "amount": payment.amount,
        "fee": payment.fee,
        "nonce": payment.nonce,
        "timestamp_ms": payment.timestamp_ms,
        "memo": payment.memo,
        "signed_message": message.hex(),
        "signature": sign(ANN, message).hex(),
        "entry": payment.raw.hex(),
        "txid": payment.txid.hex(),
    }


def _goods() -> Iterator[tuple[str, Payment]]:
    def one(why: str, amount: int = 500, recipient: bytes = BOB.public, **rest: Any) -> tuple[str, Payment]:  # noqa: ANN401 - fields of an entry
        return why, pay(NETWORK_ID, ANN, recipient, amount, **{"nonce": 0, "timestamp_ms": NOW, **rest})

    yield one("a payment", memo="two espressos")
    yield one("a pure record: no amount", amount=0, memo="opened the shop")
    yield one("no memo")
    yield one("to oneself", recipient=ANN.public)
    yield one("to 32 zero bytes: any 32 bytes are a recipient", recipient=bytes(32))
    for amount in (1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, MAX):
        yield one(f"an amount of {amount}", amount=amount)
    yield one("a fee of 0", fee=0)
    yield one("the largest fee", fee=MAX)
    for nonce in (128, 65_536, MAX):
        yield one(f"nonce {nonce}", nonce=nonce)
    yield one("the first millisecond of 1970", timestamp_ms=0)
    yield one("the last timestamp", timestamp_ms=MAX)
    for length in (31, 32, 255, 256):
        yield one(f"a memo of {length} bytes", memo="m" * length)
    for memo in (
        "\u00a0",
        "\u00e9",
        "e\u0301",
        "\u202eabc",
        "\ufeffabc",
        "\ufffe\uffff",
        "\U0001f600" * 64,
        "\U0010ffff",
        "\u2028\u2029",
        '"\\\u007e ',
        "\ud7ff\ue000",
    ):
        shown = " ".join(f"U+{ord(character):04X}" for character in memo[:4])
        yield one(f"a memo that starts with {shown}", memo=memo)
    yield one("every field at its widest", amount=MAX, fee=MAX, nonce=MAX, timestamp_ms=MAX, memo="w" * 256)


def _with(field: str, raw: bytes) -> bytes:
    """Return the good entry with the bytes of one field replaced."""
    parts = [pack(value) for value in [*FORMS, SIGNATURE]]
    parts[FIELDS.index(field)] = raw
    return b"\x99" + b"".join(parts)


Bad = tuple[str, str, bytes]
ENCODING = "entry-encoding"
NIL, FALSE, TRUE = b"\xc0", b"\xc2", b"\xc3"


def _bads() -> Iterator[Bad]:
    yield from _outside()
    yield from _integers()
    yield from _bins()
    yield from _memos()
    for version in (0, 2, 127, MAX):
        yield f"version {version}", "entry-version", _with("version", pack(version))


def _outside() -> Iterator[Bad]:
    """Things that are no array of nine."""
    fields = GOOD[1:]
    for why, raw in (
        ("no bytes", b""),
        ("nil", NIL),
        ("an integer", b"\x07"),
        ("text", text(b"entry")),
        ("bin", binary(GOOD, 2)),
        ("a byte that msgpack never uses", b"\xc1"),
        ("an empty array", b"\x90"),
        ("the array's first byte alone", b"\x99"),
        ("a map of nine", b"\x89" + fields * 2),
        ("an array of eight: no signature", b"\x98" + b"".join(map(pack, FORMS))),
        ("an array of ten", b"\x9a" + fields + b"\x00"),
        ("an array of ten, version 2", b"\x9a\x02" + fields[1:] + b"\x00"),
        ("an array header of 3 bytes", array_as(9, 2) + fields),
        ("an array header of 5 bytes", array_as(9, 4) + fields),
        ("an array that claims 2^32 - 1 fields", array_as(2**32 - 1, 4) + fields),
        ("an array that claims 65,535 fields", array_as(65_535, 2) + fields),
        ("an entry inside an array of one", b"\x91" + GOOD),
        ("arrays inside arrays", b"\x91" * 400 + b"\x90"),
        ("arrays inside arrays, never closed", b"\x91" * 500),
        ("one byte short", GOOD[:-1]),
        ("half of it", GOOD[: len(GOOD) // 2]),
        ("a byte left over", GOOD + b"\x00"),
        ("an entry left over", GOOD + GOOD),
        ("an ext around it", bytes([0xC8]) + len(GOOD).to_bytes(2, "big") + b"\x05" + GOOD),
    ):
        yield why, ENCODING, raw


def _integers() -> Iterator[Bad]:
    """Each integer as something that is none, or in a longer form."""
    for field in ("version", "amount", "fee", "nonce", "timestamp_ms"):
        for why, raw in (
            ("true", TRUE),
            ("nil", NIL),
            ("-1", b"\xff"),
            ("text", text(b"1")),
            ("2^53", uint(2**53, 8)),
            ("2^64 - 1", uint(2**64 - 1, 8)),
            ("1 in 2 bytes", uint(1, 1)),
        ):
            yield f"{field}: {why}", ENCODING, _with(field, raw)
    for why, raw in (
        ("false", FALSE),
        ("a float32", b"\xca\x3f\x80\x00\x00"),
        ("a float64", b"\xcb\x3f\xf0" + bytes(6)),
        ("not a number", b"\xcb\x7f\xf8" + bytes(6)),
        ("500 in 5 bytes", uint(500, 4)),
        ("500 in 9 bytes", uint(500, 8)),
        ("500 as a signed integer of 2 bytes", b"\xd1\x01\xf4"),
        ("-128 as a signed integer", b"\xd0\x80"),
        ("-(2^63)", b"\xd3\x80" + bytes(7)),
        ("bin", binary(b"\x01", 1)),
        ("an array of one integer", b"\x91\x01"),
        ("an empty map", b"\x80"),
        ("a bignum as ext", b"\xd4\x02\x01"),
    ):
        yield f"amount: {why}", ENCODING, _with("amount", raw)
    yield "timestamp: a msgpack timestamp", ENCODING, _with("timestamp_ms", b"\xd6\xff" + bytes(4))


def _bins() -> Iterator[Bad]:
    """Each bin as something else, of another length, or in a longer form."""
    right = {"sender": ANN.public, "recipient": BOB.public, "signature": SIGNATURE}
    for field, value in right.items():
        for why, raw in (
            ("nil", NIL),
            ("a byte short", binary(value[:-1], 1)),
            ("a byte long", binary(value + b"\x00", 1)),
            ("no bytes", binary(b"", 1)),
            ("in a longer form", binary(value, 2)),
            ("in the longest form", binary(value, 4)),
            ("text of as many bytes", text(b"k" * len(value))),
        ):
            yield f"{field}: {why}", ENCODING, _with(field, raw)
    yield "sender: an array of 32 integers", ENCODING, _with("sender", pack([7] * 32))
    yield "sender: its bytes as text", ENCODING, _with("sender", text(ANN.public))
    yield "recipient: its hex as text", ENCODING, _with("recipient", text(BOB.public.hex().encode()))
    yield "signature: a claim of 2^32 - 1 bytes", ENCODING, _with("signature", b"\xc6\xff\xff\xff\xff")
    yield "signature: ext of 64 bytes", ENCODING, _with("signature", b"\xc7\x40\x01" + SIGNATURE)


def _memos() -> Iterator[Bad]:
    for why, raw in (
        ("nil", NIL),
        ("an integer", b"\x01"),
        ("bin", binary(b"two espressos", 1)),
        ("an array", b"\x90"),
        ("short text in a form of 2 bytes", text_as(b"two espressos", 1)),
        ("short text in a form of 3 bytes", text_as(b"two espressos", 2)),
        ("short text in a form of 5 bytes", text_as(b"two espressos", 4)),
        ("a lone continuation byte", text(b"\x80")),
        ("a slash in 2 bytes (overlong)", text(b"\xc0\xaf")),
        ("NUL in 2 bytes (overlong)", text(b"\xc0\x80")),
        ("a slash in 3 bytes (overlong)", text(b"\xe0\x80\xaf")),
        ("a slash in 4 bytes (overlong)", text(b"\xf0\x80\x80\xaf")),
        ("the first half of a surrogate pair", text(b"\xed\xa0\x80")),
        ("the last surrogate", text(b"\xed\xbf\xbf")),
        ("a surrogate pair, each half in 3 bytes", text(b"\xed\xa0\xbd\xed\xb8\x80")),
        ("a code point above U+10FFFF", text(b"\xf4\x90\x80\x80")),
        ("a sequence of 5 bytes", text(b"\xf8\x88\x80\x80\x80")),
        ("the byte FF", text(b"\xff")),
        ("the first 2 bytes of 3", text(b"\xe2\x82")),
        ("Latin-1", text("caf\u00e9".encode("latin-1"))),
        ("so long that the entry passes 512 bytes", text(b"m" * 400)),
    ):
        yield f"memo: {why}", ENCODING, _with("memo", raw)
    for why, memo in (
        ("257 bytes", "m" * 257),
        ("86 characters of 3 bytes", "\u2615" * 86),
        ("65 characters of 4 bytes", "\U0001f600" * 65),
        ("NUL", "a\x00b"),
        ("a tab", "a\tb"),
        ("a line break", "a\nb"),
        ("ESC", "\x1b[2J"),
        ("U+001F", "\x1f"),
        ("DEL", "\x7f"),
        ("U+0080", "\x80"),
        ("NEL", "\x85"),
        ("U+009F", "\x9f"),
    ):
        yield f"memo: {why}", "entry-memo", _with("memo", pack(memo))


def _bad_signatures() -> Iterator[tuple[str, bytes]]:
    """Well-formed entries; how libraries differ at the edges of Ed25519 is in ed25519.json."""

    def signed(why: str, message: bytes, signer: str = "ann") -> tuple[str, bytes]:
        return why, pack([*FORMS, sign(key(signer), message)])

    right = message_of(NETWORK_ID, FORMS)
    yield signed("by another key", right, signer="bob")
    yield signed("for another network", message_of(genesis("built-in").hash, FORMS))
    yield signed("under the tag of peer authentication", message_of(NETWORK_ID, FORMS, AUTH_TAG))
    yield signed("without a tag", message_of(NETWORK_ID, FORMS, b""))
    yield signed("without the network's id", message_of(b"", FORMS))
    yield signed("over the entry's own header of nine", right.replace(b"\x98", b"\x99", 1))
    for place, other, why in ((3, 501, "amount"), (5, 1, "nonce"), (7, "one espresso", "memo")):
        fields: list[Value] = [*FORMS]
        fields[place] = other
        yield signed(f"for another {why}", message_of(NETWORK_ID, fields))
    yield "64 zero bytes", pack([*FORMS, bytes(64)])
    yield "one bit of R", pack([*FORMS, bytes([SIGNATURE[0] ^ 1]) + SIGNATURE[1:]])
    yield "one bit of S", pack([*FORMS, SIGNATURE[:-1] + bytes([SIGNATURE[-1] ^ 1])])


def _in_context() -> Iterator[dict[str, object]]:
    block_ms = EASY["genesis_ms"] + 30 * 86_400_000
    lifetime, drift = EASY["lifetime_ms"], EASY["drift_ms"]
    for why, timestamp_ms, fee, rule in (
        ("at the block's time", block_ms, 1, None),
        ("as old as can be", block_ms - lifetime, 1, None),
        ("a millisecond too old", block_ms - lifetime - 1, 1, "entry-expired"),
        ("from 1970", 0, 1, "entry-expired"),
        ("as far ahead as can be", block_ms + drift, 1, None),
        ("a millisecond too far ahead", block_ms + drift + 1, 1, "entry-from-future"),
        ("from the end of time", MAX, 1, "entry-from-future"),
        ("no fee", block_ms, 0, "fee-too-low"),
        ("a generous fee", block_ms, MAX, None),
    ):
        payment = pay(NETWORK_ID, ANN, BOB.public, 1, nonce=0, timestamp_ms=timestamp_ms, fee=fee)
        yield {"why": why, "block_timestamp_ms": block_ms, "rule": rule, "entry": payment.raw.hex()}
