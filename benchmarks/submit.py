"""Signed entries through the local socket, one connection: `python -m benchmarks.submit`.

Three ways to hand them over: lock-step (each waits for the answer to the one before), pipelined (all are
written without waiting), and in batches (arrays of 100 calls, each waiting for the answer to the one before).
An answer means that the entry is checked, pending, and in the journal on disk. Each way has a fresh node with
its default settings, whose log goes to a file.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence

from benchmarks import books, limits
from benchmarks.nodes import Lab, Node, lab, request
from benchmarks.options import parser_of
from benchmarks.report import Result, Series, emit
from node.ledger.entry import Entry
from tests.building import ChainBuilder

ENTRIES = 20_000
BATCH = 100
_PART = 10
"""Lock-step takes so many times fewer entries, for it takes so many times longer."""

Hand = Callable[[Node, Sequence[bytes]], float]
"""Hands lines to a node; returns the seconds until all were answered."""


def measure(entries: int = ENTRIES, runs: int = 5) -> list[Result]:
    """Return entries per second of each way beside the signatures per second of one core, by turns."""
    parameters = books.young_network()
    builder = ChainBuilder(parameters)
    signed = books.rounds(builder, entries)
    few = signed[: max(1, entries // _PART)]
    ways: list[tuple[str, str, list[bytes], int, Hand]] = [
        ("lock-step", "each after the answer to the last", _lines(few), len(few), _one_by_one),
        ("pipelined", "all without waiting", _lines(signed), len(signed), _all_at_once),
        ("batches", f"arrays of {BATCH}", _arrays(signed), len(signed), _one_by_one),
    ]
    rates: list[float] = []
    in_turn: list[float] = []
    found: dict[str, list[float]] = {name: [] for name, *_ in ways}
    with lab(parameters) as nodes:
        for _ in range(runs):
            rates.append(limits.verify_rate(1))
            in_turn.append(1 / (1 / rates[-1] + limits.append_s()))
            for name, _, lines, count, hand in ways:
                found[name].append(count / _hand_over(nodes, lines, count, hand))
    verifying = Series("libsodium verifying, one core", tuple(round(rate) for rate in rates))
    waiting = Series("libsodium verifying, then a synced append", tuple(round(rate) for rate in in_turn))
    return [
        Result(
            benchmark=f"submit {name}",
            unit="entries/s",
            figure=Series(how, tuple(round(rate) for rate in found[name])),
            limit=waiting if name == "lock-step" else verifying,
            details={"entries": count},
        )
        for name, how, _, count, _ in ways
    ]


def _hand_over(nodes: Lab, lines: Sequence[bytes], count: int, hand: Hand) -> float:
    node = nodes.start(nodes.folder())
    spent = hand(node, lines)
    if (pending := node.status()["pending"]) != count:
        raise RuntimeError(f"{pending} entries are pending, not {count}: {node.log()}")
    node.stop()
    return spent


def _lines(entries: Sequence[Entry]) -> list[bytes]:
    return [request(n, "submit", [entry.raw.hex()]) for n, entry in enumerate(entries, 1)]


def _arrays(entries: Sequence[Entry]) -> list[bytes]:
    calls = [line.strip() for line in _lines(entries)]
    return [b"[" + b",".join(calls[at : at + BATCH]) + b"]\n" for at in range(0, len(calls), BATCH)]


def _one_by_one(node: Node, lines: Sequence[bytes]) -> float:
    wire = node.client.wire
    answers = []
    began = time.perf_counter()
    for line in lines:
        wire.sendall(line)
        answer = wire.recv(1 << 16)
        while not answer.endswith(b"\n"):
            answer += wire.recv(1 << 16)
        answers.append(answer)
    spent = time.perf_counter() - began
    _check(b"".join(answers))
    return spent


def _all_at_once(node: Node, lines: Sequence[bytes]) -> float:
    wire = node.client.wire
    data = b"".join(lines)
    answers, count = [], 0
    sending = threading.Thread(target=wire.sendall, args=(data,))
    began = time.perf_counter()
    sending.start()
    while count < len(lines):
        answer = wire.recv(1 << 18)
        if not answer:
            raise ConnectionError("the node closed its socket")
        count += answer.count(b"\n")
        answers.append(answer)
    spent = time.perf_counter() - began
    sending.join()
    _check(b"".join(answers))
    return spent


def _check(answers: bytes) -> None:
    """Look at the answers once the clock has stopped: each entry must have been taken."""
    for line in answers.splitlines():
        told = json.loads(line)
        for answer in told if isinstance(told, list) else [told]:
            if "result" not in answer:
                raise RuntimeError(f"an entry was refused: {answer}")


def main() -> None:
    """Measure and print."""
    options = parser_of("submit", "Measure the local socket.", entries=ENTRIES).parse_args()
    for result in measure(options.entries, options.runs):
        emit(result)


if __name__ == "__main__":
    main()
