"""The network between hosts: what TCP would do to connections, bytes and dials, and no more than that. Pure.

A direction of a connection delivers its bytes in order, whole or in pieces, sooner or later; or the
connection ends, for both sides or, where a machine vanished, for one. A direction that is cut keeps what was
sent until it is joined again, as TCP sends again; of what comes the other way, as much gets through as a
window holds, for no acknowledgement returns.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol

from node import events
from node.events import Event
from tests.simulation.faults import Faults
from tests.simulation.kernel import Kernel
from tests.simulation.trace import Trace

WINDOW: Final = 1 << 16
"""Bytes that are on their way without an acknowledgement."""
MAX_UNSENT: Final = 1 << 24
"""What may wait for a peer that does not read, beside some blocks, as in the daemon."""
BLOCKS_UNSENT: Final = 4
DIAL_MS: Final = 5_000
"""A dial that nobody answers is given up."""
REPORT_BYTES: Final = 1 << 16
"""As the daemon's transport: PeerDrained comes after so much, and when what waited has left."""
_RESEND_MS: Final = 200


def most_unsent(block_bytes: int) -> int:
    """Return what may wait for a peer, in a network of blocks of at most so many bytes."""
    return MAX_UNSENT + BLOCKS_UNSENT * block_bytes


class Party(Protocol):
    """Who has an address: a node, or someone who plays one."""

    name: str
    host: str
    port: int

    def take(self, event: Event) -> None:
        """Hear of what happened on the network."""

    def is_listening(self) -> bool:
        """Tell whether a dial is answered."""

    def is_reachable(self) -> bool:
        """Tell whether the machine is on the network at all."""

    def has_room(self) -> bool:
        """Tell whether one more connection from outside is taken."""


@dataclass(slots=True)
class _Way:
    """One direction of a connection."""

    source: Party
    target: Party
    number: int
    """As its source knows the connection."""
    far_number: int
    """As its target does."""
    last_ms: int = 0
    """When the last segment arrives; none overtakes it."""
    clogged_until_ms: int = 0
    waiting: int = 0
    """Bytes sent that have not arrived."""
    unreported: int = 0
    had_to_wait: bool = False
    unacknowledged: int = 0
    """Bytes that arrived while no acknowledgement could return."""
    queue: deque[tuple[int, bytes | str]] = field(default_factory=deque)
    """What is on its way, with when it is there at the earliest; a text is the end, and its reason."""
    is_moving: bool = False
    """True while an arrival is planned; else the queue is empty or stands before a cut."""
    is_open: bool = True


Uplink = Callable[[str, bytes, int], int]
"""(host, data, earliest ms) -> when the data has left the host's line, which all its connections share."""


