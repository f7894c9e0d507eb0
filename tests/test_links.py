"""Connections: who is greeted, told apart, dropped, banned and dialled again."""

from __future__ import annotations

import pytest

from node.endpoint import Endpoint
from node.events import DialFailed, PeerCommand, PeerGone, Refuse
from node.links import KnownPeer
from node.messages import Address, Addresses, GetAddresses, Pong
from tests.driving import World
from tests.puppets import Puppet, Subject

FRIEND = Endpoint("198.51.100.9", 9_000)


def command(subject: Subject, action: str, target: str) -> object:
    request = subject.number() + 1_000
    subject.take(PeerCommand(request, action, target))
    return subject.answers[request]


def knowing(**options: int) -> Subject:
    """A node with one configured peer, which it has begun to dial."""
    return Subject(peers=(KnownPeer(FRIEND, "friend", None),), max_peers=options.get("max_peers", 32))


def test_who_does_not_greet_in_time_is_dropped_without_blame() -> None:
    subject = Subject()
    mute = Puppet(subject, greets=False)
    subject.pass_time(9_500)
    assert mute.is_there
    subject.pass_time(1_000)
    assert subject.closed[mute.number] == "no handshake"
    assert not subject.told("peer-fault")


def test_a_peer_that_answers_no_ping_is_dropped_and_one_that_does_has_a_latency() -> None:
    subject = Subject()
    silent, alive = Puppet(subject, "silent"), Puppet(subject, "alive", host="203.0.113.2")
    silent.pongs = False
    subject.pass_time(120_000)
    assert "silent" in subject.closed[silent.number]
    assert alive.is_there
    session = subject.core.sessions.get(alive.number)
    assert session is not None
    assert session.latency_ms == 0


def test_a_pong_that_was_not_asked_for_means_nothing() -> None:
    subject = Subject()
    peer = Puppet(subject)
    peer.say(Pong(7))
    assert peer.score == 0


@pytest.mark.parametrize("seed", range(8))
def test_when_both_dial_at_once_one_connection_stays_the_same_at_both_ends(seed: int) -> None:
    world = World(seed)
    left = world.add((1,), mode="off")
    right = world.add((0,), mode="off")
    world.run(5_000)
    ends = [[session.dial is not None for session in node.core.sessions.open()] for node in (left, right)]
    assert sorted(ends) == [[False], [True]]
    world.run(600_000)
    assert all(len(node.told("peer-connected")) <= 2 for node in (left, right)), "no storm of connections"


def test_a_peer_whose_half_of_a_connection_is_gone_is_taken_back_at_once() -> None:
    subject = Subject()
    old = Puppet(subject, "bob")
    old.pongs = False
    new = Puppet(subject, "bob")
    assert new.is_there
    assert old.is_there, "it may be well"
    subject.pass_time(9_500)
    assert old.is_there
    subject.pass_time(1_000)
    assert subject.closed[old.number] == "silent for 10 s"
    assert new.is_there
    assert new.score == 0


def test_a_connection_that_was_doubted_and_answers_stays() -> None:
    subject = Subject()
    old, new = Puppet(subject, "bob"), Puppet(subject, "bob")
    subject.take(PeerGone(new.number, "connected twice"))  # as the peer has both, it ends the newer
    subject.pass_time(50_000)
    assert old.is_there
    old.pongs = False
    subject.pass_time(30_000)
    assert old.is_there, "it has the time of any other again"


def test_a_third_connection_of_the_same_peer_is_turned_away() -> None:
    subject = Subject()
    peers = [Puppet(subject, "bob") for _ in range(3)]
    assert [peer.is_there for peer in peers] == [True, True, False]
    assert subject.closed[peers[2].number] == "connected twice"


def test_a_node_that_reaches_itself_notices_and_does_not_dial_there_again() -> None:
    world = World()
    node = world.add((0,), mode="off")
    world.run(1_000_000)
    assert not list(node.core.sessions.open())
    assert len(node.told("peer-gone")) == 2
    assert not node.told("peer-refused"), "nobody has copied its folder"


def test_another_book_is_told_of_once_however_often_it_comes() -> None:
    subject = Subject()
    for _ in range(5):
        stranger = Puppet(subject, network=bytes(32))
        assert not stranger.is_there
    warnings = [n for n in subject.notices if n.kind == "peer-refused" and n.level >= 30]
    assert len(warnings) == 1
    assert "wrong-network" in warnings[0].text
    assert Puppet(subject).is_there, "it was no fault"


def test_a_broken_rule_bans_the_host_until_the_ban_expires() -> None:
    subject = Subject()
    Puppet(subject, "bad").give(b"\0\0\0\0")
    assert not Puppet(subject, "other name").is_there, "the host is banned"
    assert Puppet(subject, "bad", host="203.0.113.5").is_there, "whoever stood between may have said it"
    assert Puppet(subject, "good", host="203.0.113.6").is_there
    subject.pass_time(24 * 3_600_000 + 1_000)
    assert Puppet(subject, "bad").is_there


