"""Asking a peer for blocks and headers while no node runs: a plain client of the wire.

Opens a socket and blocks, within time limits; one question at a time. It proves an identity made for this one
connection, listens nowhere, has nothing to give and says so. What it is given is bytes: whoever asked checks
them.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Final

from node import frames
from node.clock import read_clock
from node.endpoint import Endpoint
from node.heal import SourceFailed
from node.identity import Identity
from node.ledger.block import network_id
from node.ledger.params import Parameters
from node.messages import (
    MAX_LOCATOR,
    NONCE_BYTES,
    PROTOCOL_VERSION,
    BlockMessage,
    GetData,
    GetHeaders,
    Headers,
    Hello,
    Kind,
    Message,
    NotFound,
    Ping,
    Pong,
    rules_hash,
)
from node.protocol import Connection, PeerFault

CONNECT_S: Final = 5.0
ANSWER_S: Final = 20.0
"""How long a peer may take to say the next thing that was asked for."""
_READ: Final = 1 << 16
_SEED_BYTES: Final = 32


class PeerSource:
    """A peer at an address. Satisfies `heal.Source`; connects at the first question."""

    def __init__(self, endpoint: Endpoint, parameters: Parameters, agent: str, name: str = "") -> None:
        self._endpoint = endpoint
        self._parameters = parameters
        self._agent = agent
        self._wire: socket.socket | None = None
        self._connection: Connection | None = None
        self._waiting: list[Message] = []
        self.name = name or str(endpoint)

    def blocks(self, hashes: Sequence[bytes]) -> Iterator[bytes]:
        """Yield the bytes of those of these blocks that it has. Raises SourceFailed."""
        self._say(GetData(Kind.BLOCK, tuple(hashes)))
        left = len(hashes)
        while left > 0:
            message = self._hear()
            if isinstance(message, BlockMessage):
                left -= 1
                yield message.raw
            elif isinstance(message, NotFound) and message.kind is Kind.BLOCK:
                left -= len(message.hashes)

    def headers(self, locator: Sequence[bytes]) -> Sequence[bytes]:
        """Return the raw headers behind the first of these that it knows. Raises SourceFailed."""
        asked = tuple(locator)
        if len(asked) > MAX_LOCATOR:
            asked = (*asked[: MAX_LOCATOR - 1], asked[-1])
        self._say(GetHeaders(asked))
        while True:
            message = self._hear()
            if isinstance(message, Headers):
                return message.raws

    def close(self) -> None:
        """Hang up."""
        if self._wire is not None:
            self._wire.close()

    def _open(self) -> tuple[socket.socket, Connection]:
        if self._wire is None or self._connection is None:
            try:
                self._wire = socket.create_connection((self._endpoint.host, self._endpoint.port), CONNECT_S)
                self._wire.settimeout(ANSWER_S)
            except OSError as error:
                raise SourceFailed(f"it cannot be reached ({error.strerror or error})") from None
            self._connection = self._greeting()
            deadline = time.monotonic() + ANSWER_S
            while not self._connection.is_open:
                _refuse_late(deadline)
                self._read(self._wire, self._connection)
            self._waiting.clear()
        return self._wire, self._connection

    def _greeting(self) -> Connection:
        own = Identity(secrets.token_bytes(_SEED_BYTES))
        hello = Hello(
            version=PROTOCOL_VERSION,
            network_id=network_id(self._parameters),
            rules_hash=rules_hash(),
            identity=own.public_key,
            nonce=secrets.token_bytes(NONCE_BYTES),
            agent=self._agent,
            port=0,
            height=0,
            work=0,
            time_ms=read_clock().wall_ms,
        )
        return Connection(dialled=True, hello=hello, sign=own.sign, parameters=self._parameters)

    def _say(self, message: Message) -> None:
        wire, _ = self._open()
        try:
            wire.sendall(frames.encode(message))
        except OSError as error:
            raise SourceFailed(f"it went away ({error.strerror or error})") from None

    def _hear(self) -> Message:
        """Return the next message that answers a question; a peer that only chats is left after a while."""
        wire, connection = self._open()
        deadline = time.monotonic() + ANSWER_S
        while not self._waiting:
            _refuse_late(deadline)
            self._read(wire, connection)
        return self._waiting.pop(0)

    def _read(self, wire: socket.socket, connection: Connection) -> None:
        try:
            wire.sendall(connection.outgoing())
            data = wire.recv(_READ)
            if not data:
                raise SourceFailed("it hung up")
            for message in connection.receive(data):
                if isinstance(message, Ping):
                    wire.sendall(frames.encode(Pong(message.token)))
                elif isinstance(message, GetHeaders):
                    wire.sendall(frames.encode(Headers(())))
                elif isinstance(message, GetData):
                    wire.sendall(frames.encode(NotFound(message.kind, message.hashes)))
                elif isinstance(message, BlockMessage | Headers | NotFound):
                    self._waiting.append(message)
            wire.sendall(connection.outgoing())
        except PeerFault as fault:
            raise SourceFailed(str(fault)) from None
        except OSError as error:
            raise SourceFailed(f"it went away ({error.strerror or error})") from None


def _refuse_late(deadline: float) -> None:
    """Raise SourceFailed after the deadline: each byte of a peer that drips comes in time."""
    if time.monotonic() > deadline:
        raise SourceFailed("it did not answer")
