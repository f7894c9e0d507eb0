"""`python -m tests.simulation.scale FIGURE`: what a network costs as it grows.

What came out stands in docs/scaling.md. Times and bytes are of virtual time and the same on every run; `cost`
measures this machine instead. Writes nothing but the file of `--json`.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from tests.simulation.crowd import LONG_MEMO, Count, Crowd, CrowdFault, Terms

Row = dict[str, object]
"""A line of a table: numbers, texts, and lists that only plots need."""

MEMO: Final = "two flat whites"
ENTRY_KINDS: Final = ("INVENTORY", "GET_DATA", "ENTRIES", "NOT_FOUND")
BLOCK_KINDS: Final = (
    *("HEADERS", "GET_DATA", "BLOCK", "INVENTORY", "GET_HEADERS", "NOT_FOUND"),
    *("COMPACT_BLOCK", "GET_BLOCK_ENTRIES", "BLOCK_ENTRIES"),
)
AT_ONCE: Final = 20
"""Entries typed in one array, where a block is to be filled."""
APART_MS: Final = 250
REST_MS: Final = 5_000
"""After it, nothing of what was measured is under way."""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------------- a block's way


def block(*, quick: bool) -> list[Row]:
    """Measure how long blocks take to all nodes, and what they cost on the wire."""
    nodes, blocks, full = (12, 2, 1 << 14) if quick else (1_000, 4, 1 << 17)
    whole, parts = Terms(nodes, block_bytes=full), Terms(nodes, block_bytes=full, compact=True)
    rows = [
        _way(Terms(nodes), "4 entries", entries=4, blocks=blocks),
        _way(whole, f"full, {full >> 10} KiB", entries=full // 410, blocks=1),
        _way(parts, f"full, {full >> 10} KiB, compact", entries=full // 410, blocks=1),
        _way(Terms(nodes, weight=full), f"weighs {full >> 10} KiB", entries=0, blocks=blocks),
    ]
    if not quick:
        # What a compact block would weigh in the place of 1 MiB, at 8 bytes an entry of 166; and 1 MiB.
        compact = Terms(nodes, weight=50 << 10, worth=1 << 20)
        rows.append(_way(compact, "1024 KiB, compact", entries=0, blocks=blocks))
        rows.append(_way(Terms(nodes, weight=1 << 20), "weighs 1024 KiB", entries=0, blocks=blocks))
    return rows


def _way(terms: Terms, name: str, *, entries: int, blocks: int) -> Row:
    crowd = Crowd(terms)
    crowd.settle()
    tally = crowd.tally
    times: list[int] = []
    said: dict[str, Count] = {}
    sizes: list[int] = []
    most = 0
    for _ in range(blocks):
        _fill(crowd, entries)
        tally.take()
        if entries > 100:
            crowd.slow_down_disks(terms.block_bytes)
        found = crowd.mine()
        times += crowd.spread(found)
        crowd.wait(1_000)
        most = max(most, *tally.sent.values())
        said = _sum(said, tally.take())
        sizes.append(len(_body(crowd, found)))
    times.sort()
    none = Count(0, 0)
    told = {kind: said[kind] for kind in BLOCK_KINDS if kind in said}
    headers, bodies = (told.get(kind, none) for kind in ("HEADERS", "BLOCK"))
    per_node = terms.nodes * blocks
    _say(f"{name}: {crowd.trace.hex}")
    return {
        "block": name,
        "bytes of a block": max(sizes[0], terms.weight),
        "blocks": blocks,
        "reached": len(times) / per_node,
        **{f"{share} % ms": _at(times, share) for share in (50, 90, 99, 100)},
        "mean ms": sum(times) / len(times),
        "bytes a node": sum(count.size for count in told.values()) / per_node,
        "of it HEADERS": headers.size / per_node,
        "HEADERS a node": headers.messages / per_node,
        "BLOCKs a node": bodies.messages / per_node,
        "most of one node": most,
        "bytes in all": sum(count.size for count in told.values()) // blocks,
        "curve": [times[len(times) * share // 1000] for share in range(0, 1000, 5)],
        "trace": crowd.trace.hex,
    }


def _at(times: Sequence[int], share: int) -> int:
    """Return within which of these ascending times so many per cent of them are."""
    return times[-(-len(times) * share // 100) - 1]


def _fill(crowd: Crowd, entries: int) -> None:
    """Have entries typed all over the network, and wait until all nodes have them."""
    if entries <= AT_ONCE:
        for _ in range(entries):
            crowd.pay(1, MEMO)
    else:
        for _ in range(-(-entries // AT_ONCE)):
            crowd.pay(AT_ONCE, LONG_MEMO)
            crowd.wait(APART_MS)
    if entries:
        crowd.wait(REST_MS)
        if crowd.least_pending() < entries:
            raise CrowdFault(f"a node has {crowd.least_pending()} entries pending, {entries} were typed")


def _body(crowd: Crowd, block_hash: bytes) -> bytes:
    store = crowd.machines[0].core.store
    record = store.find(block_hash)
    return (store.body(record.id) if record is not None else None) or b""


def _sum(one: Mapping[str, Count], other: Mapping[str, Count]) -> dict[str, Count]:
    none = Count(0, 0)
    return {
        kind: Count(*map(sum, zip(one.get(kind, none), other.get(kind, none), strict=True)))
        for kind in (*one, *(kind for kind in other if kind not in one))
    }


# ------------------------------------------------------------------------------------------- stale blocks


def stale(*, quick: bool) -> list[Row]:
    """Measure how many blocks end beside the main chain, by interval and by size."""
    if quick:
        return [_race(Terms(8, interval_ms=1_000, mines=True, weight=weight), 20) for weight in (0, 1 << 16)]
    small = [(interval_s, 0) for interval_s in (1, 2, 5, 15, 60)]
    large = [(15, weight) for weight in (1 << 12, 1 << 16, 1 << 18, 1 << 20)]
    return [
        _race(Terms(30, interval_ms=interval_s * 1_000, mines=True, weight=weight), 400)
        for interval_s, weight in (*small, *large)
    ]


def _race(terms: Terms, blocks: int) -> Row:
    crowd = Crowd(terms)
    tally = crowd.tally
    tally.is_counting = False
    crowd.settle()
    before = len(tally.found_ms)  # while the nodes were not connected yet
    began_ms = crowd.kernel.now_ms
    while len(tally.found_ms) < before + blocks:
        crowd.wait(100)
    found = list(tally.found_ms)[before : before + blocks]
    took_ms = tally.found_ms[found[-1]] - began_ms
    crowd.wait(8 * terms.interval_ms)  # more blocks, after which the branches of these are decided
    store = crowd.machines[0].core.store
    main = [block_hash for block_hash in found if _is_on_main(crowd, block_hash)]
    delays = [had_ms - tally.found_ms[one] for one in main for had_ms in tally.had_ms[one].values()]
    delay = sum(delays) / len(delays)
    beside = blocks - len(main)
    low, high = wilson(beside, blocks)
    _say(f"{terms.interval_ms} ms, {terms.weight} bytes: {beside} of {blocks}, {store.tip().height} high")
    return {
        "interval s": terms.interval_ms / 1_000,
        "bytes of a block": terms.weight or len(_body(crowd, main[0])),
        "nodes": terms.nodes,
        "blocks": blocks,
        "interval found s": took_ms / blocks / 1_000,
        "mean delay ms": delay,
        "stale": beside,
        "stale %": 100 * beside / blocks,
        "from %": 100 * low,
        "to %": 100 * high,
        "1-exp(-d/i) %": 100 * (1 - math.exp(-delay / terms.interval_ms)),
        "trace": crowd.trace.hex,
    }


def _is_on_main(crowd: Crowd, block_hash: bytes) -> bool:
    store = crowd.machines[0].core.store
    record = store.find(block_hash)
    main = store.main_at(record.height) if record is not None else None
    return main is not None and main.hash == block_hash


def wilson(hits: int, tries: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson's score interval)."""
    z, share = 1.96, hits / tries
    middle = (share + z * z / (2 * tries)) / (1 + z * z / tries)
    half = z * math.sqrt(share * (1 - share) / tries + z * z / (4 * tries * tries)) / (1 + z * z / tries)
    return max(0.0, middle - half), min(1.0, middle + half)