class Network:
    """All connections of a world."""

    def __init__(
        self, kernel: Kernel, trace: Trace, faults: Faults, dice: Random, *, block_bytes: int = 1 << 20
    ) -> None:
        """`block_bytes`: of the longest block of the network."""
        self.faults = faults
        self.most_unsent = most_unsent(block_bytes)
        self.bytes = 0
        """Of all that was sent."""
        self.uplink: Uplink | None = None
        """Lines of hosts; None is endless ones."""
        self._kernel = kernel
        self._trace = trace
        self._dice = dice
        self._parties: dict[tuple[str, int], Party] = {}
        self._ways: dict[int, _Way] = {}
        """By number, while their source has not closed them."""
        self._closing: dict[int, _Way] = {}
        """Closed by their source; what was sent is still on its way."""
        self._latencies: dict[tuple[str, str], int] = {}
        self._cuts: dict[tuple[str, str], int] = {}
        """(from, to) to how many partitions cut it."""
        self._made = 0

    def join(self, party: Party) -> None:
        """Give a party its address."""
        self._parties[party.host, party.port] = party

    # ------------------------------------------------------------------------------------------ as TCP

    def dial(self, party: Party, effect: events.Dial, is_wanted: Callable[[], bool]) -> None:
        """Try to connect; answered by PeerConnected or DialFailed, unless it is wanted no more."""
        there = self._parties.get((effect.host, effect.port))
        delay = self._latency(party.host, effect.host)

        def fail(reason: str) -> None:
            if is_wanted():
                party.take(events.DialFailed(effect.dial, reason))

        def answer() -> None:
            if not is_wanted():
                return
            if there is None or there is party or not self._reaches(party, there):
                self._kernel.after(DIAL_MS - delay, lambda: fail("nobody answers"))
            elif not there.is_listening():
                fail("connection refused")
            else:
                self._connect(party, there, effect)

        self._kernel.after(delay, answer)

    def _reaches(self, one: Party, other: Party) -> bool:
        pairs = ((one.host, other.host), (other.host, one.host))
        return one.is_reachable() and other.is_reachable() and not any(pair in self._cuts for pair in pairs)

    def _connect(self, party: Party, there: Party, effect: events.Dial) -> None:
        self._made += 2
        ours, theirs = self._made - 1, self._made
        self._trace.note(f"connect {party.name} {there.name} {ours}")
        self._ways[ours] = _Way(party, there, ours, theirs)
        self._ways[theirs] = _Way(there, party, theirs, ours)
        party.take(events.PeerConnected(ours, effect.host, effect.port, effect.dial))
        if there.has_room():
            there.take(events.PeerConnected(theirs, party.host, 50_000 + self._made % 10_000, None))
        else:
            self._end_soon(self._ways.pop(theirs), "closed by the peer")

    def send(self, number: int, data: bytes) -> None:
        """Give bytes to a connection, in order; nothing where it is gone."""
        way = self._ways.get(number)
        if way is None:
            return
        self.bytes += len(data)
        if way.waiting and way.waiting + len(data) > self.most_unsent:
            self._reset(way, "never reads")
            return
        way.waiting += len(data)
        way.unreported += len(data)
        way.had_to_wait |= way.waiting > WINDOW
        self._schedule(way, data)

    def _schedule(self, way: _Way, data: bytes) -> None:
        faults, dice = self.faults, self._dice
        delay = self._latency(way.source.host, way.target.host)
        if faults.jitter_ms:
            delay += dice.randrange(faults.jitter_ms + 1)
        if faults.loss and dice.randrange(1000) < faults.loss:
            delay += _RESEND_MS << dice.randrange(3)
        start = max(self._kernel.now_ms, way.clogged_until_ms)
        if faults.bytes_per_ms:
            # The line is busy with what was sent before, up to when that leaves it.
            start = max(start, way.last_ms - delay) + len(data) // faults.bytes_per_ms
        if self.uplink is not None:
            start = self.uplink(way.source.host, data, start)
        self._put(way, max(way.last_ms, start + delay), data)

    def _put(self, way: _Way, due_ms: int, what: bytes | str) -> None:
        way.last_ms = due_ms
        way.queue.append((due_ms, what))
        if not way.is_moving:
            self._move_at(way, due_ms)

    def _move_at(self, way: _Way, time_ms: int) -> None:
        way.is_moving = True
        self._kernel.at(time_ms, lambda: self._move(way))

    def _move(self, way: _Way) -> None:
        """Let arrive what is due, in order, until something stands in the way."""
        while way.is_open and way.queue:
            due_ms, what = way.queue[0]
            due_ms = max(due_ms, way.clogged_until_ms)
            if due_ms > self._kernel.now_ms:
                self._move_at(way, due_ms)
                return
            if not self._gets_through(way, len(what)):
                break
            way.queue.popleft()
            if isinstance(what, bytes):
                self._hand_over(way, what)
            else:
                self._ended(way, what)
        way.is_moving = False

    def _gets_through(self, way: _Way, size: int) -> bool:
        if not way.target.is_reachable() or not way.source.is_reachable():
            return False
        if (way.source.host, way.target.host) in self._cuts:
            return False
        if (way.target.host, way.source.host) in self._cuts:
            way.unacknowledged += size
            return way.unacknowledged <= WINDOW
        way.unacknowledged = 0
        return True

    def _hand_over(self, way: _Way, data: bytes) -> None:
        self._trace.note(f"{way.source.name}>{way.target.name} {len(data)} {zlib.crc32(data):08x}")
        way.waiting -= len(data)
        if self._ways.get(way.far_number) is not None:
            if len(data) > 1 and self.faults.split and self._dice.randrange(1000) < self.faults.split:
                at = 1 + self._dice.randrange(len(data) - 1)
                way.target.take(events.PeerData(way.far_number, data[:at]))
                data = data[at:]
            way.target.take(events.PeerData(way.far_number, data))
        self._report(way)

    def _report(self, way: _Way) -> None:
        """Tell the sender that room was made, as the daemon's transport does."""
        if way.unreported >= REPORT_BYTES and way.waiting <= WINDOW:
            way.had_to_wait = True
        if way.had_to_wait and way.waiting == 0 and self._ways.get(way.number) is way:
            way.had_to_wait, way.unreported = False, 0
            way.source.take(events.PeerDrained(way.number, 0))

    def close(self, number: int, reason: str) -> None:
        """End a connection from one side: what was sent still arrives, then the other side hears of it."""
        way = self._ways.pop(number, None)
        if way is not None:
            self._trace.note(f"close {way.source.name} {number} {reason}")
            self._end_soon(way, "closed by the peer")

    def _end_soon(self, way: _Way, reason: str) -> None:
        """Let the target of this way hear of the end, after what is on its way."""
        self._closing[way.number] = way
        due_ms = self._kernel.now_ms + self._latency(way.source.host, way.target.host)
        self._put(way, max(way.last_ms, due_ms), reason)

    def _ended(self, way: _Way, reason: str) -> None:
        self._closing.pop(way.number, None)
        way.is_open = False
        back = self._ways.pop(way.far_number, None)
        if back is not None:
            back.is_open = False
            way.target.take(events.PeerGone(way.far_number, reason))

    # ------------------------------------------------------------------------------------------ faults

    def _reset(self, way: _Way, reason: str) -> None:
        """End it at once for both sides; what was on its way is lost."""
        for number in (way.number, way.far_number):
            one = self._ways.pop(number, None)
            if one is not None:
                one.is_open = False
                one.source.take(events.PeerGone(number, reason))

    def reset_any(self) -> None:
        """Reset a connection."""
        way = self._any()
        if way is not None:
            self._trace.tell(f"network: {way.source.name}-{way.target.name} is reset")
            self._reset(way, "connection reset")

    def clog_any(self) -> None:
        """Let one direction of a connection stand still."""
        way = self._any()
        if way is not None:
            length = 1 + self._dice.randrange(2 * self.faults.clog_ms)
            self._trace.tell(f"network: {way.source.name}>{way.target.name} stands still for {length} ms")
            way.clogged_until_ms = self._kernel.now_ms + length

    def hold(self, number: int, length_ms: int) -> None:
        """Let what comes to this end of a connection wait: who has it does not read."""
        way = self._ways.get(number)
        back = None if way is None else self._ways.get(way.far_number)
        if back is not None:
            back.clogged_until_ms = self._kernel.now_ms + length_ms

    def _any(self) -> _Way | None:
        numbers = list(self._ways)
        return self._ways[self._dice.choice(numbers)] if numbers else None

    def died(self, party: Party, *, silently: bool) -> None:
        """End all connections of a process: its machine says so, or nobody does."""
        for number in [number for number, way in self._ways.items() if way.source is party]:
            way = self._ways.pop(number)
            if silently:
                way.is_open = False
            else:
                self._end_soon(way, "connection reset")

    def back(self, party: Party) -> None:
        """Let a machine answer again: who still writes to a connection of its old life is told so."""
        for way in [way for way in self._ways.values() if way.target is party]:
            if way.far_number not in self._ways:
                del self._ways[way.number]
                way.is_open = False
                way.source.take(events.PeerGone(way.number, "connection reset"))

    def cut(self, sources: list[Party], targets: list[Party], *, one_way: bool) -> list[tuple[str, str]]:
        """Keep bytes from getting from any of these to any of those, and back; return what to `mend`."""
        pairs = [(source.host, target.host) for source in sources for target in targets]
        if not one_way:
            pairs += [(target, source) for source, target in pairs]
        for pair in pairs:
            self._cuts[pair] = self._cuts.get(pair, 0) + 1
        return pairs

    def mend(self, pairs: list[tuple[str, str]]) -> None:
        """Undo a `cut`."""
        for pair in pairs:
            left = self._cuts.get(pair, 0) - 1
            if left > 0:
                self._cuts[pair] = left
            else:
                self._cuts.pop(pair, None)
        self.flush()

    def mend_all(self) -> None:
        """End all cuts and clogs."""
        self._cuts.clear()
        for way in self._ways.values():
            way.clogged_until_ms = 0
        self.flush()

    def flush(self) -> None:
        """Send on what stood before a cut that is no more."""
        for way in [*self._ways.values(), *self._closing.values()]:
            if way.queue and not way.is_moving:
                latency = self._latency(way.source.host, way.target.host)
                self._move_at(way, self._kernel.now_ms + latency)

    def _latency(self, one: str, other: str) -> int:
        pair = (one, other) if one < other else (other, one)
        found = self._latencies.get(pair)
        if found is None:
            least, most = self.faults.latency_ms
            found = self._latencies[pair] = self._dice.randint(least, most)
        return found
