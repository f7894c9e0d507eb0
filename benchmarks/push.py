"""Signed entries pushed by a peer: `python -m benchmarks.push`.

A bare client of the wire tells an empty node of its entries, and hands over those that it is asked for, a
thousand at a time. The clock runs from the first telling until the node's `status` counts all as pending;
each is checked by then.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks import books, limits
from benchmarks.nodes import PATIENCE_S, GaveUp, Lab, lab
from benchmarks.options import parser_of
from benchmarks.report import Result, Series, emit
from node import frames
from node.clock import read_clock
from node.identity import Identity
from node.ledger.block import network_id
from node.ledger.entry import Entry
from node.ledger.params import Parameters
from node.messages import (
    MAX_HASHES,
    NONCE_BYTES,
    PROTOCOL_VERSION,
    Entries,
    GetData,
    GetHeaders,
    Headers,
    Hello,
    Inventory,
    Kind,
    Ping,
    Pong,
    rules_hash,
)
from node.protocol import Connection
from tests.building import ChainBuilder

ENTRIES: Final = 20_000
_READ: Final = 1 << 16
_LOOK_AGAIN_S: Final = 0.01
_SEED_BYTES: Final = 32


def measure(entries: int = ENTRIES, runs: int = 5) -> list[Result]:
    """Return entries per second beside the signatures per second of all cores, by turns."""
    parameters = books.young_network()
    signed = books.rounds(ChainBuilder(parameters), entries)
    cores = limits.cores()
    rates: list[float] = []
    found: list[float] = []
    with lab(parameters) as nodes:
        for _ in range(runs):
            rates.append(limits.verify_rate(cores))
            found.append(entries / _push(nodes, signed))
    return [
        Result(
            benchmark="push",
            unit="entries/s",
            figure=Series("told of by a peer, until all are pending", tuple(round(rate) for rate in found)),
            limit=Series(f"libsodium verifying, {cores} cores", tuple(round(rate) for rate in rates)),
            details={"entries": entries},
        )
    ]


def _push(nodes: Lab, signed: Sequence[Entry]) -> float:
    node = nodes.start(nodes.folder())
    peer = Pusher(nodes.parameters, node.port)
    handing = threading.Thread(target=peer.serve, args=({entry.txid: entry.raw for entry in signed},))
    deadline = time.monotonic() + PATIENCE_S
    began = time.perf_counter()
    peer.tell([entry.txid for entry in signed])
    handing.start()
    while (pending := node.status()["pending"]) < len(signed):
        if time.monotonic() > deadline or not handing.is_alive():
            raise GaveUp(f"{pending} entries are pending, not {len(signed)}: {node.log()}")
        time.sleep(_LOOK_AGAIN_S)
    spent = time.perf_counter() - began
    peer.close()
    handing.join()
    node.stop()
    return spent


class Pusher:
    """A peer that has entries and nothing else."""

    def __init__(self, parameters: Parameters, port: int) -> None:
        """Connect, and prove an identity made for this."""
        own = Identity(secrets.token_bytes(_SEED_BYTES))
        hello = Hello(
            version=PROTOCOL_VERSION,
            network_id=network_id(parameters),
            rules_hash=rules_hash(),
            identity=own.public_key,
            nonce=secrets.token_bytes(NONCE_BYTES),
            agent="benchmark",
            port=0,
            height=0,
            work=0,
            time_ms=read_clock().wall_ms,
        )
        self._wire = socket.create_connection(("127.0.0.1", port))
        self._link = Connection(dialled=True, hello=hello, sign=own.sign, parameters=parameters)
        while not self._link.is_open:
            if not self._hear({}):
                raise GaveUp("the node hung up on a peer that greeted it")
        self._wire.sendall(self._link.outgoing())  # our own proof

    def tell(self, txids: Sequence[bytes]) -> None:
        """Announce entries."""
        for start in range(0, len(txids), MAX_HASHES):
            told = Inventory(Kind.ENTRY, tuple(txids[start : start + MAX_HASHES]))
            self._wire.sendall(frames.encode(told))

    def serve(self, entries: Mapping[bytes, bytes]) -> None:
        """Hand out what is asked for, until the connection ends."""
        while self._hear(entries):
            pass

    def close(self) -> None:
        """Hang up."""
        self._wire.shutdown(socket.SHUT_RDWR)
        self._wire.close()

    def _hear(self, entries: Mapping[bytes, bytes]) -> bool:
        """Answer what comes next; False at the end."""
        try:
            self._wire.sendall(self._link.outgoing())
            data = self._wire.recv(_READ)
        except OSError:  # closed here
            return False
        for message in self._link.receive(data):
            match message:
                case GetData(Kind.ENTRY, txids):
                    self._wire.sendall(frames.encode(Entries(tuple(entries[txid] for txid in txids))))
                case GetHeaders():
                    self._wire.sendall(frames.encode(Headers(())))
                case Ping(token):
                    self._wire.sendall(frames.encode(Pong(token)))
                case _:
                    pass
        return bool(data)


def main() -> None:
    """Measure and print."""
    options = parser_of("push", "Measure a peer.", entries=ENTRIES).parse_args()
    for result in measure(options.entries, options.runs):
        emit(result)


if __name__ == "__main__":
    main()
