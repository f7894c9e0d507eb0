"""TCP as the core sees it, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import socket
import struct
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from typing import Any, TypeVar

import pytest

from node import transport as transport_module
from node.events import Close, Dial, DialFailed, Event, PeerConnected, PeerData, PeerDrained, PeerGone, Send
from node.listeners import CannotListen
from node.transport import Transport
from tests.ports import free_port

MIB = 1 << 20
E = TypeVar("E", PeerConnected, DialFailed, PeerData, PeerDrained, PeerGone)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time for a machine that stands still for a while; tests of what gives up set these to nothing."""
    monkeypatch.setattr(transport_module, "DIAL_S", 60.0)
    monkeypatch.setattr(transport_module, "CLOSE_S", 60.0)


class Node:
    """A transport and what it has told. Fails when an event comes from within a call of the transport."""

    def __init__(
        self, spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]], **bounds: int
    ) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.transport = Transport(self._take, spawn, **bounds)
        self._calling = False

    def _take(self, event: Event) -> None:
        assert not self._calling, f"{event} from within a call"
        self.events.put_nowait(event)

    def call(self, effect: Dial | Send | Close) -> None:
        self._calling = True
        match effect:
            case Dial():
                self.transport.dial(effect)
            case Send():
                self.transport.send(effect)
            case Close():
                self.transport.close(effect)
        self._calling = False

    async def next(self, kind: type[E]) -> E:
        """The next event of a kind; those before it are dropped."""
        while True:
            event = await self.events.get()
            if isinstance(event, kind):
                return event

    async def bytes_of(self, connection: int, count: int) -> bytes:
        """So many bytes of one connection, consumed as they come."""
        data = bytearray()
        while len(data) < count:
            event = await self.next(PeerData)
            assert event.connection == connection
            self.transport.consumed(event)
            data += event.data
        return bytes(data)

    def told(self) -> list[Event]:
        """All that is waiting to be read."""
        return [self.events.get_nowait() for _ in range(self.events.qsize())]


@asynccontextmanager
async def running(**bounds: int) -> AsyncIterator[Node]:
    async with asyncio.TaskGroup() as group:
        node = Node(group.create_task, **bounds)
        try:
            yield node
        finally:
            await node.transport.shutdown()


@asynccontextmanager
async def joined(**bounds: int) -> AsyncIterator[tuple[Node, int, socket.socket]]:
    """A node, and the number and the far end of a connection that came in."""
    async with running(**bounds) as node:
        with closing(await dialled(await node.transport.listen("127.0.0.1", 0))) as far:
            connection = (await node.next(PeerConnected)).connection
            yield node, connection, far


async def dialled(port: int) -> socket.socket:
    far = socket.socket()
    far.settimeout(0)
    try:
        await asyncio.get_running_loop().sock_connect(far, ("127.0.0.1", port))
    except OSError:
        far.close()
        raise
    return far


async def read(far: socket.socket, count: int) -> bytes:
    loop, data = asyncio.get_running_loop(), bytearray()
    while len(data) < count:
        chunk = await loop.sock_recv(far, MIB)
        assert chunk, f"closed after {len(data)} of {count} bytes"
        data += chunk
    return bytes(data)


async def read_to_end(far: socket.socket) -> bytes:
    loop, data = asyncio.get_running_loop(), bytearray()
    while chunk := await loop.sock_recv(far, MIB):
        data += chunk
    return bytes(data)


# ------------------------------------------------------------------------------------------- connecting


@pytest.mark.asyncio
async def test_two_nodes_connect_and_bytes_go_both_ways() -> None:
    async with running() as here, running() as there:
        port = await there.transport.listen("127.0.0.1", 0)
        here.call(Dial(7, "127.0.0.1", port))
        out, came = await here.next(PeerConnected), await there.next(PeerConnected)
        assert (out.dial, out.host, out.port) == (7, "127.0.0.1", port)
        assert (came.dial, came.host) == (None, "127.0.0.1")
        here.call(Send(out.connection, b"to"))
        assert await there.bytes_of(came.connection, 2) == b"to"
        there.call(Send(came.connection, b"fro"))
        assert await here.bytes_of(out.connection, 3) == b"fro"


