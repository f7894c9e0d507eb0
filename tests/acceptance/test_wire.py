"""Whatever comes over the wire, the node stays up, says why it hangs up, and goes on with its peers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from node.messages import Entries, GetHeaders, Headers, Ping
from tests.acceptance.nodes import QUICK, Lab, Node, agreed, connected, processes, until
from tests.acceptance.stranger import Stranger, frame, hello, introduced
from tests.building import EASY, ChainBuilder, key

pytestmark = pytest.mark.acceptance

MOST_BYTES = 256 << 20
"""Resident, of a node that strangers do their worst to."""


@pytest.fixture(scope="module")
def pair(shared_lab: Lab) -> Iterator[list[Node]]:
    """Two nodes with a short chain, for all tests; both end in order."""
    network = shared_lab.network(QUICK)
    nodes = shared_lab.line("ann", "bob", network=network, flags=("--mine", "off"))
    nodes[0].call("mine", count=3)
    yield nodes
    for node in nodes:
        node.stop()


@pytest.fixture
def node(pair: list[Node]) -> Iterator[Node]:
    """The first of them; after each test it must still do its work."""
    ann = pair[0]
    connected(ann, 1)
    yield ann
    ann.call("mine", count=1)
    agreed(pair, ann.height())


def test_bytes_that_mean_nothing_end_their_connection_alone(node: Node) -> None:
    dice = random.Random(1)
    payloads = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x00" * 64,
        b"\xff" * 64,
        b"\x7f\xff\xff\xff\x01",  # two gigabytes of HELLO
        b"\x00\x00\x00\x05\x02abcd",  # before HELLO
        b"\x00\x00\x00\x05\x01abcd",  # a HELLO that is none
        frame(hello(QUICK, key("a")))[:-3] + b"\xc0\xc0\xc0",
        *(dice.randbytes(dice.randrange(1, 3_000)) for _ in range(20)),
    ]
    for payload in payloads:
        with Stranger(node) as stranger:
            stranger.send(payload)
            stranger.wire.shutdown(1)  # a frame that is cut off ends here
            stranger.until_hung_up()
    assert node.status()["peers"] == 1


def test_a_frame_that_is_cut_anywhere_harms_nothing(node: Node) -> None:
    whole = frame(hello(QUICK, key("a")))
    for end in range(0, len(whole), 7):
        with Stranger(node) as stranger:
            stranger.send(whole[:end])
    assert node.status()["peers"] == 1


def test_another_network_is_refused_by_name(node: Node) -> None:
    before = len(node.log())
    with Stranger(node) as stranger:
        stranger.send(frame(hello(EASY, key("a"))))
        stranger.until_hung_up()
    until(lambda: "it keeps the book" in node.log()[before:], "the log names it")


def test_another_version_of_the_protocol_is_refused_by_name(node: Node) -> None:
    before = len(node.log())
    with Stranger(node) as stranger:
        stranger.send(frame(replace(hello(QUICK, key("a")), version=9)))
        stranger.until_hung_up()
    until(lambda: "version" in node.log()[before:], "the log names it")


def test_strangers_who_say_nothing_are_hung_up_on(node: Node) -> None:
    with ExitStack() as opened:
        strangers = [opened.enter_context(Stranger(node)) for _ in range(5)]
        half = opened.enter_context(Stranger(node))
        half.send(frame(hello(QUICK, key("a")))[:20])
        for stranger in (*strangers, half):
            assert stranger.until_hung_up() > 0, "the node's own HELLO came first"
    assert node.status()["peers"] == 1


@pytest.mark.parametrize("kind", ["ping", "headers asked for"])
def test_a_peer_that_asks_and_never_reads_fills_nothing(node: Node, kind: str) -> None:
    chain = ChainBuilder(QUICK)
    ask = {
        "ping": frame(Ping(7)) * 1_000,
        "headers asked for": frame(GetHeaders((chain.network_id,))) * 300,
    }[kind]
    with introduced(node, QUICK, key("greedy")) as greedy:
        connected(node, 2)
        greedy.flood(ask, 300)
        assert node.call("mine", count=1)
        assert processes()[node.pid].resident_bytes < MOST_BYTES


def test_a_peer_that_sends_what_breaks_the_rules_is_charged_and_named(node: Node) -> None:
    with introduced(node, QUICK, key("liar")) as liar:
        liar.send(frame(Entries((b"\x99 no entry",))))
        liar.until_hung_up()
    with introduced(node, QUICK, key("liar")) as liar:
        liar.send(frame(Headers((b"\x00" * 92,))))
        liar.until_hung_up()
    until(lambda: "entry-encoding" in node.log(), "the log names the rule")
    connected(node, 1)


def test_a_forged_payment_is_not_taken_and_its_sender_is_hung_up_on(node: Node) -> None:
    chain = ChainBuilder(QUICK)
    thief, victim = key("thief"), node.status()["address"]
    with introduced(node, QUICK, thief) as peer:
        forged = chain.entry(thief, key("thief's friend"), 1_000_000_00, timestamp_ms=QUICK.genesis_ms)
        peer.send(frame(Entries((forged.raw[:-1] + bytes([forged.raw[-1] ^ 1]),))))
        peer.send(frame(Ping(1)))
        until(lambda: node.status()["pending"] == 0, "nothing is pending")
    assert node.call("balance", address=victim)["confirmed"] == node.height() * 50_00


def test_an_agent_that_tries_to_write_over_the_terminal_is_shown_harmless(node: Node) -> None:
    said = replace(hello(QUICK, key("painter")), agent="\u202e\u2066evil\u2028forged line")
    with introduced(node, QUICK, key("painter"), said):
        until(lambda: "evil" in node.log(), "the log tells of it")
    (line,) = [line for line in node.log().splitlines() if "evil" in line]
    assert r"\u202e\u2066evil\u2028forged line" in line