# ------------------------------------------------------------------------------------------- as it grows

SIZES: Final = (10, 30, 100, 300, 1_000)


def traffic(*, quick: bool) -> list[Row]:
    """Measure what is said for an entry, for a block and for nothing, by the number of nodes."""
    rows: list[Row] = []
    for nodes in (4, 8) if quick else SIZES:
        rows += _traffic_of(nodes, 2 if quick else 10, 2 if quick else 5)
    return rows


def _traffic_of(nodes: int, entries: int, blocks: int) -> list[Row]:
    crowd = Crowd(Terms(nodes))
    crowd.settle()
    tally = crowd.tally
    opened = tally.take()
    ends = crowd.connections() / nodes
    for _ in range(entries):
        crowd.pay(1, MEMO)
        crowd.wait(1_000)
    crowd.wait(REST_MS)
    said = tally.take()
    rows = _rows(nodes, ends, "entry", {kind: said[kind] for kind in ENTRY_KINDS if kind in said}, entries)
    times: list[int] = []
    for _ in range(blocks):
        times += crowd.spread(crowd.mine())
        crowd.wait(1_000)
    times.sort()
    said = tally.take()
    told = _rows(nodes, ends, "block", {kind: said[kind] for kind in BLOCK_KINDS if kind in said}, blocks)
    told[0] |= {f"{share} % ms": _at(times, share) for share in (50, 99)}
    rows += told
    crowd.wait(REST_MS)
    tally.take()
    crowd.wait(120_000)
    rows += _rows(nodes, ends, "idle minute", tally.take(), 2)
    rows += _rows(nodes, ends, "all connecting", opened, 1)
    _say(f"{nodes} nodes: {crowd.trace.hex}")
    return rows