@pytest.mark.asyncio
async def test_connections_are_numbered_and_no_number_is_used_again() -> None:
    async with running() as node:
        port = await node.transport.listen("127.0.0.1", 0)
        numbers = []
        for _ in range(3):
            with closing(await dialled(port)):
                numbers.append((await node.next(PeerConnected)).connection)
            await node.next(PeerGone)
        assert numbers == [1, 2, 3]


@pytest.mark.asyncio
async def test_small_frames_leave_at_once_on_both_kinds_of_connection() -> None:
    async with running() as here, running() as there:
        here.call(Dial(1, "127.0.0.1", await there.transport.listen("127.0.0.1", 0)))
        for node in (here, there):
            link = node.transport._links[(await node.next(PeerConnected)).connection]
            assert link._wire.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.asyncio
async def test_a_dial_that_is_refused_says_that_nobody_listens() -> None:
    async with running() as node:
        port = free_port()
        node.call(Dial(3, "127.0.0.1", port))
        assert await node.next(DialFailed) == DialFailed(3, f"nobody listens at 127.0.0.1 port {port}")


@pytest.mark.asyncio
async def test_a_dial_to_a_name_that_is_none_says_so() -> None:
    async with running() as node:
        node.call(Dial(3, "x" * 64, 9000))
        failed = await node.next(DialFailed)
        assert failed.dial == 3
        assert "cannot be looked up" in failed.reason


