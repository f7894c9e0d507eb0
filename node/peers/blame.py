"""What peers are charged for their faults, and who is banned until when. Pure."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, NamedTuple

from node.recent import Recent

BAN_MS: Final = 24 * 3_600_000
"""How long a ban lasts."""
LIMIT: Final = 100
"""Points at which a peer has to go."""

_POINT_MS: Final = 60_000
"""A point is forgotten in this time."""
_MAX_SCORES: Final = 2_000
_MAX_BANS: Final = 1_000


class Verdict(Enum):
    """What becomes of a peer that was charged."""

    STAYS = auto()
    DISCONNECT = auto()
    """It is one of those never banned: configured, or on this machine."""
    BAN = auto()
    """Disconnected, and not let in again before the ban expires."""


class Scores:
    """Points of hosts and identities; one point a minute is forgotten.

    A debt is kept in the milliseconds that it takes to be forgotten, together with its moment.
    """

    def __init__(self) -> None:
        self._debts: Recent[str, tuple[int, int]] = Recent(_MAX_SCORES)

    def charge(self, subject: str, points: int, mono_ms: int) -> None:
        """Add points."""
        self._debts.note(subject, (self._debt(subject, mono_ms) + points * _POINT_MS, mono_ms))

    def points(self, subject: str, mono_ms: int) -> int:
        """Return what is not forgotten yet, rounded up."""
        return -(-self._debt(subject, mono_ms) // _POINT_MS)

    def clear(self, subject: str) -> None:
        """Begin anew."""
        self._debts.forget(subject)

    def _debt(self, subject: str, mono_ms: int) -> int:
        debt, since_ms = self._debts.get(subject) or (0, mono_ms)
        return max(0, debt - (mono_ms - since_ms))


class Ban(NamedTuple):
    """Someone who is not spoken with."""

    subject: str
    """A host, or an identity as 64 hexadecimal digits."""
    until_ms: int
    """Unix milliseconds."""
    reason: str
    by_hand: bool
    """By the owner of this node, who may ban whom they like."""


class Bans:
    """Bans in force, bounded: beyond that the one that expires first is lifted, those by hand last."""

    def __init__(self) -> None:
        self._bans: dict[str, Ban] = {}

    def ban(self, ban: Ban) -> None:
        """Put it in force; one for the same subject is replaced, unless it lasts longer or was by hand."""
        old = self._bans.get(ban.subject)
        if old is None or (ban.by_hand, ban.until_ms) >= (old.by_hand, old.until_ms):
            self._bans[ban.subject] = ban
        if len(self._bans) > _MAX_BANS:
            first = min(self._bans.values(), key=lambda one: (one.by_hand, one.until_ms, one.subject))
            del self._bans[first.subject]

    def lift(self, subject: str) -> bool:
        """End a ban. False where there is none."""
        return self._bans.pop(subject, None) is not None

    def find(self, subject: str, wall_ms: int) -> Ban | None:
        """Return the ban that is in force for a host or an identity."""
        ban = self._bans.get(subject)
        return ban if ban is not None and ban.until_ms > wall_ms else None

    def all(self, wall_ms: int) -> list[Ban]:
        """Return the bans in force; those that expired are dropped."""
        self._bans = {subject: ban for subject, ban in self._bans.items() if ban.until_ms > wall_ms}
        return list(self._bans.values())
