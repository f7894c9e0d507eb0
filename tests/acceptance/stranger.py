"""Whoever connects to a node's port: with bytes that mean nothing, or as a peer that then misbehaves.

A blocking socket on loopback.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from types import TracebackType
from typing import Self

from node import frames
from node.ledger import signature
from node.ledger.block import network_id
from node.ledger.params import Parameters
from node.messages import PROTOCOL_VERSION, Hello, Message, rules_hash
from node.protocol import Connection
from tests.acceptance.nodes import PATIENCE_S, Node
from tests.building import Key


class Stranger:
    """A raw connection."""

    def __init__(self, node: Node) -> None:
        """Connect to the node's port."""
        self.wire = socket.create_connection(("127.0.0.1", node.port), PATIENCE_S)

    def send(self, data: bytes) -> None:
        """Send; that the node has hung up meanwhile is no matter."""
        with contextlib.suppress(OSError):
            self.wire.sendall(data)

    def flood(self, data: bytes, count: int) -> None:
        """Send this so many times and read nothing; less often where the node takes no more, or hangs up."""
        self.wire.settimeout(1.0)
        with contextlib.suppress(OSError):
            for _ in range(count):
                self.wire.sendall(data)

    def until_hung_up(self) -> int:
        """Read until the node has closed the connection; return how many bytes came."""
        self.wire.settimeout(PATIENCE_S)
        came = 0
        try:
            while data := self.wire.recv(1 << 16):
                came += len(data)
        except ConnectionError:
            pass
        return came

    def close(self) -> None:
        """Hang up."""
        self.wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def hello(parameters: Parameters, key: Key) -> Hello:
    """Return what a node of this network says first."""
    return Hello(
        version=PROTOCOL_VERSION,
        network_id=network_id(parameters),
        rules_hash=rules_hash(),
        identity=key.public,
        nonce=os.urandom(16),
        agent="stranger",
        port=0,
        height=0,
        work=0,
        time_ms=time.time_ns() // 1_000_000,
    )


def introduced(node: Node, parameters: Parameters, key: Key, said: Hello | None = None) -> Stranger:
    """Return a connection whose handshake is done: a peer, to the node."""
    stranger = Stranger(node)
    link = Connection(
        dialled=True,
        hello=said or hello(parameters, key),
        sign=lambda message: signature.sign(key.seed, message),
        parameters=parameters,
    )
    stranger.send(link.outgoing())
    while not link.is_open:
        data = stranger.wire.recv(1 << 16)
        assert data, "the node hung up during the handshake"
        for _ in link.receive(data):
            pass
        stranger.send(link.outgoing())
    return stranger


def frame(message: Message) -> bytes:
    """Return a message as it goes over the wire."""
    return frames.encode(message)