def test_bans_outlive_a_restart_also_a_hard_one() -> None:
    subject = Subject()
    Puppet(subject, "bad").give(b"\0\0\0\0")
    subject.pass_time(5_000)
    assert subject.saved_peers is not None
    again = Subject(book=subject.saved_peers)
    assert not Puppet(again, "bad").is_there


def test_a_damaged_file_of_peers_is_told_of_and_blocks_no_start() -> None:
    subject = Subject(book=b"\xff\xff")
    assert "starting without it" in subject.told("peers-file")[0]
    assert Puppet(subject).is_there


def test_nodes_on_this_machine_are_never_banned_but_are_disconnected() -> None:
    subject = Subject()
    bad = Puppet(subject, "bad", host="127.0.0.1", port=9_001)
    bad.give(b"\0\0\0\0")
    assert not bad.is_there
    assert Puppet(subject, "bad", host="127.0.0.1", port=9_001).is_there


def test_a_configured_peer_is_tried_again_ever_later_and_told_of_once() -> None:
    subject = knowing()
    tried = []
    for _ in range(6):
        subject.take(DialFailed(subject.dials[-1].dial, "refused"))
        at, count = subject.mono_ms, len(subject.dials)
        while len(subject.dials) == count:
            subject.pass_time(250)
        tried.append(subject.mono_ms - at)
    assert tried == sorted(tried)
    assert 1_000 <= tried[0] <= 2_000
    assert tried[-1] >= 32_000
    assert len([n for n in subject.notices if n.kind == "peer-away" and n.level >= 20]) == 1


def test_a_configured_peer_that_was_there_and_is_lost_is_dialled_again() -> None:
    subject = knowing()
    friend = Puppet(subject, "friend", dial=subject.dials[0])
    assert friend.is_there
    subject.take(PeerGone(friend.number, "reset"))
    subject.pass_time(10_000)
    assert len(subject.dials) == 2


def test_a_configured_peer_that_calls_and_breaks_the_protocol_is_dialled_again() -> None:
    subject = knowing()
    subject.take(DialFailed(subject.dials[0].dial, "refused"))
    caller = Puppet(subject, "friend", host=FRIEND.host, port=FRIEND.port)
    subject.pass_time(100_000)
    assert len(subject.dials) == 1, "it is connected already"
    caller.give(b"\0\0\0\0")
    subject.pass_time(300_000)
    assert len(subject.dials) == 2


def test_callers_leave_places_to_dial_and_a_full_node_does_not_spin() -> None:
    subject = knowing(max_peers=10)
    subject.take(DialFailed(subject.dials[0].dial, "refused"))
    callers = [Puppet(subject, f"p{i}", host=f"203.0.113.{i}") for i in range(12)]
    assert sum(caller.is_there for caller in callers) == 5
    assert subject.closed[callers[-1].number] == "no room for more peers"
    subject.pass_time(3_000)
    assert len(subject.dials) == 2
    steps = subject.steps
    subject.pass_time(10_000)
    assert subject.steps - steps < 200


def test_one_host_cannot_take_all_places_for_callers() -> None:
    subject = Subject(max_peers=10)
    crowd = [Puppet(subject, f"p{i}") for i in range(8)]
    assert sum(caller.is_there for caller in crowd) == 5
    others = [Puppet(subject, f"other {i}", host=f"203.0.113.{i}") for i in range(8)]
    assert [caller.is_there for caller in others] == [True] * 4 + [False] * 4
    assert sum(caller.is_there for caller in crowd) == 1
    assert subject.closed[crowd[4].number] == "makes room for another host"


def test_the_owners_peer_does_not_make_room_for_anybody() -> None:
    subject = knowing(max_peers=4)
    Puppet(subject, "friend", dial=subject.dials[0])
    subject.take(PeerGone(1, "reset"))
    friend = Puppet(subject, "friend", host="203.0.113.9")
    crowd = [Puppet(subject, f"p{i}", host="203.0.113.9") for i in range(3)]
    Puppet(subject, "other", host="203.0.113.77")
    assert friend.is_there
    assert not any(caller.is_there for caller in crowd[1:])


def test_someone_else_at_a_configured_identity_is_not_spoken_with() -> None:
    subject = Subject(peers=(KnownPeer(FRIEND, "friend", bytes(31) + b"\1"),))
    impostor = Puppet(subject, "impostor", dial=subject.dials[0])
    assert not impostor.is_there
    assert subject.told("peer-wrong-identity")


