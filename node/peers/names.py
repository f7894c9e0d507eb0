"""What peers are called: a name stands only for the identity that has proven itself. Pure.

A configured peer has an identity written beside it, or is trusted at first use: what answers at its address
the first time is remembered, and another identity there later is told of loudly and goes without the name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from node.endpoint import Endpoint


class Meeting(Enum):
    """What it means that an identity has proven itself at an address that we dialled."""

    STRANGER = auto()
    """The address is not a configured one."""
    FIRST = auto()
    """Nobody had been met there; now it is remembered."""
    SAME = auto()
    """Who is expected there."""
    CHANGED = auto()
    """Someone else than the first time: to be told loudly. It goes without the name."""
    WRONG = auto()
    """Someone else than was configured: not to be spoken with."""


@dataclass(frozen=True, slots=True)
class _Peer:
    name: str
    identity: bytes | None


class Names:
    """Configured peers, and who they have proven to be."""

    def __init__(self) -> None:
        self._configured: dict[Endpoint, _Peer] = {}
        self._met: dict[Endpoint, bytes] = {}

    def configure(self, endpoint: Endpoint, name: str = "", identity: bytes | None = None) -> None:
        """Expect a peer there. A name that is the address counts as none; `identity` is 32 bytes."""
        self._configured[endpoint] = _Peer("" if name == str(endpoint) else name, identity)

    def forget(self, endpoint: Endpoint) -> None:
        """Expect nobody there, and remember nobody."""
        self._configured.pop(endpoint, None)
        self._met.pop(endpoint, None)

    def meet(self, endpoint: Endpoint, identity: bytes) -> Meeting:
        """Note that this identity was proven on a connection that we dialled to this address."""
        peer = self._configured.get(endpoint)
        if peer is None:
            return Meeting.STRANGER
        if peer.identity is not None:
            return Meeting.SAME if peer.identity == identity else Meeting.WRONG
        before = self._met.get(endpoint)
        if before == identity:
            return Meeting.SAME
        if before is not None and peer.name:
            return Meeting.CHANGED
        # Where no name is at stake the newest counts: a node for trying out is often made anew.
        self._met[endpoint] = identity
        return Meeting.FIRST

    def expected(self, endpoint: Endpoint) -> bytes | None:
        """Return the identity that is configured for, or was first met at, a configured address."""
        peer = self._configured.get(endpoint)
        return None if peer is None else peer.identity or self._met.get(endpoint)

    def endpoint_of(self, identity: bytes) -> Endpoint | None:
        """Return the configured address where this identity belongs; None for a stranger."""
        return next((at for at in self._configured if self.expected(at) == identity), None)

    def display_name(self, identity: bytes | None, endpoint: Endpoint) -> str:
        """Return how people read of a peer: its name, else its identity in short, else its address."""
        if identity is None:
            return str(endpoint)
        at = self.endpoint_of(identity)
        return (self._configured[at].name if at else "") or short_identity(identity)

    def met(self) -> list[tuple[Endpoint, bytes]]:
        """Return who was met where, for saving."""
        return [(at, identity) for at, identity in self._met.items() if at in self._configured]

    def remember(self, endpoint: Endpoint, identity: bytes) -> None:
        """Take back what `met` gave."""
        self._met[endpoint] = identity


def short_identity(identity: bytes) -> str:
    """Return the first eight digits of an identity: enough to tell a few peers apart, and no proof."""
    return identity[:4].hex()
