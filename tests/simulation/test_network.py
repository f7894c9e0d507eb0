"""The simulated network does what TCP may do to connections, and nothing that it may not."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from node import events
from node.events import Event
from tests.simulation.faults import Faults
from tests.simulation.kernel import Kernel
from tests.simulation.network import DIAL_MS, WINDOW, Network, most_unsent
from tests.simulation.trace import Trace

QUIET = Faults(latency_ms=(10, 10), jitter_ms=0, split=0)


class Ear:
    """A party that writes down what it hears."""

    def __init__(self, name: str) -> None:
        self.name, self.host, self.port = name, f"20.0.0.{name}", 9000
        self.heard: list[Event] = []
        self.listens = self.is_there = self.is_free = True

    def take(self, event: Event) -> None:
        self.heard.append(event)

    def is_listening(self) -> bool:
        return self.listens

    def is_reachable(self) -> bool:
        return self.is_there

    def has_room(self) -> bool:
        return self.is_free

    @property
    def data(self) -> bytes:
        return b"".join(event.data for event in self.heard if isinstance(event, events.PeerData))

    @property
    def number(self) -> int:
        return next(event.connection for event in self.heard if isinstance(event, events.PeerConnected))

    def gone(self) -> list[str]:
        return [event.reason for event in self.heard if isinstance(event, events.PeerGone)]


class Pair:
    """Two hosts, and a connection from the first to the second."""

    def __init__(self, faults: Faults = QUIET, seed: int = 1) -> None:
        self.kernel = Kernel()
        self.network = Network(self.kernel, Trace(lambda: 0), faults, Random(seed))
        self.ann, self.bob = Ear("1"), Ear("2")
        self.network.join(self.ann)
        self.network.join(self.bob)

    def dial(self) -> None:
        self.network.dial(self.ann, events.Dial(7, self.bob.host, self.bob.port), lambda: True)

    def connected(self) -> Pair:
        self.dial()
        self.pass_time(5_000)
        return self

    def pass_time(self, ms: int) -> None:
        self.kernel.run_until(self.kernel.now_ms + ms)


def test_a_dial_ends_in_a_connection_that_both_sides_know() -> None:
    pair = Pair().connected()
    assert [type(event) for event in pair.ann.heard] == [events.PeerConnected]
    assert [type(event) for event in pair.bob.heard] == [events.PeerConnected]
    assert pair.ann.number != pair.bob.number


def test_nobody_listening_is_a_quick_no_and_nobody_there_a_slow_one() -> None:
    pair = Pair()
    pair.bob.listens = False
    pair.dial()
    pair.pass_time(20)
    assert pair.ann.heard == [events.DialFailed(7, "connection refused")]
    pair = Pair()
    pair.bob.is_there = False
    pair.dial()
    pair.pass_time(DIAL_MS - 1)
    assert pair.ann.heard == []
    pair.pass_time(1)
    assert pair.ann.heard == [events.DialFailed(7, "nobody answers")]


def test_who_has_no_room_hangs_up_at_once() -> None:
    pair = Pair()
    pair.bob.is_free = False
    pair.connected()
    assert pair.ann.gone() == ["closed by the peer"]
    assert pair.bob.heard == []


def test_a_dial_that_nobody_waits_for_any_more_connects_nothing() -> None:
    pair = Pair()
    pair.network.dial(pair.ann, events.Dial(7, pair.bob.host, pair.bob.port), lambda: False)
    pair.pass_time(60_000)
    assert pair.ann.heard == pair.bob.heard == []


@given(
    chunks=st.lists(st.tuples(st.binary(min_size=1, max_size=60), st.integers(0, 300)), max_size=30),
    trouble=st.lists(st.tuples(st.integers(0, 2_000), st.sampled_from(["cut", "one-way", "clog", "mend"]))),
    seed=st.integers(0, 1_000),
)
def test_bytes_come_in_order_and_whole_whatever_happens_to_the_way(
    chunks: list[tuple[bytes, int]], trouble: list[tuple[int, str]], seed: int
) -> None:
    faults = replace(QUIET, latency_ms=(1, 300), jitter_ms=200, loss=200, split=500, bytes_per_ms=1)
    pair = Pair(faults, seed).connected()
    network, kernel = pair.network, pair.kernel

    def strike(kind: str) -> None:
        if kind == "clog":
            network.clog_any()
        elif kind == "mend":
            network.mend_all()
        else:
            network.cut([pair.ann], [pair.bob], one_way=kind == "one-way")

    for delay, kind in trouble:
        kernel.after(delay, lambda kind=kind: strike(kind))  # type: ignore[misc]  # a lambda's default has no type
    for data, pause in chunks:
        network.send(pair.ann.number, data)
        pair.pass_time(pause)
    sent = b"".join(data for data, _ in chunks)
    assert sent.startswith(pair.bob.data)
    pair.pass_time(2_000)
    network.mend_all()
    pair.pass_time(120_000)
    assert pair.bob.data == sent
    assert pair.ann.gone() == pair.bob.gone() == []


def test_a_cut_both_ways_keeps_everything_until_it_is_mended() -> None:
    pair = Pair().connected()
    cut = pair.network.cut([pair.ann], [pair.bob], one_way=False)
    pair.network.send(pair.ann.number, b"held")
    pair.network.send(pair.bob.number, b"too")
    pair.pass_time(100_000)
    assert pair.ann.data == pair.bob.data == b""
    pair.network.mend(cut)
    pair.pass_time(100)
    assert (pair.ann.data, pair.bob.data) == (b"too", b"held")


def test_against_a_cut_one_way_a_window_gets_through_and_no_more() -> None:
    pair = Pair().connected()
    cut = pair.network.cut([pair.bob], [pair.ann], one_way=True)
    for _ in range(10):
        pair.network.send(pair.ann.number, bytes(WINDOW // 4))
    pair.pass_time(10_000)
    assert len(pair.bob.data) == WINDOW
    pair.network.mend(cut)
    pair.pass_time(10_000)
    assert len(pair.bob.data) == WINDOW // 4 * 10


def test_two_cuts_of_one_way_need_two_mendings() -> None:
    pair = Pair().connected()
    first = pair.network.cut([pair.ann], [pair.bob], one_way=False)
    second = pair.network.cut([pair.ann], [pair.bob], one_way=True)
    pair.network.send(pair.ann.number, b"held")
    pair.network.mend(first)
    pair.pass_time(1_000)
    assert pair.bob.data == b""
    pair.network.mend(second)
    pair.pass_time(1_000)
    assert pair.bob.data == b"held"


def test_what_was_sent_before_a_close_still_arrives_and_then_the_end() -> None:
    pair = Pair().connected()
    pair.network.send(pair.ann.number, b"last words")
    pair.network.close(pair.ann.number, "enough")
    pair.network.send(pair.ann.number, b"nothing more")
    pair.pass_time(1_000)
    assert pair.bob.data == b"last words"
    assert isinstance(pair.bob.heard[-1], events.PeerGone)
    assert pair.ann.gone() == []


def test_a_reset_ends_it_for_both_sides() -> None:
    pair = Pair().connected()
    pair.network.send(pair.ann.number, b"lost")
    pair.network.reset_any()
    pair.pass_time(1_000)
    assert pair.ann.gone() == pair.bob.gone() == ["connection reset"]
    assert pair.bob.data == b""


def test_a_dead_process_is_told_of_and_a_dead_machine_only_when_it_is_back() -> None:
    pair = Pair().connected()
    pair.network.died(pair.bob, silently=False)
    pair.pass_time(1_000)
    assert pair.ann.gone() == ["connection reset"]
    pair = Pair().connected()
    pair.bob.is_there = False
    pair.network.died(pair.bob, silently=True)
    pair.network.send(pair.ann.number, b"hello?")
    pair.pass_time(1_000_000)
    assert pair.ann.gone() == []
    pair.bob.is_there = True
    pair.network.back(pair.bob)
    assert pair.ann.gone() == ["connection reset"]
    assert pair.bob.data == b""


def test_room_is_told_of_when_what_waited_has_left() -> None:
    pair = Pair().connected()
    pair.network.send(pair.ann.number, bytes(100))
    pair.pass_time(1_000)
    assert not [event for event in pair.ann.heard if isinstance(event, events.PeerDrained)]
    pair.network.send(pair.ann.number, bytes(2 * WINDOW))
    pair.pass_time(1_000)
    drained = [event for event in pair.ann.heard if isinstance(event, events.PeerDrained)]
    assert drained == [events.PeerDrained(pair.ann.number, 0)]


def test_who_never_reads_loses_the_connection_and_what_waits_is_bounded() -> None:
    pair = Pair().connected()
    assert pair.network.most_unsent == most_unsent(1 << 20) == 20 << 20
    pair.network.cut([pair.ann], [pair.bob], one_way=False)
    for _ in range(20):
        pair.network.send(pair.ann.number, bytes(1 << 20))
    assert pair.ann.gone() == []
    pair.network.send(pair.ann.number, b"1")
    assert pair.ann.gone() == ["never reads"]