def test_a_name_is_used_only_for_who_has_proven_to_be_met_there() -> None:
    subject = knowing()
    Puppet(subject, "friend", dial=subject.dials[0])
    assert subject.told("peer-connected")[0].startswith("peer friend: ")
    Puppet(subject, "other", host="203.0.113.2")
    assert "friend" not in subject.told("peer-connected")[1].partition("(")[0]


def test_peers_are_added_and_removed_by_hand() -> None:
    subject = Subject()
    assert command(subject, "add", "192.0.2.1:9000") == {"address": "192.0.2.1:9000", "new": True}
    assert (subject.dials[-1].host, subject.dials[-1].port) == ("192.0.2.1", 9_000)
    peer = Puppet(subject, dial=subject.dials[-1])
    assert command(subject, "remove", "192.0.2.1:9000") == {"address": "192.0.2.1:9000"}
    assert not peer.is_there
    for refused in (command(subject, "remove", "192.0.2.1:9000"), command(subject, "add", "no address")):
        assert isinstance(refused, Refuse)
        assert refused.hint


def test_a_ban_by_hand_ends_the_connection_and_is_lifted_by_hand() -> None:
    subject = Subject()
    peer = Puppet(subject)
    command(subject, "ban", "198.51.100.7")
    assert not peer.is_there
    assert not Puppet(subject).is_there
    command(subject, "unban", "198.51.100.7")
    assert Puppet(subject).is_there


def test_without_discovery_no_address_is_asked_for_nor_kept() -> None:
    subject = Subject()
    peer = Puppet(subject)
    peer.say(Addresses((Address("192.0.2.77", 9_000, 1),)))
    subject.pass_time(60_000)
    assert not peer.all(GetAddresses)
    assert not subject.dials


def test_with_discovery_an_address_that_was_told_of_is_dialled_and_asked_for_once_a_minute() -> None:
    subject = Subject(discovery=True)
    peer = Puppet(subject)
    assert len(peer.all(GetAddresses)) == 1
    peer.say(Addresses((Address("192.0.2.77", 9_000, 1),)))
    subject.pass_time(60_000)
    assert ("192.0.2.77", 9_000) in [(dial.host, dial.port) for dial in subject.dials]
    peer.say(GetAddresses(), GetAddresses(), GetAddresses())
    assert len(peer.all(Addresses)) == 1


def test_a_clock_that_was_set_right_is_noticed_without_a_new_connection() -> None:
    subject = Subject(mode="on")
    Puppet(subject, clock_ms=3_600_000)
    assert subject.mining is None
    assert "3600 s off" in subject.core.links.clock_complaint(subject.now())
    subject.wall_ms += 3_600_000
    subject.pass_time(2_000)
    assert subject.core.links.clock_complaint(subject.now()) == ""
    assert subject.mining is not None


def test_callers_with_wrong_clocks_stop_nobody_however_many_they_are() -> None:
    subject = Subject(mode="on", peers=(KnownPeer(FRIEND, "friend", None),))
    Puppet(subject, "friend", dial=subject.dials[0])
    for number in range(10):
        Puppet(subject, f"caller {number}", host=f"203.0.113.{number}", clock_ms=3_600_000)
    assert subject.core.links.clock_complaint(subject.now()) == ""
    assert subject.mining is not None


def test_addresses_that_were_heard_of_are_not_believed_about_the_time_against_the_owners_peer() -> None:
    subject = Subject(mode="on", discovery=True, peers=(KnownPeer(FRIEND, "friend", None),))
    friend = Puppet(subject, "friend", dial=subject.dials[0])
    friend.say(Addresses(tuple(Address(f"192.0.{number}.7", 9_000, 1) for number in range(1, 6))))
    subject.pass_time(60_000)
    liars = [dial for dial in subject.dials if dial.host.startswith("192.0.")]
    assert len(liars) > 2
    for number, dial in enumerate(liars):
        Puppet(subject, f"liar {number}", dial=dial, clock_ms=3_600_000)
    assert subject.core.links.clock_complaint(subject.now()) == ""
    assert subject.mining is not None


def test_who_leaves_is_told_of() -> None:
    subject = Subject()
    peer = Puppet(subject)
    subject.take(PeerGone(peer.number, "closed by the peer"))
    assert "disconnected (closed by the peer)" in subject.told("peer-gone")[0]
    assert [one.fields for one in subject.notices if one.kind == "peer-gone"] == [{"was_open": True}]


def test_a_stranger_who_leaves_without_a_greeting_is_told_of_as_one() -> None:
    subject = Subject()
    stranger = Puppet(subject, greets=False)
    subject.take(PeerGone(stranger.number, "closed by the peer"))
    assert [one.fields for one in subject.notices if one.kind == "peer-gone"] == [{"was_open": False}]
