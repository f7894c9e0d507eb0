"""What the node tells of itself: field by field as the table of the commands has it."""

from __future__ import annotations

import pytest

from node import report
from node.events import HashRate, Submit
from node.messages import GetData, Kind
from node.noted import LAST_REORG
from node.pow import kernel_name
from node.storage.faults import BookFault
from node.storage.memory import memory_disk
from tests.building import EASY, ChainBuilder, key
from tests.puppets import START_MS, Puppet, Subject

CHAIN = ChainBuilder()
MAIN = CHAIN.blocks(None, 3)
FORK = CHAIN.blocks(None, 8, miner=key("other"))


def status(subject: Subject) -> report.Json:
    return report.status(subject.core, subject.now(), version="1.2.3", mode="on", address="test1x")


def test_status_has_the_fields_of_the_table_and_no_others() -> None:
    found = status(Subject())
    assert list(found) == [
        *("network", "network_id", "height", "tip", "work", "headers_height", "synced", "sync_reason"),
        *("peers", "pending", "mining", "address", "clock_offset_ms", "last_reorg", "rewrite_cost_s"),
        *("uptime_s", "version"),
    ]
    assert list(found["mining"]) == ["mode", "hashrate", "kernel", "address"]


def test_status_tells_of_the_book_the_peers_and_the_time() -> None:
    subject = Subject(mode="on")
    peer = Puppet(subject, clock_ms=5_000)
    peer.serves = {block.hash: block for block in MAIN}
    peer.show(*MAIN)
    subject.take(HashRate(2))
    subject.pass_time(3_500)
    found = status(subject)
    assert (found["height"], found["tip"], found["work"]) == (3, MAIN[-1].hash.hex(), "0x6")
    assert (found["headers_height"], found["synced"], found["peers"], found["pending"]) == (3, True, 1, 0)
    assert found["clock_offset_ms"] == 5_000
    assert found["mining"] == {"mode": "on", "hashrate": 2, "kernel": kernel_name(), "address": "test1x"}
    assert found["rewrite_cost_s"] == 3
    assert found["uptime_s"] == 3
    assert found["last_reorg"] is None


def test_a_changed_memory_of_a_switch_keeps_nobody_from_asking_how_the_node_is() -> None:
    disk = memory_disk(EASY)
    disk.values[LAST_REORG] = b"\xff"
    assert status(Subject(disk=disk))["last_reorg"] is None


def test_a_disk_that_fails_is_not_taken_for_a_changed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Subject()

    def failing(_: str) -> None:
        raise BookFault("cannot use the book (disk I/O error)", "look at its disk")

    monkeypatch.setattr(subject.store, "value", failing)
    with pytest.raises(BookFault, match="disk I/O error"):
        status(subject)


def test_a_deep_switch_stays_in_status() -> None:
    subject = Subject()
    peer = Puppet(subject)
    peer.serves = {block.hash: block for block in (*FORK, *CHAIN.blocks(None, 9))}
    peer.show(*FORK)
    longer = CHAIN.blocks(None, 9)
    peer.serves |= {block.hash: block for block in longer}
    peer.show(*longer)
    assert subject.store.value(LAST_REORG) is not None
    found = status(subject)["last_reorg"]
    assert (found["fork_height"], found["old_height"], found["new_height"]) == (0, 8, 9)
    assert found["old_tip"] == FORK[-1].hash.hex()
    assert found["new_tip"] == longer[-1].hash.hex()
    assert found["time_ms"] == subject.wall_ms


def test_an_entry_counts_once_as_pending() -> None:
    subject = Subject()
    peer = Puppet(subject)
    block = CHAIN.block(None, miner=key("ann"))
    peer.serves = {block.hash: block}
    peer.show(block)
    entry = CHAIN.entry(key("ann"), key("bob"), 5, nonce=0, timestamp_ms=START_MS)
    subject.take(Submit(1, (entry.raw,)))
    subject.take(Submit(2, (entry.raw,)))
    assert subject.answers[2] == [entry.txid.hex()]
    assert status(subject)["pending"] == 1 == len(subject.core.pending())


def test_peers_has_the_fields_of_the_table_beside_the_name() -> None:
    subject = Subject()
    peer = Puppet(subject, host="203.0.113.4", port=9_004)
    peer.show(*MAIN)
    subject.pass_time(2_000)
    (found,) = report.peers(subject.core, subject.now())
    assert [name for name in found if name != "name"] == [
        *("address", "direction", "node_id", "agent", "height", "latency_ms", "bytes_in", "bytes_out"),
        *("score", "connected_s"),
    ]
    assert found["address"] == "203.0.113.4:9004"
    assert found["direction"] == "in"
    assert found["node_id"] == peer.key.public.hex()
    assert (found["height"], found["score"], found["connected_s"], found["latency_ms"]) == (3, 0, 2, 0)
    assert found["bytes_in"] > 0 < found["bytes_out"]


def test_what_is_seen_of_an_entry_names_the_peers_that_share_the_book_and_those_that_heard_of_it() -> None:
    subject = Subject(mode="on")
    near, far = Puppet(subject), Puppet(subject, "far", host="203.0.113.5")
    near.serves = {block.hash: block for block in MAIN}
    near.show(*MAIN)
    far.show(*MAIN[:1])
    subject.take(HashRate(2))
    entry = CHAIN.entry(key("miner"), key("bob"), 5, nonce=0, timestamp_ms=START_MS)
    subject.take(Submit(1, (entry.raw,)))
    found = report.seen(subject.core, subject.now(), entry.txid, findings=3)
    assert len(found.peer_heights) == 2
    assert found.peer_heights[0] == 3
    assert (found.heard_by, found.hashrate, found.findings, found.has_gap) == (0, 2, 3, False)
    assert (found.is_synced, found.now_ms) == (True, subject.wall_ms)
    near.say(GetData(Kind.ENTRY, (entry.txid,)))
    assert report.seen(subject.core, subject.now(), entry.txid).heard_by == 1


def test_a_pending_entry_whose_senders_earlier_one_is_missing_has_a_gap() -> None:
    subject = Subject()
    peer = Puppet(subject)
    peer.serves = {block.hash: block for block in MAIN}
    peer.show(*MAIN)
    late, early = (
        CHAIN.entry(key("miner"), key("bob"), 5, nonce=nonce, timestamp_ms=START_MS) for nonce in (1, 0)
    )
    subject.take(Submit(1, (late.raw,)))
    assert report.seen(subject.core, subject.now(), late.txid).has_gap
    subject.take(Submit(2, (early.raw,)))
    assert not report.seen(subject.core, subject.now(), late.txid).has_gap
