"""Blocks and headers that break one rule each. Touches nothing.

What is made wrong stays wrong consistently: whatever commits to it is worked out over it, and the header is
mined, so that the rule named is the only one broken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.vectors.generate.book import EASY, STEEP, Made, Payment, bits_after, block, genesis
from tests.vectors.generate.books import ANN, BOB, CAT, easy_book, entry, filled, steep_book
from tests.vectors.generate.keys import key
from tests.vectors.generate.merkle import mth
from tests.vectors.generate.packing import array_as, binary, pack, text, text_as, uint

Case = dict[str, object]
LIFETIME, DRIFT = EASY["lifetime_ms"], EASY["drift_ms"]


def bad_blocks() -> list[Case]:
    """Return every bad block."""
    return [
        *_bad_forms(),
        *_bad_roots(),
        *_bad_coinbases(),
        *_bad_context(),
        *_bad_entries(),
        *_bad_money(),
    ]


# ------------------------------------------------------------------------------------------------ headers


def malformed_headers() -> Iterator[tuple[str, bytes]]:
    good = easy_book()[0].header
    yield "no bytes", b""
    yield "one byte short", good[:-1]
    yield "one byte long", good + b"\x00"
    yield "a timestamp of 2^53", good[:72] + (2**53).to_bytes(8, "big") + good[80:]
    yield "the last timestamp of 64 bits", good[:72] + b"\xff" * 8 + good[80:]
    for why, bits in (
        ("zero", 0),
        ("negative", 0x20FFFFFF),
        ("above 2^256 - 1", 0x22000100),
        ("all ones", 2**32 - 1),
    ):
        yield f"bits: {why}", good[:80] + bits.to_bytes(4, "big") + good[84:]


def bad_headers() -> Iterator[Case]:
    """Headers that break a rule on the parent named; none of them has a body."""
    _, e2, e3, *_, e6 = easy_book()

    def bad(why: str, rule: str, made: Made, parent: Made = e6) -> Case:
        tier = "sanity" if rule == "proof-of-work" else "context"
        return {
            "why": why,
            "network": parent.network,
            "parent": parent.name,
            "header": made.header.hex(),
            "rule": rule,
            "tier": tier,
        }

    def wrong(**changes: Any) -> Made:  # noqa: ANN401 - each is a field of another type
        return block("", e6, is_applied=False, **changes)

    yield bad("a hash above the target", "proof-of-work", wrong(is_mined=False))
    yield bad("another block's child", "unknown-parent", wrong(previous=e2.hash))
    yield bad("nobody's child", "unknown-parent", wrong(previous=b"\x07" * 32))
    yield bad("version 0", "header-version", wrong(version=0))
    yield bad("version 2", "header-version", wrong(version=2))
    yield bad("its parent's height", "header-height", wrong(height=6))
    yield bad("a height too many", "header-height", wrong(height=8))
    yield bad("height 0", "header-height", wrong(height=0))
    yield bad("the largest height", "header-height", wrong(height=2**32 - 1))
    yield bad("its parent's time", "timestamp-order", wrong(after_ms=0))
    yield bad("before its parent", "timestamp-order", wrong(after_ms=-1))
    due = bits_after(e6)
    yield bad("a harder target than due", "difficulty", wrong(bits=due - 1))
    yield bad(
        "an easier target than due",
        "difficulty",
        block("", e3, bits=0x207FFFFF, is_applied=False),
        e3,
    )
    # The same target, written in another way: bits are compared, not targets.
    trunk = genesis("steep")
    loose = block("", trunk, bits=0x21007FFF, is_applied=False)
    yield bad("the target due in another form", "difficulty", loose, trunk)


# ------------------------------------------------------------------------------------------------- blocks


def _bad(
    why: str,
    rule: str,
    tier: str,
    parent: Made,
    raw: bytes,
    *,
    position: int | None = None,
    condemns: bool = True,
) -> Case:
    return {
        "why": why,
        "network": parent.network,
        "parent": parent.name,
        "rule": rule,
        "tier": tier,
        "position": position,
        "condemns": condemns,
        "block": raw.hex(),
    }


def _bad_forms() -> Iterator[Case]:
    """Bytes that are not the canonical form of any block; they say nothing about a header."""
    e5, e6 = easy_book()[4:]
    header, body, entries = pack(e6.header), pack(e6.body), pack([*e6.entries])
    coinbase, raw = e6.coinbase, e6.raw
    one = e6.entries[0]
    start, rest = b"\x94" + header, coinbase + entries
    front = start + body
    count, *roots = e6.body
    assert isinstance(count, int)
    root = b"".join(map(pack, roots))
    for why, form in (
        ("no bytes", b""),
        ("nil", b"\xc0"),
        ("an entry", one),
        ("an array of three", b"\x93" + header + body + coinbase),
        ("an array of five", b"\x95" + raw[1:] + b"\x90"),
        ("an array header of 3 bytes", array_as(4, 2) + raw[1:]),
        ("a byte left over", raw + b"\x00"),
        ("a byte short", raw[:-1]),
        ("a header in a longer form", b"\x94" + binary(e6.header, 2) + body + rest),
        ("a header as text", b"\x94" + text_as(e6.header, 1) + body + rest),
        ("a header as its fields", b"\x94" + pack([1, 6]) + body + rest),
        ("a body of three", start + b"\x93" + pack(count) + root[:68] + rest),
        ("a body of five", start + b"\x95" + body[1:] + b"\x00" + rest),
        ("a count in a longer form", start + b"\x94" + uint(count, 1) + root + rest),
        ("a count of 2^32", start + b"\x94" + uint(2**32, 8) + root + rest),
        ("a count that is true", start + b"\x94\xc3" + root + rest),
        ("a root of 31 bytes", start + b"\x94" + pack(count) + binary(bytes(31), 1) + root[34:] + rest),
        ("a root that is nil", start + b"\x94" + pack(count) + b"\xc0" + root[34:] + rest),
        ("a coinbase as bin", front + pack(coinbase) + entries),
        ("a coinbase that is nil", front + b"\xc0" + entries),
        ("a coinbase with an array in it", front + b"\x94\x06\x90\x00\xa0" + entries),
        ("a coinbase with nil in it", front + b"\x94\x06\xc0\x00\xa0" + entries),
        ("a coinbase with true in it", front + b"\x94\x06\xc3\x00\xa0" + entries),
        ("a coinbase with a float in it", front + b"\x94\x06\xca" + bytes(4) + b"\x00\xa0" + entries),
        ("a coinbase with -1 in it", front + b"\x94\x06\xff\x00\xa0" + entries),
        ("a coinbase in a longer form", front + array_as(4, 2) + coinbase[1:] + entries),
        ("a height in a longer form in the coinbase", front + b"\x94" + uint(6, 1) + coinbase[2:] + entries),
        ("entries that are nil", front + coinbase + b"\xc0"),
        ("entries as a map", front + coinbase + b"\x80"),
        ("an entry as its array", front + coinbase + b"\x91" + one),
        ("an entry as text", front + coinbase + b"\x91" + text_as(one, 1)),
        ("an entry in a longer form", front + coinbase + b"\x91" + binary(one, 2)),
        ("entries that claim 2^32 - 1", front + coinbase + array_as(2**32 - 1, 4)),
        ("arrays inside arrays", b"\x91" * 5_000),
        ("arrays inside arrays that claim megabytes", array_as(2**20, 4) * 900),
    ):  # fmt: skip
        yield _bad(why, "block-encoding", "sanity", e5, form, condemns=False)
    for why, short in (("a header of 91 bytes", e6.header[:-1]), ("an empty header", b"")):
        form = b"\x94" + pack(short) + body + rest
        yield _bad(why, "header-encoding", "sanity", e5, form, condemns=False)


def _bad_roots() -> Iterator[Case]:
    """Bodies that are not the header's own say nothing about it; wrong fields of its own condemn it."""
    *_, e5, e6 = easy_book()
    header, body, entries = pack(e6.header), pack(e6.body), pack([*e6.entries])
    more = pack([*e6.entries, *e6.entries])
    none = pack([])
    front = b"\x94" + header + body
    for why, rule, form in (
        ("another block's body", "body-root", b"\x94" + header + pack(e5.body) + e6.coinbase + entries),
        ("another block behind the header", "body-root", b"\x94" + header + e5.raw[95:]),
        ("another coinbase", "entries-root", front + e5.coinbase + entries),
        ("no entries", "entries-root", front + e6.coinbase + none),
        ("the last entry twice", "entries-root", front + e6.coinbase + more),
        ("another entry", "entries-root", front + e6.coinbase + pack([*e5.entries])),
        ("a coinbase of five", "entries-root", front + b"\x95" + e6.coinbase[1:] + b"\x00" + entries),
    ):  # fmt: skip
        yield _bad(why, rule, "sanity", e5, form, condemns=False)
    body_root = block("", e6, body_root=bytes(32), is_applied=False)
    yield _bad("a body root of zeros", "body-root", "sanity", e6, body_root.raw, condemns=False)
    root = block("", e6, entries_root=bytes(32), is_applied=False)
    yield _bad("an entries root of zeros", "entries-root", "sanity", e6, root.raw, condemns=False)
    for count in (0, 2, 2**32 - 1):
        made = block("", e6, count=count, is_applied=False)
        yield _bad(
            f"a count of {count} where there is the coinbase alone", "entry-count", "sanity", e6, made.raw
        )
    extended = block("", e6, extension_root=b"\x01" + bytes(31), is_applied=False)
    yield _bad("an extension root", "extension-root", "sanity", e6, extended.raw)
    s1 = steep_book()[0]
    over = filled("", s1, STEEP["maximum_block_bytes"] + 1)
    yield _bad("a byte more than the limit", "block-size", "sanity", s1, over.raw)