@pytest.mark.asyncio
async def test_a_dial_that_nobody_answers_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silence(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(transport_module, "DIAL_S", 0.0)
    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", silence)
    async with running() as node:
        node.call(Dial(4, "127.0.0.1", 9))
        assert (await node.next(DialFailed)).reason.startswith("no answer from 127.0.0.1 port 9")


def resolves_to(*hosts: str) -> Callable[..., Coroutine[Any, Any, list[Any]]]:
    async def getaddrinfo(_: str, port: int, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

    return getaddrinfo


@pytest.mark.asyncio
async def test_the_addresses_of_a_name_are_tried_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as node:
        port = await node.transport.listen("127.0.0.1", 0)
        name = resolves_to("127.0.0.2", "127.0.0.1")
        with monkeypatch.context() as patch:
            loop = asyncio.get_running_loop()
            ask = loop.getaddrinfo

            async def getaddrinfo(host: str, port: int, **how: int) -> list[Any]:
                return await (name if host == "twice" else ask)(host, port, **how)

            patch.setattr(loop, "getaddrinfo", getaddrinfo)
            node.call(Dial(5, "twice", port))
            connected = [await node.next(PeerConnected), await node.next(PeerConnected)]
        assert sorted(event.dial or 0 for event in connected) == [0, 5]


@pytest.mark.asyncio
async def test_a_name_that_fails_at_each_address_is_one_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolves_to("127.0.0.1", "127.0.0.1"))
    async with running() as node:
        port = free_port()
        node.call(Dial(4, "twice", port))
        assert await node.next(DialFailed) == DialFailed(4, f"nobody listens at twice port {port}")
        assert node.told() == []


# -------------------------------------------------------------------------------------------- listening


@pytest.mark.asyncio
async def test_a_taken_port_is_named_with_what_to_do() -> None:
    async with running() as first, running() as second:
        port = await first.transport.listen("127.0.0.1", 0)
        with pytest.raises(CannotListen) as caught:
            await second.transport.listen("127.0.0.1", port)
        assert caught.value.code == "port-taken"
        assert str(port) in caught.value.message
        assert "--port" in caught.value.hint


@pytest.mark.asyncio
async def test_ipv6_is_listened_on_and_dialled_where_the_machine_has_it() -> None:
    async with running() as node:
        try:
            port = await node.transport.listen("::1", 0)
        except CannotListen as error:  # a machine without IPv6 hears so
            assert error.code in {"cannot-listen", "no-such-host"}  # noqa: PT017 - either outcome is right
            return
        node.call(Dial(1, "::1", port))
        ends = [await node.next(PeerConnected), await node.next(PeerConnected)]
        assert [end.host for end in ends] == ["::1", "::1"]


@pytest.mark.asyncio
async def test_a_name_is_listened_on_at_one_port_for_all_its_addresses() -> None:
    async with running() as node:
        port = await node.transport.listen("localhost", 0)
        node.call(Dial(1, "127.0.0.1", port))
        assert (await node.next(PeerConnected)).port


@pytest.mark.asyncio
async def test_more_connections_than_the_bound_are_closed_and_a_free_place_is_given_again() -> None:
    async with running(max_inbound=2) as node:
        port = await node.transport.listen("127.0.0.1", 0)
        first, second = await dialled(port), await dialled(port)
        with closing(second):
            with closing(first):
                await node.next(PeerConnected)
                await node.next(PeerConnected)
                with closing(await dialled(port)) as third:
                    assert await read_to_end(third) == b""
                assert node.told() == []
            await node.next(PeerGone)
            with closing(await dialled(port)):
                assert (await node.next(PeerConnected)).connection == 3


@pytest.mark.asyncio
async def test_dials_of_our_own_do_not_take_the_places_of_others() -> None:
    async with running(max_inbound=1) as node, running() as there:
        port = await node.transport.listen("127.0.0.1", 0)
        for dial in range(3):
            node.call(Dial(dial, "127.0.0.1", await there.transport.listen("127.0.0.1", 0)))
            await node.next(PeerConnected)
        with closing(await dialled(port)):
            assert (await node.next(PeerConnected)).dial is None


@pytest.mark.asyncio
async def test_an_error_of_accept_is_logged_and_tried_again_and_nobodys_fault(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    accept, errors = socket.socket.accept, [OSError(errno.EMFILE, "x"), ConnectionAbortedError()]

    def accept_or_fail(listener: socket.socket) -> tuple[socket.socket, Any]:
        if errors:
            raise errors.pop(0)
        return accept(listener)

    monkeypatch.setattr(transport_module, "ACCEPT_PAUSE_S", 0.0)
    monkeypatch.setattr(socket.socket, "accept", accept_or_fail)
    caplog.set_level(logging.WARNING, logger="node.transport")
    async with running() as node:
        with closing(await dialled(await node.transport.listen("127.0.0.1", 0))):
            assert isinstance(await node.events.get(), PeerConnected)
        assert ["Too many open files" in record.getMessage() for record in caplog.records] == [True]


# ------------------------------------------------------------------------------------------------ input


@pytest.mark.asyncio
async def test_a_connection_is_not_read_from_until_the_core_has_caught_up() -> None:
    async with joined() as (node, connection, far):
        sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(far, b"x" * 32 * MIB))
        unread: list[PeerData] = []
        while sum(len(event.data) for event in unread) < 1 << 19:
            unread.append(await node.next(PeerData))
        link = node.transport._links[connection]
        assert not link._wire.is_reading()
        assert max(len(event.data) for event in unread) <= 1 << 17
        assert sum(len(event.data) for event in unread) < 1 << 20
        assert node.told() == []
        assert not sending.done()
        for event in unread:
            node.transport.consumed(event)
        assert link._wire.is_reading()
        rest = 32 * MIB - sum(len(event.data) for event in unread)
        assert len(await node.bytes_of(connection, rest)) == rest
        await sending


@pytest.mark.asyncio
async def test_one_connection_that_is_behind_does_not_hold_up_another() -> None:
    async with running() as node:
        port = await node.transport.listen("127.0.0.1", 0)
        with closing(await dialled(port)) as busy, closing(await dialled(port)) as quiet:
            first = (await node.next(PeerConnected)).connection
            await node.next(PeerConnected)
            flood = asyncio.create_task(asyncio.get_running_loop().sock_sendall(busy, b"x" * 32 * MIB))
            while node.transport._links[first]._wire.is_reading():
                await node.next(PeerData)
            await asyncio.get_running_loop().sock_sendall(quiet, b"hello")
            assert (await node.next(PeerData)).data == b"hello"
            flood.cancel()
            await asyncio.wait([flood])


@pytest.mark.asyncio
async def test_bytes_arrive_in_order_and_whole() -> None:
    async with joined() as (node, connection, far):
        data = b"".join(struct.pack(">I", n) for n in range(1 << 20))
        sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(far, data))
        assert await node.bytes_of(connection, len(data)) == data
        await sending


