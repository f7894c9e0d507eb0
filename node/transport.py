"""TCP: carries out Dial, Send and Close, and tells the core what became of each connection.

Sockets on the event loop of whoever calls; knows events and effects, and nothing of what the bytes mean.
Everything that others can fill is bounded: connections by `max_inbound`, unread input by pausing the
connection's reading, unsent output by closing the connection.

Events are delivered from callbacks of the loop, never from within a call of this class, so that the one who
carries out effects is not entered a second time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from node.events import Close, Dial, DialFailed, Event, PeerConnected, PeerData, PeerDrained, PeerGone, Send
from node.listeners import open_listeners

READ_BYTES: Final = 1 << 17
"""The most that one PeerData holds."""
PAUSE_BYTES: Final = 1 << 19
"""A connection with this much that the core has not consumed is not read from."""
RESUME_BYTES: Final = 1 << 17
"""It is read from again when no more than this is left."""
REPORT_BYTES: Final = 1 << 16
"""PeerDrained comes when all that waited has left, and after this much that never had to wait."""
MAX_UNSENT: Final = 1 << 24
"""Default bound of the output that waits for one peer; to be above some of the network's longest frames."""
MAX_INBOUND: Final = 64
"""Default bound of the connections that others opened."""
DIAL_S: Final = 5.0
"""How long a dial waits for an answer, of all addresses of the host together."""
MAX_ADDRESSES: Final = 4
"""So many addresses of a name are tried."""
CLOSE_S: Final = 2.0
"""How long a closed connection may take to send what is waiting and to see the other side close too."""
ACCEPT_PAUSE_S: Final = 1.0
"""After an error of accept; the reason (no descriptors, no memory) does not go away in a moment."""

log = logging.getLogger(__name__)


