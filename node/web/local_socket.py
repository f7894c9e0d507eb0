"""The page's end of the local socket: calls and events over connections that come back when the node does.

An asyncio client of a Unix socket (docs/socket.md); holds no rule. Nothing here waits longer than CALL_S.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from node.paths import find_socket

CALL_S: Final = 30.0
"""A call that the node has not answered by then has failed."""

MAX_LINE: Final = 1 << 25
"""Bytes of one answer; the longest is a block with all its entries."""

MAX_CALLS: Final = 256
"""Calls under way at a time."""


class NodeRefused(Exception):
    """What the node said instead of a result, or that it is away (`no-node`)."""

    def __init__(self, code: str, message: str, hint: str = "", number: int = -32000) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.hint = hint
        self.number = number
        """Of JSON-RPC: -32602 for wrong params, -32001 for a local fault."""


class LocalSocket:
    """A client for many calls at a time over one connection, made anew when it breaks."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last_id = 0
        self._connecting = asyncio.Lock()
        self._slots = asyncio.Semaphore(MAX_CALLS)

    async def call(self, method: str, /, **params: object) -> Any:  # noqa: ANN401 - JSON
        """Return the result of a method of docs/socket.md. Raises NodeRefused."""
        async with self._slots:
            writer = await self._connected()
            self._last_id += 1
            number = self._last_id
            answer = asyncio.get_running_loop().create_future()
            self._waiting[number] = answer
            try:
                if writer.is_closing():  # it broke just now, and nobody would answer
                    raise _gone()
                writer.write(line_of(method, number, params))
                async with asyncio.timeout(CALL_S):
                    message = await answer
            except TimeoutError:
                raise NodeRefused("node-slow", "the node did not answer in time", "try again") from None
            finally:
                self._waiting.pop(number, None)
        if "error" in message:
            raise refusal_of(message["error"])
        return message["result"]

    async def close(self) -> None:
        """Hang up; what waits for an answer gets `no-node`."""
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is None:
                reader, self._writer = await connect(self._data_dir)
                self._reading = asyncio.create_task(self._read(reader, self._writer))
            return self._writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand answers to who waits for them, until the node hangs up."""
        try:
            async for message in messages(reader):
                waiting = self._waiting.get(message.get("id", 0))
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
        finally:
            if self._writer is writer:
                self._writer = None
            writer.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(_gone())


async def connect(data_dir: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the node of a data folder. Raises NodeRefused(no-node)."""
    path = find_socket(data_dir)
    if path is None:
        raise _gone()
    try:
        return await asyncio.open_unix_connection(path, limit=MAX_LINE)
    except OSError:
        raise _gone() from None


async def messages(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """Yield what the node says until it hangs up, or says what is no message."""
    while True:
        try:
            line = await reader.readline()
        except (OSError, ValueError):  # reset; or a line longer than MAX_LINE
            return
        try:
            message = json.loads(line)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        yield message


def line_of(method: str, number: int, params: dict[str, object]) -> bytes:
    """Return a call as one line; params that are None are left out."""
    given = {name: value for name, value in params.items() if value is not None}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": given}).encode() + b"\n"


def refusal_of(error: dict[str, Any]) -> NodeRefused:
    """Return an answer's error as an exception."""
    data = error.get("data") or {}
    number = int(error.get("code", -32000))
    return NodeRefused(data.get("code", "refused"), error["message"], data.get("hint", ""), number)


def _gone() -> NodeRefused:
    return NodeRefused("no-node", "the node is not running", "start it; the page comes back by itself")
