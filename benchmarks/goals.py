"""What each figure is meant to reach, beside the reason, written once: by the name of the figure.

Pure. The goals are of a machine with two cores and SHA extensions, at the sizes that the benchmarks have
unless told otherwise. Nothing fails where one is missed; the table says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Goal(NamedTuple):
    """A bound on a figure."""

    bound: float
    """In the figure's unit; of a ratio, in parts of its limit."""
    why: str
    at_most: bool = False
    """The figure is a time or a size: less is better."""
    is_ratio: bool = False
    """The bound is on figure over limit, and holds on any machine."""

    def is_met(self, figure: float, limit: float) -> bool:
        """Return whether the figure reaches it beside this limit."""
        reached = figure / limit if self.is_ratio else figure
        return reached <= self.bound if self.at_most else reached >= self.bound

    def text(self, unit: str) -> str:
        """Return it for people."""
        sign = "<=" if self.at_most else ">="
        return f"{sign} {self.bound:.2f} of it" if self.is_ratio else f"{sign} {self.bound:,.9g} {unit}"


_FIRST_SYNC: Final = "people judge a node by how long it takes to have the whole book"
_SUBMIT: Final = "Bitcoin Core takes 2,500 a second over one connection, 3,950 in batches of 100"
_RELAY: Final = "Bitcoin Core passes such a block on in 10 to 11 ms, in 77 ms along such a line"
_START: Final = "Bitcoin Core answers 0.22 s after its start"
_SIGNATURES: Final = "nothing but the signatures should count"

GOALS: Final[Mapping[str, tuple[Goal, ...]]] = MappingProxyType(
    {
        # Histories are written with the blocks: the goal of 0.70 until they have caught up is part of this.
        "sync": (
            Goal(0.80, f"{_FIRST_SYNC}; signatures are what cannot be saved", is_ratio=True),
            Goal(34_800, f"{_FIRST_SYNC}: the rate of Bitcoin Core 31"),
        ),
        "sync memory": (
            Goal(150, "Bitcoin Core takes 88 MiB; Python and its threads half as much again", at_most=True),
        ),
        "sync million": (Goal(0.95, "an entry costs the same in a longer book", is_ratio=True),),
        "sync million memory": (Goal(200, "a longer book takes little more memory", at_most=True),),
        "submit lock-step": (Goal(5_000, f"{_SUBMIT}; a synced append is the floor"),),
        "submit pipelined": (Goal(12_000, _SUBMIT),),
        "submit batches": (Goal(16_000, _SUBMIT),),
        "push": (Goal(25_000, "Bitcoin Core takes 13,100 a second from a peer"),),
        "relay hop": (Goal(5, _RELAY, at_most=True),),
        "relay line": (Goal(40, _RELAY, at_most=True),),
        "restart ready": (Goal(0.22, _START, at_most=True),),
        "restart stop": (Goal(0.2, "Bitcoin Core is gone after 0.12 s", at_most=True),),
        "restart million": (
            Goal(0.22, _START, at_most=True),
            Goal(1.2, "starting costs the same whatever the length of the book", at_most=True, is_ratio=True),
        ),
        "reorg unseen": (Goal(1.2, _SIGNATURES, at_most=True, is_ratio=True),),
        "reorg seen": (Goal(0.2, "the signatures are known: what is left is small", at_most=True),),
        "mine": (Goal(12_000_000, "twice the 5.9 MH/s of Bitcoin Core's header search"),),
        "mine portable": (Goal(3_000_000, "C without any extension, against hashlib's 1.6 MH/s"),),
        "lag": (Goal(50, "whoever asks meanwhile should not notice", at_most=True),),
        "queries tx": (Goal(5, "people wait for it; a page asks many at once", at_most=True),),
        "queries history": (Goal(5, "people wait for it; a page asks many at once", at_most=True),),
        "store": (
            Goal(
                1.0,
                "an entry's bytes, accounts, txid and histories in the time of one random row",
                at_most=True,
                is_ratio=True,
            ),
        ),
        "memory": (Goal(80, "a node should be no burden to a small machine", at_most=True),),
    }
)
"""Names are those of `Result.benchmark`; a figure that is not here is told without a goal."""


def goals_of(name: str) -> tuple[Goal, ...]:
    """Return the goals of a figure."""
    return GOALS.get(name, ())