class Transport:
    """All TCP connections of a node."""

    def __init__(
        self,
        deliver: Callable[[Event], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        *,
        max_inbound: int = MAX_INBOUND,
        max_unsent: int = MAX_UNSENT,
    ) -> None:
        """`deliver` takes each event and returns at once; `spawn` is create_task of a task group."""
        self._deliver = deliver
        self._spawn = spawn
        self._max_inbound = max_inbound
        self._max_unsent = max_unsent
        self._made = 0
        self._links: dict[int, _Link] = {}
        self._unclosed: dict[_Link, None] = {}
        self._dials: dict[asyncio.Task[None], None] = {}
        self._arrivals: dict[asyncio.Task[None], None] = {}
        self._listeners: list[socket.socket] = []
        self._all_closed = asyncio.Event()
        self._all_closed.set()
        self._ending = False

    async def listen(self, host: str, port: int) -> int:
        """Listen at every address of `host`; return the port (another than given only for 0: any free one).

        Raises CannotListen: port-taken, no-such-host, cannot-listen.
        """
        listeners = await open_listeners(host, port)
        for listener in listeners:
            self._listeners.append(listener)
            self._watch(listener)
        bound: int = listeners[0].getsockname()[1]
        return bound

    def dial(self, effect: Dial) -> None:
        """Open a connection; answered by PeerConnected or DialFailed within some 5 s."""
        if not self._ending:
            link = self._new_link(effect.dial)
            task = self._spawn(self._connect(effect, link))
            self._dials[task] = None
            task.add_done_callback(self._dials.pop)
            task.add_done_callback(lambda _: self._given_up(link))

    def send(self, effect: Send) -> None:
        """Give bytes to a connection; nothing where it is gone (its PeerGone is on the way)."""
        link = self._links.get(effect.connection)
        if link is not None:
            link.send(effect.data, self._max_unsent)

    def close(self, effect: Close) -> None:
        """Send what is waiting, then close; no event of this connection comes after."""
        link = self._links.pop(effect.connection, None)
        if link is not None:
            link.end()

    def consumed(self, event: PeerData) -> None:
        """Tell that the core is through with this event: what has not come back counts as unread."""
        link = self._links.get(event.connection)
        if link is not None:
            link.consumed(len(event.data))

    async def shutdown(self) -> None:
        """Stop listening and dialling, close every connection; done when all are closed, within some 2 s."""
        self._ending = True
        while self._listeners:
            listener = self._listeners.pop()
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        for task in self._dials:
            task.cancel()
        if tasks := [*self._dials, *self._arrivals]:
            await asyncio.wait(tasks)
        self._links.clear()
        for link in list(self._unclosed):
            link.end()
        await self._all_closed.wait()

    # --------------------------------------------------------------------------------- of the links below

    def opened(self, link: _Link, host: str, port: int) -> int | None:
        """Take up a link and return its number; None where it comes too late."""
        if self._ending:
            return None
        self._made += 1
        self._links[self._made] = link
        self._deliver(PeerConnected(self._made, host, port, link.dial))
        return self._made

    def deliver(self, event: PeerData | PeerDrained) -> None:
        """Pass on an event of a link, unless it was closed meanwhile."""
        if event.connection in self._links:
            self._deliver(event)

    def gone(self, number: int, reason: str) -> None:
        """Tell that a link is over, unless we closed it."""
        if self._links.pop(number, None) is not None:
            self._deliver(PeerGone(number, reason))

    def closed(self, link: _Link) -> None:
        """Forget a link whose socket is closed."""
        self._unclosed.pop(link, None)
        if not self._unclosed:
            self._all_closed.set()

    # ---------------------------------------------------------------------------- how connections are made

    def _new_link(self, dial: int | None) -> _Link:
        """Return a link that counts from now on, before its connection is made."""
        link = _Link(self, dial)
        self._unclosed[link] = None
        self._all_closed.clear()
        return link

    def _given_up(self, link: _Link) -> None:
        if not link.is_made:
            self.closed(link)

    async def _connect(self, effect: Dial, link: _Link) -> None:
        try:
            await _reach(effect, link)
        except (OSError, ValueError) as error:
            if not link.is_made:
                self._deliver(DialFailed(effect.dial, _why_not(effect, error)))

    def _watch(self, listener: socket.socket) -> None:
        if not self._ending:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Take one connection; the next comes when everyone else had a turn."""
        loop = asyncio.get_running_loop()
        try:
            accepted, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # the other side thought better of it
        except OSError as error:
            log.warning("cannot accept a connection: %s; trying again in a moment", _words(error))
            loop.remove_reader(listener)
            loop.call_later(ACCEPT_PAUSE_S, self._watch, listener)
            return
        if sum(link.dial is None for link in self._unclosed) >= self._max_inbound:
            accepted.close()
            return
        accepted.settimeout(0)
        link = self._new_link(None)
        task = self._spawn(_take_up(accepted, link))
        self._arrivals[task] = None
        task.add_done_callback(self._arrivals.pop)


class _Link(asyncio.BufferedProtocol):
    """One connection: counts what is unread and unsent, and sees to its end."""

    def __init__(self, owner: Transport, dial: int | None) -> None:
        self.dial = dial
        self.is_made = False
        self._owner = owner
        self._number: int | None = None
        self._wire: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self._input = memoryview(bytearray(READ_BYTES))
        self._unread = 0
        self._unreported = 0
        self._waiting = False
        self._limit: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------------------------- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a TCP connection is read and written")
        self.is_made = True
        self._wire = transport
        # With no slack, pause_writing means that something waits, and resume_writing that nothing does.
        transport.set_write_buffer_limits(high=0)
        with suppress(OSError):  # macOS refuses on a connection that is already reset
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = transport.get_extra_info("peername") or ("", 0)
        self._number = self._owner.opened(self, name[0], name[1])
        if self._number is None:
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._input

    def buffer_updated(self, nbytes: int) -> None:
        if self._number is None:
            return
        self._unread += nbytes
        if self._unread >= PAUSE_BYTES:
            self._wire.pause_reading()
        self._owner.deliver(PeerData(self._number, bytes(self._input[:nbytes])))

    def eof_received(self) -> bool:
        self._tell_gone("closed by the peer")
        self._set_limit()
        return False  # asyncio then sends what is waiting, and closes

    def pause_writing(self) -> None:
        self._waiting = True

    def resume_writing(self) -> None:
        self._waiting = False
        # Later, for asyncio is in the middle of a write here.
        self._loop.call_soon(self._half_close if self._number is None else self._report)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._tell_gone("closed by the peer" if exc is None else _words(exc))
        self._owner.closed(self)

    # ------------------------------------------------------------------------------ called by the owner

    def send(self, data: bytes, most: int) -> None:
        """Write, unless too much is waiting already: then it is over."""
        if self._wire.is_closing():
            return  # PeerGone is on the way; asyncio would warn of each write
        waiting = self._wire.get_write_buffer_size()
        if waiting and waiting + len(data) > most:
            self._loop.call_soon(self._tell_gone, "never reads")
            self._wire.abort()
            return
        self._wire.write(data)
        self._unreported += len(data)
        if self._unreported >= REPORT_BYTES and not self._waiting:
            self._loop.call_soon(self._report)

    def consumed(self, size: int) -> None:
        """Read again where the core has caught up."""
        self._unread -= size
        if self._unread <= RESUME_BYTES:
            self._wire.resume_reading()

    def end(self) -> None:
        """Close in good order: send all, say so, discard what still comes until the other side closes too.

        Closing with input unread would reset the connection, and with it what the other has not read yet.
        """
        self._number = None
        self._set_limit()
        self._wire.resume_reading()
        if not self._waiting:
            self._half_close()

    # ---------------------------------------------------------------------------------------- its own

    def _half_close(self) -> None:
        if self._wire.is_closing():
            return
        try:
            self._wire.write_eof()
        except OSError:  # reset by the other side; the loop has yet to notice
            self._wire.abort()

    def _report(self) -> None:
        if self._number is not None and self._unreported and not self._waiting:
            self._unreported = 0
            self._owner.deliver(PeerDrained(self._number, 0))

    def _tell_gone(self, reason: str) -> None:
        if self._number is not None:
            self._owner.gone(self._number, reason)
            self._number = None

    def _set_limit(self) -> None:
        if self._limit is None:
            self._limit = self._loop.call_later(CLOSE_S, self._wire.abort)


async def _reach(effect: Dial, link: _Link) -> None:
    """Try the addresses of the host in turn, each for its share of the time. Raises OSError, ValueError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(DIAL_S):
        rows = await loop.getaddrinfo(effect.host, effect.port, type=socket.SOCK_STREAM)
    places = list(dict.fromkeys((row[0], str(row[4][0])) for row in rows))[:MAX_ADDRESSES]
    for family, address in places:
        try:
            async with asyncio.timeout(DIAL_S / len(places)):
                await loop.create_connection(lambda: link, address, effect.port, family=family)
        except OSError:
            if link.is_made or (family, address) == places[-1]:
                raise
        else:
            return


async def _take_up(accepted: socket.socket, link: _Link) -> None:
    await asyncio.get_running_loop().connect_accepted_socket(lambda: link, accepted)


def _words(error: Exception) -> str:
    """What the operating system calls it, without its number."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def _why_not(effect: Dial, error: OSError | ValueError) -> str:
    place = f"{effect.host} port {effect.port}"
    match error:
        case ConnectionRefusedError():
            return f"nobody listens at {place}"
        case TimeoutError():
            return f"no answer from {place} within {DIAL_S:.0f} s"
        case socket.gaierror() | ValueError():
            return f"the name {effect.host!r} cannot be looked up"
    return f"{place}: {_words(error)}"
