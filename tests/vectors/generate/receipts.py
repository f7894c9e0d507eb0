"""Receipts and extensions that are right, and forged in each of their parts. Touches nothing.

Files are put together as docs/receipts.md has them, with the trees of `merkle` and the blocks of `book`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeAlias

from tests.vectors.generate.book import (
    EASY,
    NETWORKS,
    STEEP,
    Made,
    Payment,
    block,
    body_root_of,
    double_sha256,
    genesis,
    header_bytes,
    parameter_bytes,
    pay,
    target_of,
)
from tests.vectors.generate.books import branches, easy_book, entry, steep_book
from tests.vectors.generate.keys import key
from tests.vectors.generate.merkle import mth, path, proof
from tests.vectors.generate.packing import Value, pack

ABOUT = (
    "Files of docs/receipts.md, as text, for the networks of params.json. `good`: files that are in order, "
    "with what they prove; `anchors` maps each hash that they lead to to which block it is, and none of "
    "`no_anchors` may count. `bad`: files that must be refused, with the part that is named. `forged`: the "
    "file of that name in `bases` with another value `at` a dotted place, written in the one form again; to "
    "be refused with the part that is named."
)

Fields: TypeAlias = dict[str, Any]
ANN, BOB, CAT = key("ann"), key("bob"), key("cat")
_SHARED = ("block", "tip", "consistency")
TALL = 40
"""Height of the tallest book here: paths of six hashes."""


def make() -> dict[str, object]:
    """Return the whole file."""
    return {
        "about": ABOUT,
        "good": list(_good()),
        "bad": [*_bad_texts(), *_bad_blocks()],
        "bases": {name: text(fields) for name, fields in _bases().items()},
        "forged": list(_forged()),
    }


# --------------------------------------------------------------------------------------------- making


def text(fields: object) -> str:
    """Return the one form."""
    return json.dumps(fields, separators=(",", ":")) + "\n"


def block_part(made: Made) -> Fields:
    count, *roots = made.body
    return {"header": made.header.hex(), "body": _u32(count) + "".join(root.hex() for root in _bins(roots))}


def network_part(made: Made) -> Fields:
    parameters = parameter_bytes(NETWORKS[made.network])
    return {"parameters": parameters.hex(), "proof": _hexes(path(0, made.hashes[:-1]))}


def tip_part(made: Made, tip: Made | None) -> Fields | None:
    if tip is None:
        return None
    return block_part(tip) | {"proof": _hexes(path(made.height, tip.hashes[:-1]))}


def receipt(made: Made, position: int, tip: Made | None) -> Fields:
    """Return the receipt of a leaf of a block."""
    leaves = [made.coinbase, *made.entries]
    return {
        "format": "indelible-receipt-1",
        "network": network_part(made),
        "entry": {
            "bytes": leaves[position].hex(),
            "position": position,
            "proof": _hexes(path(position, leaves)),
        },
        **{name: value for name, value in extension(made, tip).items() if name in _SHARED},
    }


def extension(made: Made, tip: Made | None) -> Fields:
    """Return the extension from one block to a later one."""
    return {
        "format": "indelible-extension-1",
        "network": network_part(made),
        "block": block_part(made),
        "tip": tip_part(made, tip),
        "consistency": _hexes(proof(made.height, (tip or made).hashes[:-1])),
    }


def _hexes(hashes: list[bytes]) -> list[str]:
    return [value.hex() for value in hashes]


def _u32(value: Value) -> str:
    if not isinstance(value, int):
        raise TypeError(value)
    return value.to_bytes(4, "big").hex()


def _bins(values: list[Value]) -> list[bytes]:
    return [value for value in values if isinstance(value, bytes)]


@cache
def tall_book() -> tuple[Made, ...]:
    """Return the blocks 1 to TALL of the easy network; its block 2 holds four entries."""
    made = list(easy_book())
    while made[-1].height < TALL:
        made.append(block(f"t{made[-1].height + 1}", made[-1]))
    return tuple(made)


# ----------------------------------------------------------------------------------------------- good


def _good() -> Iterator[Fields]:
    tall, steep = tall_book(), steep_book()
    _, e2, _, e4, _, e6, *_ = tall
    tip = tall[-1]
    yield _proven("a payment, far below the tip", receipt(e2, 1, tip), e2, tip)
    for position in (2, 3, 4):
        yield _proven("another entry of the same block", receipt(e2, position, tip), e2, tip)
    yield _proven("a reward", receipt(e2, 0, tip), e2, tip)
    yield _proven("the note of a reward, with every byte it may have", receipt(e6, 0, tip), e6, tip)
    yield _proven("a payment in the tip itself", receipt(e6, 1, None), e6, e6)
    yield _proven("a payment below the next block", receipt(e4, 1, tall[4]), e4, tall[4])
    yield _proven("the reward of block 1, which was the tip", receipt(tall[0], 0, None), tall[0], tall[0])
    yield _proven("the reward of block 1 under block 2", receipt(tall[0], 0, e2), tall[0], e2)
    for at in (15, 30, 31, 32, 38):
        last = tall[at + 1]
        yield _proven("a reward near a power of two", receipt(tall[at], 0, last), tall[at], last)
    yield _proven("of a network without decimals", receipt(steep[3], 1, steep[-1]), steep[3], steep[-1])
    yield _proven("a reward that has halved", receipt(steep[4], 0, steep[-1]), steep[4], steep[-1])
    yield _proven(
        "of a branch that was left later", receipt(branches()[0], 1, None), branches()[0], branches()[0]
    )
    for low, high in ((1, 2), (1, TALL), (2, 7), (8, 16), (15, 32), (31, 33), (39, TALL)):
        old, last = tall[low - 1], tall[high - 1]
        yield _proven(f"the book from block {low} to {high}", extension(old, last), old, last)
    yield _proven("the book that nothing was added to", extension(tip, None), tip, tip)


def _proven(why: str, fields: Fields, made: Made, last: Made) -> Fields:
    known = sorted({made.hash, last.hash})
    strangers = {genesis(made.network).hash, made.hashes[-2], last.hashes[-2], bytes(32)} - set(known)
    work = made.work + (0 if last is made else last.work)
    return {
        "why": why,
        "file": text(fields),
        "network": made.network,
        "network_id": genesis(made.network).hash.hex(),
        "height": made.height,
        "block": made.hash.hex(),
        "tip_height": last.height,
        "tip": last.hash.hex(),
        "work": hex(work),
        "txid": mth([bytes.fromhex(fields["entry"]["bytes"])]).hex() if "entry" in fields else None,
        "position": fields["entry"]["position"] if "entry" in fields else None,
        "anchors": {value.hex(): "block" if value == made.hash else "tip" for value in known},
        "no_anchors": [value.hex() for value in sorted(strangers)],
    }


# ---------------------------------------------------------------------------------------- bad as text


def _payment() -> Fields:
    """The receipt that most of the forged ones are made from."""
    return receipt(tall_book()[1], 1, tall_book()[-1])


def _bad_texts() -> Iterator[Fields]:
    good = text(_payment())
    cut = good.index(',"entry"')

    def bad(why: str, written: str, part: str = "file") -> Fields:
        return {"why": why, "file": written, "part": part}

    yield bad("nothing", "")
    yield bad("no JSON", "receipt\n")
    yield bad("the first half", good[: len(good) // 2])
    yield bad("null", "null\n")
    yield bad("a list", f"[{good.strip()}]\n")
    yield bad("brackets without end", "[" * 5_000)
    yield bad("no line feed at the end", good[:-1])
    yield bad("two of them", good + "\n")
    yield bad("the line feed of Windows", good[:-1] + "\r\n")
    yield bad("a byte order mark", "\ufeff" + good)
    yield bad("a space after a colon", good.replace('":', '": ', 1))
    yield bad("a character that is not ASCII", good.replace("receipt", "r\u00e9ceipt"))
    yield bad("an escaped character", good.replace('"format"', '"\\u0066ormat"'))
    yield bad("a key twice, alike", good[:cut] + good[good.index('"network"') - 1 : cut] + good[cut:])
    yield bad("a position with a fraction", good.replace('"position":1', '"position":1.0'))
    yield bad("a position with an exponent", good.replace('"position":1', '"position":1e0'))
    yield bad("a position of minus nothing", good.replace('"position":1', '"position":-0'))
    yield bad("a position above 2^53 - 1", good.replace('"position":1', f'"position":{2**53}'))
    yield bad("a position of many digits", good.replace('"position":1', f'"position":{10**400}'))
    yield bad("no number", good.replace('"position":1', '"position":NaN'))
    fields = _payment()
    yield bad("a key more", text(fields | {"note": "paid"}))
    yield bad("a key less", text({name: fields[name] for name in fields if name != "tip"}))
    yield bad("the keys in another order", text({name: fields[name] for name in reversed(fields)}))
    yield bad("a receipt called an extension", text(fields | {"format": "indelible-extension-1"}))
    longer = extension(tall_book()[3], tall_book()[-1])
    yield bad("an extension called a receipt", text(longer | {"format": "indelible-receipt-1"}))
    for value in ("indelible-receipt-2", "", None, 1, ["indelible-receipt-1"], "__proto__", "constructor"):
        yield bad("an unknown format", text(fields | {"format": value}), "format")
    del fields["format"]
    yield bad("no format", text(fields), "format")
    yield bad("an empty object", "{}\n", "format")


# ------------------------------------------------------------------------------------- bad as one value


def _changed(fields: Fields, part: str, value: object) -> Fields:
    """Return the file with another value at a dotted place."""
    made = copy.deepcopy(fields)
    *outer, last = part.split(".")
    at = made
    for name in outer:
        at = at[name]
    at[last] = value
    return made


def _value(fields: Fields, part: str) -> Any:  # noqa: ANN401 - JSON
    for name in part.split("."):
        fields = fields[name]
    return fields


@cache
def _bases() -> dict[str, Fields]:
    return {"payment": _payment(), "extension": extension(tall_book()[3], tall_book()[-1])}


def _forged() -> Iterator[Fields]:
    fields, longer = _bases().values()
    for group in ("network", "entry", "block", "tip"):
        yield from _bad_groups(fields, group)
    for part in ("network.parameters", "entry.bytes", "block.header", "block.body", "tip.header", "tip.body"):
        yield from _bad_hex(fields, part)
    for part in ("network.proof", "entry.proof", "tip.proof"):
        group = part.partition(".")[0]
        yield from _bad_proofs(fields, part, group)
    yield from _bad_proofs(longer, "consistency", "consistency")
    for value in (-1, 2**32, 2**53 - 1, "1", None, True, [1]):
        yield _bad("a position that is none", fields, "entry.position", value, "entry.position")
    yield _bad("a position beyond the block", fields, "entry.position", 5, "entry.position")
    yield _bad("the position of its neighbour", fields, "entry.position", 2, "entry")
    yield _bad("a position that another path leads to", fields, "entry.position", 4, "entry.proof")
    yield from _bad_bits(fields, longer)
    yield from _bad_parameters(fields)


def _bad(why: str, fields: Fields, part: str, value: object, named: str) -> Fields:
    base = next(name for name, known in _bases().items() if known is fields)
    return {"why": why, "base": base, "at": part, "value": value, "part": named}


def _bad_groups(fields: Fields, group: str) -> Iterator[Fields]:
    value = fields[group]
    others: list[object] = [False, 0, "", [], {}, [value], *([] if group == "tip" else [None])]
    for other in others:
        yield _bad("no object of its keys", fields, group, other, group)
    yield _bad("a key more", fields, group, value | {"why": "because"}, group)
    yield _bad("keys in another order", fields, group, dict(reversed(value.items())), group)
    yield _bad("a key less", fields, group, dict(list(value.items())[1:]), group)


def _bad_hex(fields: Fields, part: str) -> Iterator[Fields]:
    value: str = _value(fields, part)
    others: list[tuple[str, Any]] = [
        ("empty", ""),
        ("half a byte less", value[:-1]),
        ("upper case", value.upper()),
        ("one digit in upper case", value.replace("f", "F", 1)),
        ("no hex", "g" + value[1:]),
        ("a prefix", "0x" + value),
        ("a line feed at its end", value + "\n"),
        ("digits of another script", "\u0660" * len(value)),
        ("null", None),
        ("a number", 0),
        ("a list", [value]),
    ]
    for why, other in others:
        named = "file" if isinstance(other, str) and not other.isascii() else part
        yield _bad(why, fields, part, other, named)
    yield _bad("a byte less", fields, part, value[:-2], part)
    yield _bad("a byte more", fields, part, value + "00", part)


def _bad_proofs(fields: Fields, part: str, group: str) -> Iterator[Fields]:
    hashes: list[str] = _value(fields, part)
    flipped = f"{int(hashes[0], 16) ^ 1:064x}"
    for why, other in (
        ("a hash less", hashes[:-1]),
        ("a hash more", [*hashes, "00" * 32]),
        ("65 hashes", ["00" * 32] * 65),
        ("a short hash", [hashes[0][2:], *hashes[1:]]),
        ("a long hash", [hashes[0] + "00", *hashes[1:]]),
        ("upper case", [hashes[0].upper(), *hashes[1:]]),
        ("an empty hash", ["", *hashes[1:]]),
        ("a number for a hash", [0, *hashes[1:]]),
        ("null for a hash", [None, *hashes[1:]]),
        ("a list in the list", [hashes]),
        ("no list", "".join(hashes)),
        ("null", None),
    ):
        yield _bad(why, fields, part, other, part)
    yield _bad("one bit", fields, part, [flipped, *hashes[1:]], group)
    if len(hashes) > 1:
        yield _bad("two hashes swapped", fields, part, [hashes[1], hashes[0], *hashes[2:]], group)


def _flip(text_: str, byte: int, mask: int = 1) -> str:
    raw = bytearray.fromhex(text_)
    raw[byte] ^= mask
    return raw.hex()


def _bad_bits(fields: Fields, longer: Fields) -> Iterator[Fields]:
    """One bit in each field of what is hashed."""
    for at in range(0, len(fields["entry"]["bytes"]) // 2, 3):
        yield _bad(
            f"bit 0 of byte {at}", fields, "entry.bytes", _flip(fields["entry"]["bytes"], at), "entry.bytes"
        )
    for base in (fields, longer):
        for group in ("block", "tip"):
            header, body = base[group]["header"], base[group]["body"]
            for at in (0, 3, 4, 7, 8, 39, 40, 71, 72, 79, 80, 83, 84, 91):
                yield _bad(f"byte {at}", base, f"{group}.header", _unmined(header, at), f"{group}.header")
            for at in (0, 3, 4, 35, 36, 67, 68, 99):
                yield _bad(f"byte {at}", base, f"{group}.body", _flip(body, at), f"{group}.body")


def _unmined(header: str, byte: int) -> str:
    """Return the header with a change in that byte that its hash does not survive."""
    for mask in range(1, 256):
        changed = _flip(header, byte, mask)
        raw = bytes.fromhex(changed)
        try:
            target = target_of(int.from_bytes(raw[80:84], "big"))
        except ArithmeticError:
            return changed
        if int.from_bytes(double_sha256(raw), "big") > target:
            return changed
    raise ArithmeticError("every change of this byte meets the target")


def _bad_parameters(fields: Fields) -> Iterator[Fields]:
    part = "network.parameters"
    for name, value in (
        ("name", "for-testz"),
        ("prefix", "tesu"),
        ("symbol", "USD"),
        ("decimals", 0),
        ("interval_ms", 1_001),
        ("initial_reward", 0),
        ("minimum_fee", 0),
        ("easiest_bits", 0x2100FFFF),
        ("allocations", [[ANN.public.hex(), 1]]),
    ):
        raw = parameter_bytes({**EASY, name: value})
        yield _bad(f"another {name}", fields, part, raw.hex(), "network")
    yield _bad("another network", fields, part, parameter_bytes(STEEP).hex(), "network")
    yield _bad("out of bounds", fields, part, parameter_bytes({**EASY, "decimals": 9}).hex(), part)
    raw = parameter_bytes(EASY)
    head, rest = raw[:3], raw[4:]
    for why, other in (
        ("of encoding version 2", head + b"\x02" + rest),
        ("of encoding version true", head + b"\xc3" + rest),
        ("a version of two bytes", head + b"\xcc\x01" + rest),
        ("nil for members", raw[:-2] + b"\xc0\x00"),
        ("0 for members", raw[:-2] + b"\x00\x00"),
        ("false for the quorum", raw[:-1] + b"\xc2"),
        ("no members for the quorum", raw[:-1] + b"\x90"),
        ("a quorum of 1", raw[:-1] + b"\x01"),
        ("a map for allocations", raw.replace(b"\x90\x01\xce\x00\x10", b"\x80\x01\xce\x00\x10")),
        ("a text for allocations", raw.replace(b"\x90\x01\xce\x00\x10", b"\xa0\x01\xce\x00\x10")),
    ):
        yield _bad(why, fields, part, other.hex(), part)


# ------------------------------------------------------------------------- bad though mined all the same


def _bad_blocks() -> Iterator[Fields]:
    yield from _other_blocks()
    yield from _other_units()
    yield from _other_rules()
    yield from _other_tips()
    yield from _other_entries()
    yield from _other_rewards()
    yield from _other_histories()


def _file(why: str, fields: Fields, part: str) -> Fields:
    return {"why": why, "file": text(fields), "part": part}


def _joined(*parts: Fields) -> Fields:
    """Return a file with each of its groups from the last that has it."""
    made: Fields = {}
    for part in parts:
        made |= part
    return made


def _other_blocks() -> Iterator[Fields]:
    """Parts of files that are right, put together wrong."""
    tall, steep, fields = tall_book(), steep_book(), _payment()
    tip, e2 = tall[-1], tall[1]
    twin = block("twin", tall[0], list(e2.entries), miner=BOB.public)
    yield _file("the block of another branch", _joined(fields, {"block": block_part(twin)}), "tip")
    mixed = receipt(twin, 1, None) | {"tip": fields["tip"], "network": fields["network"]}
    yield _file("the receipt of another branch under this book's tip", mixed, "tip")
    yield _file(
        "the entry of another block",
        _joined(fields, {"entry": receipt(tall[3], 1, tip)["entry"]}),
        "entry.proof",
    )
    body = block_part(tall[2])["body"]
    yield _file("the body of another block", _changed(fields, "block.body", body), "block.body")
    yield _file("the body of another tip", _changed(fields, "tip.body", body), "tip.body")
    yield _file("no tip any more", fields | {"tip": None}, "consistency")
    yield _file(
        "an older tip, with its own path only",
        _joined(fields, {"tip": receipt(e2, 1, tall[20])["tip"]}),
        "consistency",
    )
    yield _file(
        "the tip of another network",
        _joined(fields, {"tip": receipt(e2, 1, tip)["tip"] | block_part(steep[-1])}),
        "tip.proof",
    )
    same = receipt(e2, 1, tip)
    same["tip"] |= block_part(e2)
    yield _file("a tip that is the block", same, "tip.header")
    same["tip"] |= block_part(tall[0])
    yield _file("a tip below the block", same, "tip.header")
    yield _file(
        "another network's history", _joined(fields, {"network": network_part(steep[-1])}), "network.proof"
    )
    reward = receipt(steep[1], 0, steep[6])
    swapped = reward | {"network": {**reward["network"], "parameters": parameter_bytes(EASY).hex()}}
    yield _file("a reward in another network's units", swapped, "network")
    yield _file(
        "a bare header of genesis",
        _changed(fields, "block.header", genesis("easy").header.hex()),
        "block.header",
    )
    yield _file(
        "genesis as the tip", _changed(fields, "tip.header", genesis("easy").header.hex()), "tip.header"
    )


def _other_units() -> Iterator[Fields]:
    """A reward, which nobody signed, under a tip that was mined for a network of other units."""
    made = tall_book()[2]
    other = {**EASY, "decimals": 0}
    body_root = body_root_of(1, mth([parameter_bytes(other)]), mth([]), bytes(32))
    first = header_bytes(1, 0, bytes(32), body_root, EASY["genesis_ms"], EASY["genesis_bits"], 0)
    hashes = [double_sha256(first), *made.hashes[1:]]
    tip = block("", made, history_root=mth(hashes), is_applied=False)
    fields = receipt(made, 0, None) | {"tip": block_part(tip) | {"proof": _hexes(path(made.height, hashes))}}
    fields["network"] = {
        "parameters": parameter_bytes(other).hex(),
        "proof": _hexes(path(0, hashes[: made.height])),
    }
    fields["consistency"] = _hexes(proof(made.height, hashes))
    yield _file("a tip mined for a network of other units", fields, "network")


def _other_rules() -> Iterator[Fields]:
    """Blocks that break a rule which their bytes alone show, with good ones on them."""
    e1, e2, *_ = easy_book()
    for why, changes, part in (
        ("rules version 2", {"version": 2}, "header"),
        ("bits easier than the easiest", {"bits": 0x2100FFFF}, "header"),
        ("bits not in their shortest form", {"bits": 0x21007FFF}, "header"),
        ("a body that counts no leaf", {"count": 0}, "body"),
        ("an extension root", {"extension_root": b"\x01" + bytes(31)}, "body"),
        ("a time before genesis", {"after_ms": -5_000}, "header"),
    ):
        forged = block("", e2, is_applied=False, **changes)
        yield _file(why, receipt(forged, 0, None), f"block.{part}")
        on_it = block("", forged, is_applied=False, after_ms=10_000, bits=0x207FFFFF)
        yield _file(f"{why}, under a block", receipt(forged, 0, on_it), f"block.{part}")
        yield _file(f"a tip with {why}", receipt(e2, 1, forged), f"tip.{part}")
    for why, changes in (
        ("block 1 on nothing", {"previous": bytes(32)}),
        ("block 1 with other bits than genesis", {"bits": 0x207FFFFE}),
        ("block 1 at the time of genesis", {"after_ms": 0}),
    ):
        forged = block("", genesis("easy"), is_applied=False, **changes)
        yield _file(why, receipt(forged, 0, None), "block.header")
    early = block("", e1, after_ms=-999, is_applied=False)
    yield _file("a block of the same time as the one before", receipt(early, 0, None), "block.header")


def _other_tips() -> Iterator[Fields]:
    e1, e2, *_ = easy_book()
    unlinked = block("", e2, previous=e1.hash, is_applied=False)
    yield _file("a next block that names another before it", receipt(e2, 1, unlinked), "tip.header")
    early = block("", e2, after_ms=0, is_applied=False)
    yield _file("a next block of the same time", receipt(e2, 1, early), "tip.header")
    third = block("", block("", e2, after_ms=1), after_ms=0, is_applied=False)
    yield _file("two blocks in one millisecond", receipt(e2, 1, third), "tip.header")
    low = block("", tall_book()[9], height=3, is_applied=False)
    made = receipt(e2, 1, tall_book()[-1])
    made["tip"] |= block_part(low)
    yield _file("a tip that says another height", made, "tip.proof")


def _other_entries() -> Iterator[Fields]:
    """Entries that no block may hold, in a block that does."""
    e1 = easy_book()[0]
    e1_id = genesis("easy").hash
    right: dict[str, Any] = {"nonce": 0, "timestamp_ms": e1.timestamp_ms}
    stolen = pay(e1_id, ANN, BOB.public, 7, **right)
    for why, raw in (
        ("signed by another", pay(e1_id, ANN, BOB.public, 7, **right, signature=bytes(64)).raw),
        (
            "with the signature of another amount",
            pay(e1_id, ANN, BOB.public, 8, **right, signature=stolen.raw[-64:]).raw,
        ),
        ("signed for another network", pay(genesis("steep").hash, ANN, BOB.public, 7, **right).raw),
        ("too low a fee", pay(e1_id, ANN, BOB.public, 7, **right, fee=0).raw),
        (
            "from the future",
            pay(e1_id, ANN, BOB.public, 7, nonce=0, timestamp_ms=e1.timestamp_ms + 31_001).raw,
        ),
        ("expired", pay(e1_id, ANN, BOB.public, 7, nonce=0, timestamp_ms=1).raw),
        ("a control character in its memo", pay(e1_id, ANN, BOB.public, 7, **right, memo="a\nb").raw),
        ("not an entry", pack([1, 2, 3])),
        ("a coinbase", e1.coinbase),
        ("a byte too many", stolen.raw + b"\x00"),
    ):
        holder = block("", e1, [raw], is_applied=False)
        yield _file(why, receipt(holder, 1, None), "entry.bytes")
    another: Payment = entry(e1, ANN, BOB, 5, 0)
    fields = receipt(block("", e1, [stolen]), 1, None)
    yield _file(
        "a signed entry that is not in the block", _changed(fields, "entry.bytes", another.raw.hex()), "entry"
    )


def _other_rewards() -> Iterator[Fields]:
    e1 = easy_book()[0]
    owed = pay(genesis("easy").hash, ANN, BOB.public, 7, nonce=0, timestamp_ms=e1.timestamp_ms)
    less = pack([2, BOB.public, 4_999, ""])
    for why, made in (
        ("a reward of another height", block("", e1, coinbase_height=3, is_applied=False)),
        (
            "a reward above what is due, in a block without fees",
            block("", e1, coinbase_amount=1, is_applied=False),
        ),
        ("less than the reward", block("", e1, [owed], coinbase=less, is_applied=False)),
        ("an entry in the place of the reward", block("", e1, coinbase=owed.raw, is_applied=False)),
    ):
        yield _file(why, receipt(made, 0, None), "entry.bytes")
    fields = receipt(easy_book()[1], 0, tall_book()[-1])
    richer = pack([2, CAT.public, 500_000, ""])
    yield _file("a reward made larger", _changed(fields, "entry.bytes", richer.hex()), "entry")


def _other_histories() -> Iterator[Fields]:
    """Extensions over a history that was rewritten below the old tip."""
    tall = tall_book()
    old, tip = tall[9], tall[-1]
    forged = block("", tall[8], history_root=mth([b"another"]), is_applied=False)
    after = block("", block("", forged, is_applied=False), is_applied=False)
    yield _file("an old tip that commits to another history", extension(forged, after), "network")
    hashes = [old.hashes[0], *(bytes([number]) * 32 for number in range(8))]
    forged = block("", tall[7], history_root=mth(hashes), is_applied=False)
    after = block("", block("", forged, is_applied=False), is_applied=False)
    fields = _changed(extension(forged, after), "network.proof", _hexes(path(0, hashes[: forged.height])))
    yield _file("one of the same network", fields, "consistency")
    yield _file("an old tip of another branch", extension(old, tip) | {"block": block_part(forged)}, "tip")
    fields = extension(old, tip)
    yield _file(
        "the proof of another old tip",
        fields | {"consistency": extension(tall[10], tip)["consistency"]},
        "consistency",
    )
    yield _file("no proof at all", fields | {"consistency": []}, "consistency")
    yield _file(
        "a proof where nothing was added", extension(tip, None) | {"consistency": ["00" * 32]}, "consistency"
    )
    yield _file("a receipt's entry in an extension", {**fields, "entry": _payment()["entry"]}, "file")
