"""The open connections, as the parts of the core see them: who is there, and how to speak to them.

Pure. Every byte to a peer leaves through here, so that what is unsent is counted in one place and a peer
that never reads is served no more; every fault of a peer arrives here, so that costs stand in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from node import frames
from node.events import NOTHING, Close, Now, Send
from node.messages import Message
from node.outbox import Outbox
from node.protocol import Connection

BUSY_BYTES: Final = 4 << 20
"""Unsent output above which a peer is not served further blocks until it has read."""

SILENCE_MS: Final = 60_000
"""A peer that says nothing for so long, pings unanswered, is dropped."""


@dataclass(slots=True)
class Session:
    """One connection to a peer."""

    connection: int
    link: Connection
    host: str
    port: int
    dial: int | None
    since_ms: int
    """Monotonic milliseconds."""
    name: str
    """How the log calls it: host and port, until its identity is proven."""
    is_open: bool = False
    unsent: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    heard_ms: int = 0
    """Last bytes from it; monotonic milliseconds."""
    latency_ms: int | None = None
    ping_token: int | None = None
    ping_ms: int = 0
    """When it was last pinged; monotonic milliseconds."""
    silence_ms: int = SILENCE_MS
    """After so much silence since a ping it is dropped."""
    clock_ms: int = 0
    """Its clock by its HELLO, less our monotonic one then."""

    @property
    def is_busy(self) -> bool:
        """True while so much waits to be read by it that it should get no more blocks."""
        return self.unsent > BUSY_BYTES


class Sessions:
    """All connections by number."""

    def __init__(self, out: Outbox) -> None:
        self._out = out
        self._all: dict[int, Session] = {}
        self.on_fault: Callable[[Session, str, int, str, Now], None] = lambda *_: None
        """`on_fault(session, code, cost, detail, now)` charges the peer; it may drop it."""

    def add(self, session: Session) -> None:
        """Note a new connection."""
        self._all[session.connection] = session

    def remove(self, connection: int) -> Session | None:
        """Forget a connection that is gone."""
        self._out.forget_connection(connection)
        return self._all.pop(connection, None)

    def get(self, connection: int) -> Session | None:
        """Return the session of a connection that is still there."""
        return self._all.get(connection)

    def every(self) -> list[Session]:
        """Return all sessions, also those still in their handshake."""
        return list(self._all.values())

    def open(self) -> Iterator[Session]:
        """Yield the sessions whose peer has proven who it is."""
        return (session for session in list(self._all.values()) if session.is_open)

    def send(self, connection: int, message: Message, after: int = NOTHING) -> None:
        """Send a message to an open peer, once batch `after` is durable."""
        session = self._all.get(connection)
        if session is not None and session.is_open:
            self.send_bytes(session, frames.encode(message), after)

    def send_bytes(self, session: Session, data: bytes, after: int = NOTHING) -> None:
        """Send bytes, also those of the handshake."""
        if data:
            session.unsent += len(data)
            session.bytes_out += len(data)
            self._out.claim(Send(session.connection, data, after), after)

    def fault(self, connection: int, code: str, cost: int, detail: str, now: Now) -> None:
        """Charge a peer that broke a rule, unless it is gone: its host may be someone else's by now."""
        session = self._all.get(connection)
        if session is not None:
            self.on_fault(session, code, cost, detail, now)

    def name(self, connection: int) -> str:
        """Return how the log calls a peer."""
        session = self._all.get(connection)
        return session.name if session is not None else "a peer that left"

    def close(self, session: Session, reason: str) -> None:
        """End a connection from our side."""
        if self._all.pop(session.connection, None) is not None:
            self._out.forget_connection(session.connection)
            self._out.emit(Close(session.connection, reason))
