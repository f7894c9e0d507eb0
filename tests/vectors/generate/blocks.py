"""Blocks: books that are right, blocks that break one rule each, switches of branch. Touches nothing."""

from __future__ import annotations

from collections.abc import Iterator

from tests.vectors.generate.bad_blocks import bad_blocks, bad_headers, malformed_headers
from tests.vectors.generate.book import STEEP, Made, bits_after, block
from tests.vectors.generate.books import branches, easy_book, filled, steep_book
from tests.vectors.generate.keys import key
from tests.vectors.generate.merkle import mth

ABOUT = (
    "Blocks of the networks of params.json. Bytes are hex, works 0x numbers. `blocks`: valid, each after "
    "its parent, with all that follows from it: `work` is the block's own, `next_bits` what its child "
    "must carry, `accounts` [key, balance, nonce] after it, ascending. `headers`: bytes that are no "
    "header. `bad`: a block that breaks one rule, on its `parent`; `tier` says which checks find it, "
    "`position` which entry it is, and `condemns` whether the hash is condemned or nothing is said about "
    "the header. `bad_headers`: the same for a header alone. `heirs`: a condemned block's descendants. "
    "`switches`: blocks in order of arrival, with the tip after each, and the accounts at the end."
)


def make() -> dict[str, object]:
    """Return the whole file."""
    return {
        "about": ABOUT,
        "keys": {name: key(name).public.hex() for name in ("ann", "bob", "cat", "miner")},
        "blocks": [_described(made) for made in _books()],
        "headers": [
            {"why": why, "rule": "header-encoding", "header": raw.hex()} for why, raw in malformed_headers()
        ],
        "bad_headers": list(bad_headers()),
        "bad": bad_blocks(),
        "heirs": list(_heirs()),
        "switches": list(_switches()),
    }


def _books() -> list[Made]:
    full = filled("full", steep_book()[0], STEEP["maximum_block_bytes"])
    return [*easy_book(), *steep_book(), *branches(), full]


def _described(made: Made) -> dict[str, object]:
    assert made.parent is not None
    return {
        "network": made.network,
        "name": made.name,
        "parent": made.parent.name,
        "height": made.height,
        "timestamp_ms": made.timestamp_ms,
        "bits": f"{made.bits:#010x}",
        "header": made.header.hex(),
        "hash": made.hash.hex(),
        "count": made.body[0],
        "entries_root": mth([made.coinbase, *made.entries]).hex(),
        "history_root": mth(made.hashes[:-1]).hex(),
        "body_root": made.header[40:72].hex(),
        "coinbase": made.coinbase.hex(),
        "coinbase_leaf": mth([made.coinbase]).hex(),
        "txids": [mth([raw]).hex() for raw in made.entries],
        "block": made.raw.hex(),
        "work": hex(made.work),
        "cumulative_work": hex(made.cumulative_work),
        "chain_time": made.chain_time,
        "next_bits": f"{bits_after(made):#010x}",
        "accounts": [[owner.hex(), *account] for owner, account in sorted(made.accounts.items())],
    }


def _heirs() -> Iterator[dict[str, object]]:
    """A block that mints, and two that are right but for their forebear."""
    *_, e6 = easy_book()
    forged = block("", e6, coinbase_amount=10**8, is_applied=False)
    child = block("", forged, is_applied=False)
    grandchild = block("", child, is_applied=False)
    yield {
        "why": "blocks on one that mints",
        "network": "easy",
        "parent": "e6",
        "blocks": [made.raw.hex() for made in (forged, child, grandchild)],
        "rules": ["coinbase-amount", "condemned-parent", "condemned-parent"],
    }


# ----------------------------------------------------------------------------------------------- switches


def _switches() -> Iterator[dict[str, object]]:
    slow, fast = branches()[:4], branches()[4:]
    s1 = steep_book()[0]

    def switch(why: str, arrivals: tuple[Made, ...]) -> dict[str, object]:
        tip, steps = s1, []
        for made in arrivals:
            if made.cumulative_work > tip.cumulative_work:
                tip = made
            steps.append({"block": made.name, "tip": tip.name})
        accounts = [[owner.hex(), *account] for owner, account in sorted(tip.accounts.items())]
        return {"why": why, "network": "steep", "start": "s1", "steps": steps, "accounts": accounts}

    yield switch("three blocks with more work replace four with less", (*slow, *fast))
    yield switch("the same, in the other order: the four never lead", (*fast, *slow))
    yield switch("the first seen wins a tie of work", (slow[0], fast[0]))
    yield switch("the first seen wins a tie of work, the other way", (fast[0], slow[0]))
    yield switch("turn by turn", (slow[0], fast[0], slow[1], slow[2], fast[1], fast[2], slow[3]))