def _rows(nodes: int, ends: float, what: str, said: Mapping[str, Count], times: int) -> list[Row]:
    every = {"all": Count(*map(sum, zip(*said.values(), strict=True)))} | dict(said)
    return [
        {
            "nodes": nodes,
            "connections a node": ends,
            "for": what,
            "type": kind,
            "messages a node": count.messages / nodes / times,
            "bytes a node": count.size / nodes / times,
            "50 % ms": "",
            "99 % ms": "",
        }
        for kind, count in every.items()
    ]


def cost(*, quick: bool) -> list[Row]:
    """Measure processor time and memory, by the number of nodes; each size in a process of its own."""
    rows = []
    spawn = multiprocessing.get_context("spawn")
    for nodes in (4, 8) if quick else SIZES:
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            rows.append(pool.submit(_cost_of, nodes, 20).result())
        _say(f"{nodes} nodes")
    return rows


def _cost_of(nodes: int, entries: int) -> Row:
    bare = _resident_kib()
    crowd = Crowd(Terms(nodes))
    crowd.tally.is_counting = False
    connecting = _cpu_of(crowd.settle)
    settled = _resident_kib()
    idle = _cpu_of(lambda: crowd.wait(60_000))
    crowd.wait(REST_MS)

    def pay() -> None:
        for _ in range(entries):
            crowd.pay(1, MEMO)
            crowd.wait(APART_MS)
        crowd.wait(REST_MS)

    began_ms = crowd.kernel.now_ms
    paying = _cpu_of(pay) - idle * (crowd.kernel.now_ms - began_ms) / 60_000
    held = _resident_kib()
    began_ms = crowd.kernel.now_ms
    mining = _cpu_of(lambda: crowd.spread(crowd.mine())) - idle * (crowd.kernel.now_ms - began_ms) / 60_000
    return {
        "nodes": nodes,
        "connections a node": crowd.connections() / nodes,
        "us a node an entry": paying * 1e6 / nodes / entries,
        "us a node a block": mining * 1e6 / nodes,
        "entries of it": entries,
        "ms a node an idle minute": idle * 1e3 / nodes,
        "ms a node connecting": connecting * 1e3 / nodes,
        "KiB a node": (settled - bare) / nodes,
        "KiB a node an entry": (held - settled) / nodes / entries,
    }


def _cpu_of(do: Callable[[], object]) -> float:
    """Return the processor seconds that something takes."""
    began = time.process_time()
    do()
    return time.process_time() - began


def _resident_kib() -> int:
    """Return the most memory that this process has held; KiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most


# ------------------------------------------------------------------------------------------- the command

FIGURES: Final[Mapping[str, Callable[..., list[Row]]]] = {
    "block": block,
    "stale": stale,
    "traffic": traffic,
    "cost": cost,
}


def table(rows: Sequence[Row]) -> str:
    """Return rows as a table of Markdown, without what only plots need."""
    heads = [head for head, value in rows[0].items() if not isinstance(value, list) and head != "trace"]
    lines = [heads, ["---" if isinstance(rows[0][head], str) else "---:" for head in heads]]
    lines += [[_shown(row[head]) for head in heads] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def main(arguments: Sequence[str]) -> int:
    """Measure a figure and print its table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.scale", description="Measure what a network costs as it grows."
    )
    parser.add_argument("figure", choices=FIGURES)
    parser.add_argument("--quick", action="store_true", help="with a few nodes, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, for the plots")
    options = parser.parse_args(arguments)
    if options.figure != "cost":
        gc.disable()  # it would walk all nodes again and again; what it could free is little beside them
    rows = FIGURES[options.figure](quick=options.quick)
    gc.enable()
    print(table(rows))
    for row in rows:
        if "trace" in row:
            print(f"trace {row['trace']}")
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
