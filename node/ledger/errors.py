"""What can be wrong with an entry or a block, each rule under one stable code.

Pure. A rule that is broken is the fault of whoever made the bytes, never of this machine: faults of the
machine (disk, clock) have types of their own in the layers that touch it, and our own bugs are `assert`s
and crashes. The codes are part of the protocol (docs/protocol.md): they are never renamed or used again.
"""

from __future__ import annotations

from enum import StrEnum


class Rule(StrEnum):
    """The stable code of each rule, in the order in which the tiers check them."""

    # Sanity of an entry: its bytes alone.
    ENTRY_ENCODING = "entry-encoding"
    ENTRY_VERSION = "entry-version"
    ENTRY_MEMO = "entry-memo"

    # Sanity of a block: its bytes alone.
    HEADER_ENCODING = "header-encoding"
    PROOF_OF_WORK = "proof-of-work"
    BLOCK_ENCODING = "block-encoding"
    BODY_ROOT = "body-root"
    ENTRIES_ROOT = "entries-root"
    BLOCK_SIZE = "block-size"
    ENTRY_COUNT = "entry-count"
    EXTENSION_ROOT = "extension-root"
    COINBASE_ENCODING = "coinbase-encoding"

    # Context of a block: the headers before it.
    UNKNOWN_PARENT = "unknown-parent"
    CONDEMNED_PARENT = "condemned-parent"
    HEADER_VERSION = "header-version"
    HEADER_HEIGHT = "header-height"
    TIMESTAMP_ORDER = "timestamp-order"
    DIFFICULTY = "difficulty"
    HISTORY_ROOT = "history-root"
    COINBASE_HEIGHT = "coinbase-height"
    ENTRY_EXPIRED = "entry-expired"
    ENTRY_FROM_FUTURE = "entry-from-future"
    FEE_TOO_LOW = "fee-too-low"

    # Connect: the signatures, which cost most, and the accounts.
    ENTRY_SIGNATURE = "entry-signature"
    NONCE_USED = "nonce-used"
    NONCE_GAP = "nonce-gap"
    OVERSPEND = "overspend"
    COINBASE_AMOUNT = "coinbase-amount"

    @property
    def says_nothing_about_the_header(self) -> bool:
        """True where the body may simply not be the header's own, so that the header is not condemned."""
        return self in _FOREIGN_BODY


_FOREIGN_BODY = frozenset(
    {
        Rule.BLOCK_ENCODING,
        Rule.BODY_ROOT,
        Rule.ENTRIES_ROOT,
    }
)


class RuleBroken(Exception):
    """Bytes that break a rule of the ledger. The one who made them is at fault."""

    __slots__ = ("detail", "position", "rule")

    def __init__(self, rule: Rule, detail: str, position: int | None = None) -> None:
        """`position`: which entry of the block broke it (0 is the first entry), where one did."""
        super().__init__(rule, detail, position)
        self.rule = rule
        self.detail = detail
        self.position = position

    def __str__(self) -> str:
        """Code first, as in logs and REJECT."""
        where = "" if self.position is None else f" (entry {self.position})"
        return f"{self.rule}: {self.detail}{where}"