def _bad_coinbases() -> Iterator[Case]:
    """Coinbases whose bytes are committed to by the header: they condemn it."""
    *_, e6 = easy_book()
    miner, amount = key("miner").public, 5_000
    for why, coinbase in (
        ("an empty array", pack([])),
        ("an array of three", pack([7, miner, amount])),
        ("an array of five", pack([7, miner, amount, "", 0])),
        ("a miner of 31 bytes", pack([7, miner[1:], amount, ""])),
        ("a miner as text", pack([7, "m" * 32, amount, ""])),
        ("a height as text", pack(["7", miner, amount, ""])),
        ("an amount as bin", pack([7, miner, b"\x13\x88", ""])),
        ("an amount of 2^53", pack([7, miner, 2**53, ""])),
        ("a height of 2^64 - 1", pack([2**64 - 1, miner, amount, ""])),
        ("a note as bin", pack([7, miner, amount, b""])),
        ("a note of 257 bytes", pack([7, miner, amount, "n" * 257])),
        ("a line break in the note", pack([7, miner, amount, "a\nb"])),
        ("a note that is no UTF-8", b"\x94\x07" + pack(miner) + pack(amount) + text(b"\xff")),
        ("a surrogate in the note", b"\x94\x07" + pack(miner) + pack(amount) + text(b"\xed\xa0\x80")),
    ):
        made = block("", e6, coinbase=coinbase, is_applied=False)
        yield _bad(f"coinbase: {why}", "coinbase-encoding", "sanity", e6, made.raw)


