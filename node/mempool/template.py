"""Which pending entries go into a block. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from node.ledger import codec
from node.ledger.entry import Entry
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import Parameters
from node.ledger.rules import check_entry_in_context
from node.ledger.state import Account

AccountOf = Callable[[bytes], Account]
"""The account of a key at the tip."""

_LOOKED_AT_WHEN_FULL: Final = 256
"""Once an entry does not fit, so many more are looked at for a last small one, and not the whole pool."""


class Template(NamedTuple):
    """Entries for a block, in the order in which they connect."""

    entries: list[Entry]
    fees: int
    dropped: list[tuple[Entry, str]]
    """Entries that no block can hold, which therefore left the pool, each with the code of the rule."""


@dataclass(slots=True)
class Builder:
    """One template in the making."""

    parameters: Parameters
    timestamp_ms: int
    account_of: AccountOf
    room: int
    """Bytes left for entries as they stand in the block."""
    chosen: list[Entry] = field(default_factory=list)
    dropped: list[tuple[Entry, str]] = field(default_factory=list)
    _cursors: dict[bytes, _Cursor] = field(default_factory=dict)
    _patience: int = _LOOKED_AT_WHEN_FULL
    _full: bool = False

    def choose(
        self, candidates: Iterable[Entry], waiting_of: Callable[[bytes], Mapping[int, Entry]]
    ) -> Template:
        """Walk the candidates, best first, and take each with its sender's earlier nonces, while they fit.

        `waiting_of` gives what a sender has pending, by nonce. Each entry is looked at twice at most.
        """
        for entry in candidates:
            cursor = self._cursor_of(entry.sender)
            if entry.nonce < cursor.first:
                self.dropped.append((entry, Rule.NONCE_USED.value))
            elif not cursor.closed and entry.nonce >= cursor.next:
                self._take_up_to(entry.nonce, cursor, waiting_of(entry.sender))
            self._patience -= self._full
            if not self._patience:
                break
        return Template(self.chosen, sum(entry.fee for entry in self.chosen), self.dropped)

    def _cursor_of(self, sender: bytes) -> _Cursor:
        cursor = self._cursors.get(sender)
        if cursor is None:
            balance, nonce = self.account_of(sender)
            cursor = self._cursors[sender] = _Cursor(nonce, nonce, balance)
        return cursor

    def _take_up_to(self, nonce: int, cursor: _Cursor, waiting: Mapping[int, Entry]) -> None:
        while cursor.next <= nonce:
            entry = waiting.get(cursor.next)
            if entry is None or not self._fits(entry, cursor):
                # What follows needs this one before it. The next template looks again.
                cursor.closed = True
                return
            self.room -= entry_bytes(entry.raw)
            cursor.next += 1
            cursor.balance -= entry.amount + entry.fee
            self.chosen.append(entry)

    def _fits(self, entry: Entry, cursor: _Cursor) -> bool:
        """Tell whether the sender's next entry can stand in this block; drop it if it can stand in none."""
        try:
            check_entry_in_context(entry, self.timestamp_ms, self.parameters)
        except RuleBroken as broken:
            if broken.rule is Rule.FEE_TOO_LOW:
                self.dropped.append((entry, broken.rule.value))
            return False
        if entry.amount + entry.fee > cursor.balance:
            return False
        if entry_bytes(entry.raw) > self.room:
            self._full = True
            return False
        return True


@dataclass(slots=True)
class _Cursor:
    """How far one sender has come."""

    first: int
    """The nonce of its account."""
    next: int
    balance: int
    """What is left of it; what others pay it in the same block is not counted."""
    closed: bool = False
    """Nothing more of this sender goes into this block."""


def entry_bytes(raw: bytes) -> int:
    """Return how many bytes an entry takes in a block, as msgpack bin 8 or bin 16."""
    return len(raw) + (2 if len(raw) < 1 << 8 else 3)


def block_overhead(note: str) -> int:
    """Return the most that a block takes apart from its entries, with this coinbase note.

    Numbers that are not known beforehand count at their widest, which is 20 bytes too many at most.
    """
    header, root = 2 + 92, 2 + 32
    body = 1 + 5 + 3 * root
    coinbase = 1 + 5 + root + 9 + len(codec.encode(note))
    return 1 + header + body + coinbase + 5
