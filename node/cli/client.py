"""The command's end of the local socket: one call after the other, waiting for each answer.

A Unix socket, blocking. Nothing here times out: a block may take as long as it takes, and Ctrl-C ends it.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from node.cli.errors import NO_NODE, WRONG_USAGE, CommandError

_RETRY_S: Final = 0.05
_INVALID_PARAMS: Final = -32602
"""Of JSON-RPC."""

OnEvent = Callable[[dict[str, Any]], None]


class Client:
    """A connection to a running node."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._last_id = 0

    def call(self, method: str, /, *, on_event: OnEvent | None = None, **params: object) -> Any:  # noqa: ANN401 - JSON
        """Return the result of a method; events that come meanwhile go to `on_event`. Raises CommandError."""
        self._last_id += 1
        given = {name: value for name, value in params.items() if value is not None}
        call = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": given}
        with suppress(BrokenPipeError):  # what it said before it left is read below
            self._connection.sendall(json.dumps(call).encode() + b"\n")
        while True:
            message = self._receive()
            if "method" not in message:
                break
            if on_event is not None:
                on_event(message["params"])
        if "error" in message:
            raise _error_of(message["error"])
        return message["result"]

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what a subscription tells, until the node goes away (CommandError)."""
        while True:
            message = self._receive()
            if message.get("method") == "event":
                yield message["params"]

    def wait_for_end(self) -> None:
        """Return when the node's process is gone."""
        with suppress(OSError):
            while self._lines.readline():
                pass

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._connection.close()

    def _receive(self) -> dict[str, Any]:
        try:
            line = self._lines.readline()
        except OSError:
            line = b""
        if not line:
            hint = "look at its log, and start it again"
            raise CommandError("node-gone", "the node went away before it answered", hint, NO_NODE)
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise CommandError("bad-answer", "what answers on this socket is no node", status=NO_NODE)
        if message.get("method") == "closed":
            told = message["params"]
            raise CommandError(told["code"], told["message"], told["hint"])
        return message


def connect(path: Path | None, wait_s: float, hint: str) -> Client:
    """Connect to the node's socket, trying for up to `wait_s` seconds. Raises CommandError(no-node)."""
    deadline = time.monotonic() + wait_s
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if path is None:
                raise FileNotFoundError
            connection.connect(os.fspath(path))
        except OSError as error:
            connection.close()
            left = deadline - time.monotonic()
            if left <= 0:
                raise _no_node(path, error, hint) from None
            time.sleep(min(_RETRY_S, left))
        else:
            return Client(connection)


def _no_node(path: Path | None, error: OSError, hint: str) -> CommandError:
    if path is None or isinstance(error, FileNotFoundError | ConnectionRefusedError | NotADirectoryError):
        where = "" if path is None else f" at {path}"
        return CommandError("no-node", f"no node is running{where}", hint, NO_NODE)
    why = error.strerror or str(error)
    return CommandError("no-node", f"cannot reach the node at {path} ({why})", hint, NO_NODE)


def _error_of(error: dict[str, Any]) -> CommandError:
    data = error.get("data") or {}
    status = WRONG_USAGE if error.get("code") == _INVALID_PARAMS else None
    return CommandError(data.get("code", "refused"), error["message"], data.get("hint", ""), status)
