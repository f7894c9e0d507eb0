"""How a newer or older program of an honest node speaks, as far as this version of the protocol lets it.

Pure. The newer one greets with the same protocol version, names features and upgrades that nobody here knows
of, and sends messages of types from 128 on, which docs/protocol.md has others skip in every state of a
connection. The older one names no features: to it and from it, what needs one is an unknown type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from node import frames
from node.events import Now
from node.links import Links
from node.messages import Hello

AGENT: Final = "simulated-next"
FEATURES: Final = 1 << 40 | 1
RULES_HASH: Final = bytes(range(32))
"""Of a list with an upgrade that comes later than any world lasts."""
SELDOM: Final = 8
"""One of so many things that it says has something unknown before it."""
_FIRST_UNKNOWN: Final = 128
_LONGEST: Final = 1 << 16
_LONGEST_TO_STRANGERS: Final = 1 << 10
"""Payloads that the protocol has others skip, once HELLO is done and before; bytes."""


def greet(links: Links) -> None:
    """Have these links greet as a newer program does."""
    hello: Callable[[Now], Hello] = links._hello

    def newer_hello(now: Now) -> Hello:
        return replace(hello(now), features=FEATURES, rules_hash=RULES_HASH)

    vars(links)["_hello"] = newer_hello


def greet_without_features(links: Links) -> None:
    """Have these links greet as a program does that has no features."""
    hello: Callable[[Now], Hello] = links._hello
    vars(links)["_hello"] = lambda now: replace(hello(now), features=0)


def unknown(dice: Random, *, is_met: bool) -> bytes:
    """Return a frame of a type that is not known yet; `is_met`: the peer has had our HELLO."""
    longest = _LONGEST if is_met and dice.randrange(8) == 0 else _LONGEST_TO_STRANGERS
    size = dice.choice((0, 1, longest, dice.randrange(longest)))
    return frames.frame(dice.randrange(_FIRST_UNKNOWN, 256), dice.randbytes(size))