# ----------------------------------------------------------------------------------------------- output


@pytest.mark.asyncio
async def test_what_waited_is_reported_when_it_has_left() -> None:
    async with joined() as (node, connection, far):
        data = bytes(range(256)) * (1 << 16)
        for at in range(0, len(data), MIB):
            node.call(Send(connection, data[at : at + MIB]))
        reading = asyncio.create_task(read(far, len(data)))
        while (await node.next(PeerDrained)) != PeerDrained(connection, 0):
            pass
        assert await reading == data


@pytest.mark.asyncio
async def test_what_never_had_to_wait_is_reported_now_and_then() -> None:
    async with joined() as (node, connection, far):
        for _ in range(64):
            node.call(Send(connection, bytes(1 << 10)))
            await read(far, 1 << 10)
        assert await node.next(PeerDrained) == PeerDrained(connection, 0)
        node.call(Send(connection, b"!"))
        await read(far, 1)
        assert node.told() == []


@pytest.mark.asyncio
async def test_a_peer_that_never_reads_is_closed_with_bounded_output() -> None:
    async with joined(max_unsent=4 * MIB) as (node, connection, _):
        wire = node.transport._links[connection]._wire
        sent = 0
        while connection in node.transport._links:
            assert sent < 1000
            node.call(Send(connection, bytes(MIB // 2)))
            assert wire.get_write_buffer_size() <= 4 * MIB
            sent += 1
            await asyncio.sleep(0)
        assert await node.next(PeerGone) == PeerGone(connection, "never reads")
        assert node.told() == []


@pytest.mark.asyncio
async def test_what_is_sent_in_the_same_turn_after_it_was_given_up_is_dropped_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with joined(max_unsent=MIB) as (node, connection, _):
        for _ in range(40):
            node.call(Send(connection, bytes(MIB)))
        assert await node.next(PeerGone) == PeerGone(connection, "never reads")
        assert node.told() == []
    assert caplog.records == []


@pytest.mark.asyncio
async def test_one_frame_longer_than_the_bound_is_sent_when_nothing_waits() -> None:
    async with joined(max_unsent=MIB) as (node, connection, far):
        node.call(Send(connection, bytes(16 * MIB)))
        assert len(await read(far, 16 * MIB)) == 16 * MIB


# ------------------------------------------------------------------------------------------- the end of it


@pytest.mark.asyncio
async def test_a_peer_that_closes_is_gone() -> None:
    async with joined() as (node, connection, far):
        far.close()
        assert await node.next(PeerGone) == PeerGone(connection, "closed by the peer")
        assert node.told() == []


@pytest.mark.asyncio
async def test_a_peer_that_resets_is_gone_with_the_systems_word_for_it() -> None:
    async with joined() as (node, connection, far):
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        assert await node.next(PeerGone) == PeerGone(connection, "Connection reset by peer")


@pytest.mark.asyncio
async def test_close_sends_what_is_waiting_and_tells_nothing_more() -> None:
    async with joined() as (node, connection, far):
        data = bytes(range(256)) * (1 << 15)
        node.call(Send(connection, data))
        node.call(Close(connection, "enough"))
        assert await read_to_end(far) == data
        far.close()
        await node.transport.shutdown()
        assert not [event for event in node.told() if isinstance(event, PeerGone)]


@pytest.mark.asyncio
async def test_close_loses_nothing_to_a_reset_when_the_peer_is_still_talking() -> None:
    async with joined() as (node, connection, far):
        loop = asyncio.get_running_loop()
        talking = asyncio.create_task(loop.sock_sendall(far, bytes(16 * MIB)))
        await node.next(PeerData)
        data = bytes(range(256)) * (1 << 14)
        node.call(Send(connection, data))
        node.call(Close(connection, "enough"))
        await talking
        assert await read_to_end(far) == data


@pytest.mark.asyncio
async def test_a_close_that_the_peer_ignores_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "CLOSE_S", 0.01)
    async with joined() as (node, connection, _):
        node.call(Send(connection, bytes(16 * MIB)))
        node.call(Close(connection, "enough"))
        await node.transport._all_closed.wait()
        assert node.told() == []


@pytest.mark.asyncio
async def test_a_peer_that_closes_its_half_and_never_reads_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport_module, "CLOSE_S", 0.01)
    async with joined() as (node, connection, far):
        node.call(Send(connection, bytes(16 * MIB)))
        far.shutdown(socket.SHUT_WR)
        assert (await node.next(PeerGone)).connection == connection
        await node.transport._all_closed.wait()


@pytest.mark.asyncio
async def test_a_reset_in_the_middle_of_closing_harms_nobody() -> None:
    async with joined() as (node, connection, far):
        node.call(Send(connection, bytes(16 * MIB)))
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        node.call(Close(connection, "enough"))
        await node.transport._all_closed.wait()
        assert node.told() == []


@pytest.mark.asyncio
async def test_effects_for_a_connection_that_is_gone_do_nothing() -> None:
    async with joined() as (node, connection, far):
        far.close()
        await node.next(PeerGone)
        for number in (connection, 99):
            node.call(Send(number, b"x"))
            node.call(Close(number, "gone"))
            node.transport.consumed(PeerData(number, b"x"))
        assert node.told() == []


@pytest.mark.asyncio
async def test_shutdown_closes_connections_stops_listening_and_gives_up_dials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def silence(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    async with running() as node:
        port = await node.transport.listen("127.0.0.1", 0)
        with closing(await dialled(port)) as far:
            await node.next(PeerConnected)
            monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", silence)
            node.call(Dial(1, "127.0.0.1", 9))
            ended = asyncio.create_task(node.transport.shutdown())
            assert await read_to_end(far) == b""
        await ended
        node.call(Dial(2, "127.0.0.1", 9))
        assert node.told() == []
        with pytest.raises(ConnectionRefusedError):
            await dialled(port)


@pytest.mark.asyncio
async def test_many_connections_leave_nothing_behind() -> None:
    async with running() as here, running(max_inbound=200) as there:
        port = await there.transport.listen("127.0.0.1", 0)
        for dial in range(200):
            here.call(Dial(dial, "127.0.0.1", port))
        ends = [await here.next(PeerConnected) for _ in range(200)]
        assert sorted(end.dial for end in ends if end.dial is not None) == list(range(200))
        for end in ends:
            here.call(Send(end.connection, b"%4d" % end.connection))
        heard = [await there.next(PeerData) for _ in range(200)]
        assert sorted(event.data for event in heard) == [b"%4d" % number for number in range(1, 201)]
        links = [weakref.ref(link) for node in (here, there) for link in node.transport._links.values()]
        for end in ends:
            here.call(Close(end.connection, "enough"))
        for _ in range(200):
            await there.next(PeerGone)
        await here.transport._all_closed.wait()
        await there.transport._all_closed.wait()
        gc.collect()
        assert [link for link in links if link() is not None] == []
