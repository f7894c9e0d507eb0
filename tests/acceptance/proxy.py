"""A proxy that behaves badly on command: between two nodes, or between a command and its node.

A thread with sockets of its own, on loopback or in a temporary folder. It does what TCP lets networks do:
bytes come late, in other pieces, not yet, or not any more; never others, and none out of the middle.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Final, Self

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_PIECE: Final = 1 << 16
_RESET: Final = struct.pack("ii", 1, 0)
"""As SO_LINGER: a socket closed with it sends RST."""


class Way(Enum):
    """A direction, as seen by who connects to the proxy."""

    THERE = auto()
    BACK = auto()


class Joint:
    """Both halves of a connection that passes through."""

    def __init__(self, near: Opened, far: Opened) -> None:
        self.near = near
        self.far = far
        self.is_abandoned = False
        """Its near half is gone, and the far one was not told."""


class Proxy:
    """Passes connections on to a target, and keeps a copy of all that goes through."""

    def __init__(self, *, target: int | Path, place: Path | None = None) -> None:
        """`target`: a port, or the path of a Unix socket. Listens at `place`, else on a free port."""
        self.port = 0
        self.recorded = bytearray()
        """All bytes of both ways."""
        self._target = target
        self._place = place
        self._parted = False
        self._flowing: dict[Way, asyncio.Event]
        self._dice = random.Random(0)
        self._longest_piece = _PIECE
        self._longest_delay_s = 0.0
        self._left = 0
        self._then: Callable[[], None] | None = None
        self._joints: set[Joint] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._loop.close()

    def part(self) -> None:
        """Cut all connections, and every new one."""
        self._on_loop(self._part)

    def clog(self, *ways: Way) -> None:
        """Pass nothing on, without closing anything: a cable that was pulled, or one of its wires."""
        self._on_loop(lambda: self._clog(ways))

    def misbehave(self, seed: int, *, longest_piece: int, longest_delay_s: float) -> None:
        """From now on pass on pieces of at most so many bytes, each at most so late, as the seed has it."""

        def change() -> None:
            self._dice = random.Random(seed)
            self._longest_piece, self._longest_delay_s = longest_piece, longest_delay_s

        self._on_loop(change)

    def after(self, count: int, then: Callable[[], None]) -> None:
        """Once so many bytes more have passed, both ways together, and before the next: do this, once.

        It is done on the proxy's thread: `stall`, `reset`, or what else does not wait; or `arm`.
        """
        self._on_loop(lambda: self.arm(count, then))

    def arm(self, count: int, then: Callable[[], None]) -> None:
        """Do what `after` does, on the proxy's thread already."""
        self._left, self._then = count, then

    def stall(self, *ways: Way) -> Callable[[], None]:
        """Return what clogs, for `after`."""
        return lambda: self._clog(ways)

    def reset(self) -> None:
        """Break all connections, both halves, as a router does that forgot them; for `after`."""
        for joint in self._joints:
            for _, writer in (joint.near, joint.far):
                _break(writer)

    def vanish(self) -> None:
        """Break the near halves of all connections, keep the far ones: their peer is gone without a word."""
        self._on_loop(self._vanish)

    def join(self) -> None:
        """Pass everything on again."""
        self._on_loop(self._join)

    def _part(self) -> None:
        self._parted = True
        for task in self._tasks:
            task.cancel()

    def _join(self) -> None:
        self._parted = False
        for flowing in self._flowing.values():
            flowing.set()

    def _clog(self, ways: tuple[Way, ...]) -> None:
        for way in ways or Way:
            self._flowing[way].clear()

    def _vanish(self) -> None:
        for joint in self._joints:
            joint.is_abandoned = True
            _break(joint.near[1])

    def _on_loop(self, change: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            change()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(60)

    async def _run(self) -> None:
        self._flowing = {way: asyncio.Event() for way in Way}
        self._join()
        if self._place is not None:
            server = await asyncio.start_unix_server(self._accepted, self._place)
        else:
            server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._ended.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connect((reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _connect(self, near: Opened) -> None:
        if self._parted:
            return
        joint = Joint(near, await self._open())
        self._joints.add(joint)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(joint, Way.THERE))
                both.create_task(self._pass(joint, Way.BACK))
        except* OSError:
            pass
        finally:
            try:
                if joint.is_abandoned:
                    await self._ended.wait()
            finally:
                self._joints.discard(joint)
                joint.far[1].close()

    def _open(self) -> Awaitable[Opened]:
        if isinstance(self._target, Path):
            return asyncio.open_unix_connection(self._target)
        return asyncio.open_connection("127.0.0.1", self._target)

    async def _pass(self, joint: Joint, way: Way) -> None:
        (reader, _), (_, writer) = (joint.near, joint.far) if way is Way.THERE else (joint.far, joint.near)
        while data := await reader.read(self._length()):
            if self._longest_delay_s:
                await asyncio.sleep(self._dice.uniform(0, self._longest_delay_s))
            self.recorded += data
            for piece, then in self._cut(data):
                await self._flowing[way].wait()
                writer.write(piece)
                await writer.drain()
                if then is not None:
                    then()
        if not joint.is_abandoned:
            with suppress(OSError):
                writer.write_eof()

    def _length(self) -> int:
        return _PIECE if self._longest_piece == _PIECE else self._dice.randint(1, self._longest_piece)

    def _cut(self, data: bytes) -> Iterator[tuple[bytes, Callable[[], None] | None]]:
        """Yield the data, cut where something is to be done, with what that is."""
        then = self._then
        if then is None or self._left > len(data):
            self._left -= len(data)
            yield data, None
            return
        self._then = None
        yield data[: self._left], then
        if data[self._left :]:
            yield data[self._left :], None


def _break(writer: asyncio.StreamWriter) -> None:
    wire = writer.get_extra_info("socket")
    if wire is not None:
        with suppress(OSError):
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
