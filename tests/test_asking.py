"""Asking a peer over a real socket: what it gives, and all the ways in which it can fail to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from node import asking, frames
from node.asking import PeerSource
from node.endpoint import Endpoint
from node.heal import SourceFailed
from node.identity import Identity
from node.ledger.block import network_id
from node.messages import (
    PROTOCOL_VERSION,
    BlockMessage,
    GetAddresses,
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
from tests.ports import free_port
from tests.storage.filling import PARAMETERS, sample_chain

BLOCKS = sample_chain(3)[1]
Answer = Callable[[Message], list[Message]]


class Peer:
    """One peer on loopback that serves one connection, on a thread of its own."""

    def __init__(self, answer: Answer, network: bytes = network_id(PARAMETERS)) -> None:
        self._answer = answer
        self._network = network
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(60.0)
        self._wire: socket.socket | None = None
        self.heard: list[Message] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("127.0.0.1", self._listener.getsockname()[1])

    def _serve(self) -> None:
        with suppress(OSError, PeerFault):
            self._wire, _ = self._listener.accept()
            with self._wire as wire:
                own = Identity(b"\x07" * 32)
                hello = Hello(
                    PROTOCOL_VERSION,
                    self._network,
                    rules_hash(),
                    own.public_key,
                    bytes(16),
                    "peer",
                    0,
                    3,
                    3,
                    0,
                )
                connection = Connection(dialled=False, hello=hello, sign=own.sign, parameters=PARAMETERS)
                wire.sendall(connection.outgoing())
                while data := wire.recv(1 << 16):
                    for message in connection.receive(data):
                        self.heard.append(message)
                        wire.sendall(connection.outgoing())  # a greeting may come all at once
                        for said in self._answer(message):
                            wire.sendall(frames.encode(said))
                    wire.sendall(connection.outgoing())

    def close(self) -> None:
        self._listener.close()
        if self._wire is not None:
            with suppress(OSError):
                self._wire.shutdown(socket.SHUT_RDWR)
            self._thread.join()


def honest(message: Message) -> list[Message]:
    """Answer as a node does, which asks things of its own first."""
    match message:
        case Hello():
            return [Ping(5), GetAddresses(), GetHeaders((bytes(32),))]
        case GetData(Kind.BLOCK, hashes):
            had = [block for block in BLOCKS if block.hash in hashes]
            missing = tuple(one for one in hashes if one not in {block.hash for block in BLOCKS})
            told: list[Message] = [BlockMessage(block.raw) for block in had]
            return [*told, NotFound(Kind.BLOCK, missing)] if missing else told
        case GetHeaders():
            return [Headers(tuple(block.header.raw for block in BLOCKS))]
    return []


@pytest.fixture
def served() -> Iterator[Callable[..., tuple[PeerSource, Peer]]]:
    opened: list[PeerSource | Peer] = []

    def serve(answer: Answer = honest, **more: bytes) -> tuple[PeerSource, Peer]:
        peer = Peer(answer, **more)
        source = PeerSource(peer.endpoint, PARAMETERS, "test", "bob")
        opened.extend((source, peer))
        return source, peer

    yield serve
    for one in opened:
        one.close()


Serve = Callable[..., tuple[PeerSource, Peer]]


def test_blocks_and_headers_come_and_what_is_not_there_is_left_out(served: Serve) -> None:
    source, peer = served()
    wanted = [BLOCKS[2].hash, bytes(32), BLOCKS[0].hash]
    assert list(source.blocks(wanted)) == [BLOCKS[0].raw, BLOCKS[2].raw]
    assert list(source.headers([bytes(32)])) == [block.header.raw for block in BLOCKS]
    hello = peer.heard[0]
    assert isinstance(hello, Hello)
    assert (hello.port, hello.height) == (0, 0)
    assert Pong(5) in peer.heard
    assert Headers(()) in peer.heard


def test_a_long_locator_is_cut_to_what_may_be_asked(served: Serve) -> None:
    source, peer = served()
    source.headers([number.to_bytes(32, "big") for number in range(300)])
    asked = next(message for message in peer.heard if isinstance(message, GetHeaders))
    assert len(asked.locator) == 101
    assert asked.locator[-1] == (299).to_bytes(32, "big")


def test_a_peer_of_another_book_is_left(served: Serve) -> None:
    source, _ = served(network=bytes(32))
    with pytest.raises(SourceFailed, match=r"wrong-network|hung up|went away"):
        list(source.blocks([BLOCKS[0].hash]))


def test_a_peer_that_says_nothing_is_left_in_time(served: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_S", 0.2)
    source, _ = served(lambda _: [])
    with pytest.raises(SourceFailed, match=r"went away|did not answer"):
        list(source.blocks([BLOCKS[0].hash]))


def test_nobody_there_is_said() -> None:
    port = free_port()
    source = PeerSource(Endpoint("127.0.0.1", port), PARAMETERS, "test")
    assert source.name == f"127.0.0.1:{port}"
    with pytest.raises(SourceFailed, match="cannot be reached"):
        source.headers([bytes(32)])


def test_each_connection_proves_another_identity(served: Serve) -> None:
    seen = set()
    for _ in range(2):
        source, peer = served()
        source.headers([bytes(32)])
        hello = peer.heard[0]
        assert isinstance(hello, Hello)
        seen.add(hello.identity)
    assert len(seen) == 2


def test_a_peer_that_drips_its_greeting_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def drip() -> None:
            wire, _ = listener.accept()
            key, nonce = Identity(b"\x07" * 32).public_key, bytes(16)
            hello = Hello(PROTOCOL_VERSION, bytes(32), rules_hash(), key, nonce, "peer", 0, 3, 3, 0)
            with wire, suppress(OSError):
                for byte in frames.encode(hello):
                    wire.sendall(bytes([byte]))
                    if done.wait(0.05):
                        break

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        source = PeerSource(Endpoint("127.0.0.1", listener.getsockname()[1]), PARAMETERS, "agent")
        try:
            # Went away: no byte came for so long. Waited for to its end, it is a greeting of another book.
            with pytest.raises(SourceFailed, match=r"did not answer|went away"):
                list(source.blocks([bytes(32)]))
        finally:
            source.close()
            done.set()
            thread.join()