def _bad_context() -> Iterator[Case]:
    *_, e6 = easy_book()
    history = block("", e6, history_root=mth(e6.hashes[:-1]), is_applied=False)
    yield _bad("the history without the parent", "history-root", "context", e6, history.raw)
    history = block("", e6, history_root=bytes(32), is_applied=False)
    yield _bad("a history of zeros", "history-root", "context", e6, history.raw)
    hashes = [*e6.hashes]
    hashes[1], hashes[2] = hashes[2], hashes[1]
    history = block("", e6, history_root=mth(hashes), is_applied=False)
    yield _bad("two blocks of the history changed over", "history-root", "context", e6, history.raw)
    for height in (0, 6, 8):
        made = block("", e6, coinbase_height=height, is_applied=False)
        yield _bad(f"a coinbase of height {height} in block 7", "coinbase-height", "context", e6, made.raw)
    old = entry(e6, ANN, BOB, 1, 3, timestamp_ms=e6.timestamp_ms)
    late = block("", e6, [old], after_ms=LIFETIME + 1, is_applied=False)
    yield _bad("an entry past its lifetime", "entry-expired", "context", e6, late.raw, position=0)
    ahead = entry(e6, ANN, BOB, 1, 4, timestamp_ms=e6.timestamp_ms + 1_000 + DRIFT + 1)
    made = block("", e6, [entry(e6, ANN, BOB, 1, 3), ahead], is_applied=False)
    yield _bad("an entry from the future", "entry-from-future", "context", e6, made.raw, position=1)
    made = block("", e6, [entry(e6, ANN, BOB, 1, 3, fee=0)], is_applied=False)
    yield _bad("an entry without fee", "fee-too-low", "context", e6, made.raw, position=0)


