"""Is it safe to hand over the cup? What this node knows of an entry, weighed into no, likely or yes.

Pure. The rules stand in one table, tried from the top, as `docs/counter.md` has them. `yes` says that no
accident takes the entry back: it is in the book, the others hold the same book, and there is no rival. It
never says that nobody could: the proof of work of a few laptops orders entries, it does not protect them.
What protects is that every entry is signed and that everybody has a copy, so the cost of rewriting is told
with the verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeAlias

Verdict: TypeAlias = Literal["no", "likely", "yes"]

DEEP: Final = 6
"""Confirmations, its own block among them, that count as deep where they are worth their work."""
STOOD_INTERVALS: Final = 4
"""Block intervals after which a block that everybody has counts as settled, however few follow: a node that
mines on demand makes no further block before the next payment."""
WORTH_INTERVALS: Final = 2
"""Block intervals of this machine's work that the blocks on an entry must be worth to count as deep."""
NEAR: Final = 3
"""A branch without the entry is near while it lacks less work than so many blocks of the tip's."""


class Facts(NamedTuple):
    """What is known of an entry and of the node that knows it."""

    status: str
    """As `tx` has it: pending, confirmed, conflicted or unknown."""
    confirmations: int = 0
    age_ms: int = 0
    """Since this node first saw the entry's block."""
    peers: int = 0
    """Open connections."""
    having: int = 0
    """Peers that heard of the entry while it is pending; that know its block once it is confirmed."""
    is_synced: bool = True
    sync_reason: str = ""
    clock_offset_ms: int = 0
    """How far the peers' median clock is from ours."""
    drift_ms: int = 30_000
    """Of the network's parameters."""
    has_gap: bool = False
    """Earlier entries of its sender are missing, without which no block can hold it."""
    has_rival: bool = False
    """Another entry of the same sender and nonce stands in a branch near the tip."""
    lead: int | None = None
    """By how many blocks of the tip's work the book is ahead of the heaviest branch that lacks the entry,
    rounded down; negative where that one is heavier. None: no such branch is near and has grown lately."""
    interval_ms: int = 15_000
    rewrite_s: int | None = None
    """How long this machine would take to redo the work from the entry's block on; None: not known."""
    findings: int = 0
    """What the audit found wrong in this copy of the book."""

    @property
    def is_pending(self) -> bool:
        """True while no block holds it."""
        return self.status == "pending"

    @property
    def clock_is_off(self) -> bool:
        """True where blocks and entries of others may look too early or too late to this node."""
        return abs(self.clock_offset_ms) > self.drift_ms // 2

    @property
    def is_deep(self) -> bool:
        """True where enough blocks follow, and were not free."""
        worth = WORTH_INTERVALS * self.interval_ms
        dear = self.rewrite_s is None or self.rewrite_s * 1_000 >= worth
        return self.confirmations >= DEEP and dear

    @property
    def has_stood(self) -> bool:
        """True where it has been in the book for long enough that another branch would have shown."""
        return self.age_ms >= STOOD_INTERVALS * self.interval_ms


class Settled(NamedTuple):
    """Whether to hand over the cup."""

    verdict: Verdict
    rule: str
    """Stable name of the rule that decided."""
    reason: str
    """For people."""


class Rule(NamedTuple):
    """One line of the table."""

    name: str
    verdict: Verdict
    applies: Callable[[Facts], bool]
    reason: Callable[[Facts], str]


RULES: Final[tuple[Rule, ...]] = (
    Rule("unknown", "no", lambda f: f.status == "unknown", lambda _: "this node knows of no such entry"),
    Rule(
        "lost",
        "no",
        lambda f: f.status not in ("pending", "confirmed"),
        lambda _: "another entry took its place, or its time ran out: it will never count",
    ),
    Rule(
        "damaged-copy",
        "no",
        lambda f: f.findings > 0,
        lambda f: f"the audit found {_count(f.findings, 'fault')} in this copy of the book: mend it first",
    ),
    Rule(
        "not-synced",
        "no",
        lambda f: not f.is_synced,
        lambda f: f"this node is not up to date ({f.sync_reason}): it may not know the newest blocks",
    ),
    Rule(
        "rival-entry",
        "no",
        lambda f: f.has_rival,
        lambda _: "the sender signed another entry in its place, and only one of the two can count",
    ),
    Rule(
        "heavier-branch",
        "no",
        lambda f: f.lead is not None and f.lead < 1,
        lambda _: "another branch without this entry has as much work: it is open which of them will last",
    ),
    Rule(
        "clock-pending",
        "no",
        lambda f: f.is_pending and f.clock_is_off,
        lambda f: f"{_clock(f)}: this node may take or refuse what the others do not",
    ),
    Rule(
        "nonce-gap",
        "no",
        lambda f: f.is_pending and f.has_gap,
        lambda _: (
            "it waits for an earlier entry of its sender that nobody has seen: no block can hold it yet"
        ),
    ),
    Rule(
        "unheard",
        "no",
        lambda f: f.is_pending and f.having == 0,
        lambda f: (
            "no block holds it yet, and "
            + ("no other node has heard of it" if f.peers else "no other node is connected")
        ),
    ),
    Rule(
        "heard",
        "likely",
        lambda f: f.is_pending,
        lambda f: f"{_of(f.having, f.peers)} heard of it; its sender can take it back until a block holds it",
    ),
    Rule("clock", "likely", lambda f: f.clock_is_off, lambda f: f"it is in the book, but {_clock(f)}"),
    Rule(
        "alone",
        "likely",
        lambda f: f.peers == 0,
        lambda f: f"{_depth(f)}, but no other node is connected: nobody else is known to have a copy",
    ),
    Rule(
        "few-copies",
        "likely",
        lambda f: f.having * 2 <= f.peers,
        lambda f: f"{_depth(f)}, but that block is known to only {_of(f.having, f.peers)}",
    ),
    Rule(
        "near-branch",
        "likely",
        lambda f: f.lead is not None and f.lead < NEAR,
        lambda f: f"{_depth(f)}, but another branch without it is only {_count(f.lead or 0, 'block')} behind",
    ),
    Rule(
        "shallow",
        "likely",
        lambda f: not (f.is_deep or f.has_stood),
        lambda f: (
            f"{_depth(f)}; it is settled {DEEP} deep, or once it has stood for "
            f"{_span(STOOD_INTERVALS * f.interval_ms // 1_000)}{_cost(f)}"
        ),
    ),
    Rule(
        "settled",
        "yes",
        lambda _: True,
        lambda f: f"{_depth(f)}, known to {_of(f.having, f.peers)}, and there is no rival{_cost(f)}",
    ),
)
"""Tried from the top; the first that applies decides, and the last always does."""


def settled(facts: Facts) -> Settled:
    """Return whether it is safe to hand over what was paid for, and why."""
    rule = next(rule for rule in RULES if rule.applies(facts))
    return Settled(rule.verdict, rule.name, rule.reason(facts))


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _of(having: int, peers: int) -> str:
    return f"{having} of {_count(peers, 'peer')}"


def _depth(facts: Facts) -> str:
    return f"it is {_count(facts.confirmations, 'block')} deep"


def _clock(facts: Facts) -> str:
    return f"this machine's clock is {abs(facts.clock_offset_ms) // 1_000} s off from its peers'"


def _cost(facts: Facts) -> str:
    if facts.rewrite_s is None:
        return ""
    return f" (a machine like this one would need {_span(facts.rewrite_s)} to rewrite it)"


def _span(seconds: int) -> str:
    """Return a length of time in the largest unit that it has two of, rounded down."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
