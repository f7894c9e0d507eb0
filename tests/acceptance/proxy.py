"""A proxy that behaves badly on command: between two nodes, or between a command and its node.

A thread with sockets of its own, on loopback or in a temporary folder.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_PIECE: Final = 1 << 16


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
        self._flowing: asyncio.Event
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

    def clog(self) -> None:
        """Pass nothing on, without closing anything: a cable that was pulled."""
        self._on_loop(self._flowing.clear)

    def join(self) -> None:
        """Pass everything on again."""
        self._on_loop(self._join)

    def _part(self) -> None:
        self._parted = True
        for task in self._tasks:
            task.cancel()

    def _join(self) -> None:
        self._parted = False
        self._flowing.set()

    def _on_loop(self, change: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            change()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(60)

    async def _run(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
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
        far = await self._open()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(near[0], far[1]))
                both.create_task(self._pass(far[0], near[1]))
        except* OSError:
            pass
        finally:
            far[1].close()

    def _open(self) -> Awaitable[Opened]:
        if isinstance(self._target, Path):
            return asyncio.open_unix_connection(self._target)
        return asyncio.open_connection("127.0.0.1", self._target)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_PIECE):
            self.recorded += data
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()
