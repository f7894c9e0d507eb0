"""What reading a book again can find, and how it ends at the first thing that is not in order. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar

from node.ledger.errors import Rule, RuleBroken
from node.storage.port import BlockRecord, StorageFault

T = TypeVar("T")

_AMOUNTS: Final = frozenset(("amount", "fee", "balance"))
_TIMES: Final = frozenset(("timestamp_ms", "chain_time", "first_seen_ms"))
_INTEGER: Final = re.compile("-?[0-9]{1,19}")
_OF_THE_COINBASE = frozenset({Rule.COINBASE_ENCODING, Rule.COINBASE_HEIGHT, Rule.COINBASE_AMOUNT})


class Finding(StrEnum):
    """What can be wrong with this machine's copy, beside the rules of the ledger (`Rule`)."""

    META_ROW = "meta-row"
    """The book says that it is of another network than its genesis block."""
    GENESIS_BODY = "genesis-body"
    """The bytes of the genesis block are others than its network's."""
    MAIN_ROW = "main-row"
    """The row that says which block is at a height is missing, or names another block."""
    BLOCK_ROW = "block-row"
    """The row with a block's header and its place in the tree is missing or wrong."""
    BODY_MISSING = "body-missing"
    """A block's bytes are missing or cannot be read."""
    BODY_HEADER = "body-header"
    """A block's bytes begin with another header than its own."""
    INDEX_ROW = "index-row"
    """The index by txid and account lacks something that the blocks give, or has more."""
    ACCOUNT_ROW = "account-row"
    """A balance or nonce is not what the blocks give."""
    SIDE_BLOCK = "side-block"
    """A block of a side branch is not what it was."""
    NAMED_ROW = "named-row"
    """A small value that the node keeps by name (its last switch) is not one that it wrote."""
    FILE = "file"
    """The book's file is not as SQLite left it, or its tables are not as this program made them."""
    OTHER_FILE = "other-file"
    """A file beside the book (peers, pending entries, wallet, identity) is damaged."""


class Difference(NamedTuple):
    """One field of what was found, beside what it must be."""

    name: str
    said: str | None
    """As the stored copy has it; None where it has nothing there."""
    proof: str | None
    """As the rest of the book proves it; None where nothing at hand tells."""


@dataclass(frozen=True, slots=True)
class FirstBad:
    """The first thing that is not in order."""

    rule: str
    """A `Rule` of the ledger that is broken, or a `Finding`."""
    detail: str
    """For people."""
    height: int | None = None
    """None where it is no block's, as with an account."""
    block: bytes | None = None
    """Hash of the block, as its header has it; None where there is no header."""
    position: int | None = None
    """Leaf of the block: 0 is the coinbase, 1 the first entry. None where it is none, or not known which."""
    txid: bytes | None = None
    """What the header commits to at the position; None where nothing at hand proves it."""
    found_txid: bytes | None = None
    """What the bytes found there hash to."""
    fields: tuple[Difference, ...] = ()
    """What it says, field by field, beside what is proven."""

    def as_json(self) -> dict[str, Any]:
        """Return the finding as `verify`, `heal` and the local socket tell it."""
        return {
            "height": self.height,
            "block": None if self.block is None else self.block.hex(),
            "position": self.position,
            "txid": None if self.txid is None else self.txid.hex(),
            "found_txid": None if self.found_txid is None else self.found_txid.hex(),
            "rule": str(self.rule),
            "detail": self.detail,
            "fields": [field._asdict() for field in self.fields],
        }


def amount_of(name: str, text: str) -> int | None:
    """Return what a field says in smallest units, None where it is no amount (or where it says nonsense)."""
    return int(text) if name in _AMOUNTS and _INTEGER.fullmatch(text) else None


def time_of(name: str, text: str) -> int | None:
    """Return what a field says as Unix milliseconds, None where it is no time."""
    return int(text) if name in _TIMES and _INTEGER.fullmatch(text) else None


def readable(name: str, text: str, amount: Callable[[int], str], moment: Callable[[int], str]) -> str:
    """Return what a field says as people read it; `amount` and `moment` show smallest units, milliseconds."""
    units, milliseconds = amount_of(name, text), time_of(name, text)
    if units is not None:
        return amount(units)
    return text if milliseconds is None else moment(milliseconds)


class Bad(Exception):
    """Ends the reading."""

    def __init__(self, found: FirstBad) -> None:
        super().__init__(found)
        self.found = found


def reading(finding: Finding, height: int | None, read: Callable[[], T]) -> T:
    """Return what is read; where the file cannot be read, that is the finding."""
    try:
        return read()
    except StorageFault as fault:
        raise Bad(FirstBad(finding, str(fault), height)) from fault


@contextmanager
def naming(record: BlockRecord, leaves: Sequence[bytes] = ()) -> Iterator[None]:
    """Make a finding of a rule that the block breaks.

    `leaves`, once they are known to be what the header commits to, name the entry that breaks it.
    """
    try:
        yield
    except RuleBroken as broken:
        position = None if broken.position is None else broken.position + 1
        if broken.rule in _OF_THE_COINBASE:
            position = 0
        txid = leaves[position] if position is not None and leaves else None
        found = FirstBad(broken.rule, broken.detail, record.height, record.hash, position, txid, txid)
        raise Bad(found) from broken