def _bad_entries() -> Iterator[Case]:
    """Entries that break a rule by themselves (see entries.json for more), inside a block."""
    *_, e6 = easy_book()
    good = entry(e6, ANN, BOB, 1, 3)
    fields = good.raw[1:]
    for why, rule, raw in (
        ("no bytes", "entry-encoding", b""),
        ("an array of eight", "entry-encoding", b"\x98" + fields[:-66]),
        ("a byte left over", "entry-encoding", good.raw + b"\x00"),
        ("its version in a longer form", "entry-encoding", b"\x99\xcc" + fields),
        ("version 2", "entry-version", b"\x99\x02" + fields[1:]),
        ("a line break in the memo", "entry-memo", entry(e6, ANN, BOB, 1, 3, memo="a\nb").raw),
    ):
        made = block("", e6, [good, raw], is_applied=False)
        yield _bad(f"an entry: {why}", rule, "sanity", e6, made.raw, position=1)
    for why, signature in (("64 zero bytes", bytes(64)), ("another entry's signature", good.raw[-64:])):
        forged = entry(e6, ANN, BOB, 2, 4, signature=signature)
        made = block("", e6, [good, forged], is_applied=False)
        yield _bad(f"a signature: {why}", "entry-signature", "connect", e6, made.raw, position=1)
    forged = entry(e6, ANN, CAT, 10**8, 3, signature=bytes(64))
    made = block("", e6, [forged], is_applied=False)
    yield _bad("an unsigned payment of a million", "entry-signature", "connect", e6, made.raw, position=0)


def _bad_money() -> Iterator[Case]:
    *_, e6 = easy_book()
    ann, _ = e6.accounts[ANN.public]
    bob, _ = e6.accounts[BOB.public]

    def bad(
        why: str,
        rule: str,
        entries: list[Payment | bytes],
        position: int | None = 0,
        **rest: Any,  # noqa: ANN401 - what to change
    ) -> Case:
        made = block("", e6, entries, is_applied=False, **rest)
        return _bad(why, rule, "connect", e6, made.raw, position=position)

    first = entry(e6, ANN, BOB, 1, 3)
    yield bad("a nonce of long ago", "nonce-used", [entry(e6, ANN, BOB, 1, 0)])
    yield bad("an entry of an earlier block again", "nonce-used", [easy_book()[5].entries[0]])
    yield bad("the same entry twice", "nonce-used", [first, first], 1)
    yield bad("two payments with one nonce", "nonce-used", [first, entry(e6, ANN, CAT, 1, 3)], 1)
    yield bad("a nonce left out", "nonce-gap", [entry(e6, ANN, BOB, 1, 4)])
    yield bad("two entries in the wrong order", "nonce-gap", [entry(e6, ANN, BOB, 1, 4), first])
    yield bad("the last nonce there is", "nonce-gap", [entry(e6, ANN, BOB, 1, 2**53 - 1)])
    yield bad("a nonce above 0 of an unknown key", "nonce-gap", [entry(e6, key("dan"), BOB, 1, 1)])
    yield bad("more than there is", "overspend", [entry(e6, ANN, BOB, ann + 1, 3, fee=1)])
    yield bad("all there is, and the fee", "overspend", [entry(e6, ANN, BOB, ann, 3, fee=1)])
    yield bad("all there is to oneself, and the fee", "overspend", [entry(e6, ANN, ANN, ann, 3, fee=1)])
    yield bad("a fee that is too much", "overspend", [entry(e6, ANN, BOB, 0, 3, fee=ann + 1)])
    yield bad("the largest amount", "overspend", [entry(e6, ANN, BOB, 2**53 - 1, 3)])
    yield bad("one who has nothing", "overspend", [entry(e6, key("dan"), BOB, 1, 0)])
    twice: list[Payment | bytes] = [entry(e6, ANN, BOB, ann - 1, 3), entry(e6, ANN, CAT, 1, 4)]
    yield bad("the second of two that only one can be", "overspend", twice, 1)
    before: list[Payment | bytes] = [entry(e6, BOB, CAT, bob + 10, 2), entry(e6, ANN, BOB, 1_000, 3)]
    yield bad("spent before it comes, in the same block", "overspend", before)
    reward: list[Payment | bytes] = [entry(e6, key("eve"), BOB, 1, 0)]
    yield bad("the reward of its own block", "overspend", reward, miner=key("eve").public)
    for more in (-1, 1, 10**8):
        yield bad(f"a coinbase of {more:+d}", "coinbase-amount", [first], None, coinbase_amount=more)
    yield bad("a coinbase without the fees", "coinbase-amount", [first], None, coinbase_amount=-1)
    yield bad("a coinbase of nothing", "coinbase-amount", [], None, coinbase_amount=-5_000)
    s7 = steep_book()[-1]
    unripe = entry(s7, key("miner"), BOB, s7.accounts[key("miner").public][0] + s7.rewards[5][1], 0, fee=0)
    made = block("", s7, [unripe], is_applied=False)
    yield _bad("a reward that is not mature", "overspend", "connect", s7, made.raw, position=0)
    halved = block("", s7, coinbase_amount=100 // 2**2 - 100 // 2**3, is_applied=False)
    yield _bad("the reward from before the halving", "coinbase-amount", "connect", s7, halved.raw)
