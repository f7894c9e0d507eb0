"""The peer book: whom to dial and when, blame and bans, names, and the file of it all."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.endpoint import Endpoint, EndpointError, is_loopback
from node.peers import (
    AddressBook,
    Meeting,
    Names,
    PeerBook,
    Verdict,
    clock_is_off,
    keep_new,
    median_offset,
    short_identity,
)
from node.sealed import Unreadable, seal

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WALL = 1_700_000_000_000
ANN, BOB, EVE = b"\x0a" * 32, b"\x0b" * 32, b"\x0e" * 32
HOME = Endpoint("127.0.0.1", 9001)
FAR = Endpoint("198.51.100.7", 9000)


class Low:
    """Dice that always fall on 0."""

    def randrange(self, stop: int, /) -> int:
        assert stop > 0
        return 0


class High:
    """Dice that always fall on the highest."""

    def randrange(self, stop: int, /) -> int:
        return stop - 1


def addresses(*, wanted: int = 8, max_addresses: int = 2_000, max_per_source: int = 200) -> AddressBook:
    return AddressBook(
        Low(),
        loopback_only=False,
        wanted=wanted,
        max_addresses=max_addresses,
        max_per_source=max_per_source,
    )


def dials(book: AddressBook, mono_ms: int, banned: Iterable[str] = ()) -> list[Endpoint]:
    return book.next_dials(mono_ms, lambda host: host in banned)


def hosts(count: int, first: int = 1) -> list[tuple[str, int]]:
    return [(f"203.0.113.{number}", 9000) for number in range(first, first + count)]


def hear(book: AddressBook, told: list[tuple[str, int]], *, source: str = "198.51.100.1") -> int:
    return book.hear(told, source=source, from_host=source, wall_ms=WALL)


# --------------------------------------------------------------------------------------------- dialling


def test_a_configured_address_is_dialled_at_once_and_not_twice() -> None:
    book = addresses()
    assert book.configure(HOME)
    assert not book.configure(HOME)
    assert book.next_deadline() == 0
    assert dials(book, 5) == [HOME]
    assert dials(book, 10**9) == []
    assert book.next_deadline() is None


@pytest.mark.parametrize("dice, longest", [(Low(), 200 * SECOND), (High(), 300 * SECOND)])
def test_a_configured_peer_that_is_away_is_tried_after_one_second_then_ever_later_up_to_five_minutes(
    dice: Low | High, longest: int
) -> None:
    book = AddressBook(dice, loopback_only=True)
    book.configure(HOME)
    mono, delays = 0, []
    for failure in range(1, 60):
        assert dials(book, mono) == [HOME]
        assert book.failed(HOME, mono) == failure
        deadline = book.next_deadline()
        assert deadline is not None
        assert dials(book, deadline - 1) == []
        delays.append(deadline - mono)
        mono = deadline
    for delay, seconds in zip(delays, [1, 2, 4, 8, 16, 32, 64, 128, 200, 200], strict=False):
        assert seconds * SECOND <= delay <= seconds * SECOND * 3 // 2
    assert delays[-1] == longest


def test_a_connection_that_lasted_is_tried_again_soon_and_a_short_one_later_and_later() -> None:
    book = addresses()
    book.configure(HOME)
    for _ in range(5):
        dials(book, 0)
        book.failed(HOME, -(10**9))
    assert dials(book, 0) == [HOME]
    assert book.ended(HOME, 0, lasted_ms=59 * SECOND) == 6
    assert book.next_deadline() == 32 * SECOND
    assert dials(book, 32 * SECOND) == [HOME]
    assert book.ended(HOME, 100 * SECOND, lasted_ms=60 * SECOND) == 0
    assert book.next_deadline() == 101 * SECOND


def test_what_was_only_heard_of_is_tried_less_often_and_forgotten_when_it_never_worked() -> None:
    book = addresses()
    hear(book, [FAR])
    deadlines = []
    mono = 0
    for _ in range(4):
        assert dials(book, mono) == [FAR]
        book.failed(FAR, mono)
        deadline = book.next_deadline()
        deadlines.append(None if deadline is None else deadline - mono)
        mono = deadline or 0
    assert deadlines == [30 * SECOND, 60 * SECOND, 120 * SECOND, None]
    assert len(book) == 0


def test_what_worked_once_is_forgotten_after_many_failures() -> None:
    book = addresses()
    hear(book, [FAR])
    dials(book, 0)
    book.worked(FAR, WALL)
    for failure in range(1, 20):
        assert book.failed(FAR, 0) == failure
    assert book.next_deadline() == 40 * MINUTE
    book.failed(FAR, 0)
    assert len(book) == 0


def test_what_becomes_of_an_unknown_address_is_nothing() -> None:
    book = addresses()
    assert book.failed(FAR, 0) == 0
    assert book.ended(FAR, 0, lasted_ms=DAY) == 0
    book.worked(FAR, WALL)
    book.left(FAR)
    assert not book.deconfigure(FAR)
    assert len(book) == 0


def test_no_more_are_dialled_than_wanted_but_configured_ones_always_are() -> None:
    book = addresses(wanted=3)
    hear(book, hosts(10))
    for port in range(1, 3):
        book.configure(Endpoint("127.0.0.1", port))
    first = dials(book, 0)
    assert [one.host for one in first[:2]] == ["127.0.0.1"] * 2
    assert len(first) == 3
    assert dials(book, 10**9) == []
    assert book.next_deadline() is None
    for port in range(3, 6):
        book.configure(Endpoint("127.0.0.1", port))
    assert len(dials(book, 0)) == 3
    book.failed(first[-1], 0)
    assert dials(book, 10**9) == []


def test_which_of_those_heard_of_is_dialled_is_left_to_the_dice() -> None:
    chosen: dict[Endpoint, None] = {}
    for seed in range(20):
        book = AddressBook(Random(seed), loopback_only=False, wanted=1)
        hear(book, hosts(10))
        chosen |= dict.fromkeys(dials(book, 0))
    assert len(chosen) > 3


def test_who_has_connected_to_us_is_not_dialled_until_it_leaves() -> None:
    book = addresses()
    book.configure(HOME)
    book.called(HOME, WALL)
    assert dials(book, 0) == []
    assert book.next_deadline() is None
    book.left(HOME)
    assert dials(book, 0) == [HOME]


def test_who_has_connected_to_us_is_known_from_then_on() -> None:
    book = addresses()
    book.called(FAR, WALL)
    book.left(FAR)
    assert dials(book, 0) == [FAR]
    assert [told.endpoint for told in book.sample(10, "198.51.100.1", WALL)] == [FAR]


def test_a_node_never_dials_itself() -> None:
    book = addresses()
    book.configure(HOME)
    hear(book, [FAR])
    book.mark_own(HOME)
    book.mark_own(FAR)
    hear(book, [FAR])
    assert dials(book, 0) == []
    assert book.next_deadline() is None


def test_a_banned_host_is_passed_over_and_looked_at_again_later() -> None:
    book = addresses()
    book.configure(FAR)
    assert dials(book, 0, banned=[FAR.host]) == []
    assert book.next_deadline() == 200 * SECOND
    assert dials(book, 200 * SECOND) == [FAR]


def test_a_configured_address_can_be_taken_out_again() -> None:
    book = addresses()
    book.configure(HOME)
    assert book.is_configured(HOME)
    assert book.configured_host("127.0.0.1")
    assert book.deconfigure(HOME)
    assert not book.is_configured(HOME)
    assert dials(book, 0) == []


def test_an_address_heard_of_can_become_a_configured_one() -> None:
    book = addresses(max_per_source=1)
    hear(book, [FAR])
    book.configure(FAR)
    assert len(book) == 1
    assert hear(book, [FAR]) == 0
    assert hear(book, hosts(1)) == 1


# ----------------------------------------------------------------------------------------- what is heard


@pytest.mark.parametrize(
    "host, everywhere, loopback_only",
    [
        ("127.0.0.1", True, True),
        ("127.8.9.10", True, True),
        ("::1", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("192.168.1.5", True, False),
        ("10.0.0.1", True, False),
        ("8.8.8.8", True, False),
        ("2001:db8::1", True, False),
        ("fd00::1", True, False),
        ("::ffff:8.8.8.8", True, False),
        ("0.0.0.0", False, False),  # noqa: S104 - an address that must be refused
        ("::", False, False),
        ("::ffff:0.0.0.0", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("255.255.255.255", False, False),
        ("240.0.0.1", False, False),
        ("169.254.1.1", False, False),
        ("fe80::1", False, False),
        ("fe80::1%eth0", False, False),
        ("::1%lo", False, False),
        ("localhost", False, False),
        ("shop.example", False, False),
        ("1.2.3", False, False),
        ("01.2.3.4", False, False),
        ("", False, False),
        ("[::1]", False, False),
        (" 8.8.8.8", False, False),
    ],
)
def test_only_addresses_of_one_machine_are_dialled_when_heard_of(
    host: str, everywhere: bool, loopback_only: bool
) -> None:
    assert AddressBook(Low(), loopback_only=False).dialable(host) is everywhere
    assert AddressBook(Low(), loopback_only=True).dialable(host) is loopback_only


def test_on_a_network_of_this_machine_nothing_beyond_it_is_heard_but_what_is_configured_is_dialled() -> None:
    book = AddressBook(Low(), loopback_only=True)
    told: list[tuple[str, int]] = [HOME, *hosts(3)]
    assert book.hear(told, source="a peer", from_host="127.0.0.1", wall_ms=WALL) == 1
    book.configure(Endpoint("shop.example", 9000))
    assert set(dials(book, 0)) == {HOME, Endpoint("shop.example", 9000)}


def test_others_cannot_make_us_dial_this_machine() -> None:
    assert hear(addresses(), [("127.0.0.1", 22), ("::1", 22), ("::ffff:127.0.0.1", 22)]) == 0


@pytest.mark.parametrize("port", [0, -1, 65_536, 2**40])
def test_a_port_out_of_range_is_not_heard(port: int) -> None:
    assert hear(addresses(), [("8.8.8.8", port)]) == 0


def test_one_address_in_two_forms_is_one_address() -> None:
    book = addresses()
    assert (
        hear(book, [("2001:db8:0:0::1", 9000), ("2001:DB8::1", 9000), ("::ffff:8.8.8.8", 1), ("8.8.8.8", 1)])
        == 2
    )


def test_one_host_cannot_fill_the_book_whatever_identities_it_takes() -> None:
    book = addresses(max_per_source=5)
    for identity in range(10):
        book.hear(hosts(100, identity * 10), source=f"{identity}", from_host="198.51.100.1", wall_ms=WALL)
    assert len(book) == 5
    assert hear(book, hosts(9, 200), source="198.51.100.2") == 5


def test_nodes_on_this_machine_count_each_for_itself() -> None:
    book = addresses(max_per_source=2)
    for identity in range(3):
        told = [("127.0.0.1", 100 * identity + port) for port in range(1, 9)]
        book.hear(told, source=f"{identity}", from_host="127.0.0.1", wall_ms=WALL)
    assert len(book) == 6


def test_a_full_book_forgets_the_stalest_of_a_few() -> None:
    book = addresses(max_addresses=4)
    told = hosts(4)
    hear(book, told)
    for host, port in told[1:]:
        book.called(Endpoint(host, port), WALL)
        book.left(Endpoint(host, port))
    assert hear(book, [FAR]) == 1
    assert len(book) == 4
    assert Endpoint(*told[0]) not in [known.endpoint for known in book.saved()]


def test_a_full_book_keeps_those_that_it_is_connected_to() -> None:
    book = addresses(max_addresses=2)
    hear(book, hosts(2))
    connected = dials(book, 0)
    assert hear(book, [FAR]) == 0
    assert sorted(known.endpoint for known in book.saved()) == sorted(connected)


def test_without_discovery_only_configured_addresses_are_kept() -> None:
    book = AddressBook(Low(), loopback_only=False, discovery=False)
    assert hear(book, hosts(3)) == 0
    book.called(FAR, WALL)
    book.configure(HOME)
    assert dials(book, 0) == [HOME]


# ----------------------------------------------------------------------------------------- what is told


def test_others_are_told_of_what_worked_within_a_day() -> None:
    book = addresses()
    hear(book, hosts(3))
    for host, age in zip(hosts(3), (0, DAY, DAY + 1), strict=True):
        book.worked(Endpoint(*host), WALL - age)
    book.configure(FAR)
    book.worked(FAR, WALL)
    hear(book, [("203.0.113.99", 9000)])
    told = book.sample(10, "198.51.100.1", WALL)
    assert sorted(one.endpoint.host for one in told) == ["198.51.100.7", "203.0.113.1", "203.0.113.2"]
    assert {one.worked_ms for one in told} == {WALL, WALL - DAY}


def test_loopback_is_told_of_on_this_machine_alone_and_names_to_nobody() -> None:
    book = addresses()
    for endpoint in (HOME, Endpoint("localhost", 9002), Endpoint("shop.example", 9000)):
        book.configure(endpoint)
        book.worked(endpoint, WALL)
    assert book.sample(10, "198.51.100.1", WALL) == []
    assert [one.endpoint for one in book.sample(10, "127.0.0.1", WALL)] == [HOME]


def test_no_more_are_told_of_than_asked_for_each_once() -> None:
    book = AddressBook(Random(1), loopback_only=False)
    hear(book, hosts(50))
    for host in hosts(50):
        book.worked(Endpoint(*host), WALL)
    told = [one.endpoint for one in book.sample(20, "198.51.100.1", WALL)]
    assert len(told) == len(set(told)) == 20


# ------------------------------------------------------------------------------------------------ blame


def peers(*, loopback_only: bool = False) -> PeerBook:
    return PeerBook(Low(), loopback_only=loopback_only)


def charge(
    book: PeerBook,
    cost: int,
    *,
    host: str = "198.51.100.7",
    identity: bytes | None = EVE,
    mono_ms: int = 0,
    dialled: Endpoint | None = None,
) -> Verdict:
    return book.charge(host, identity, cost, "spam", mono_ms=mono_ms, wall_ms=WALL, dialled=dialled)


def test_a_hundred_points_are_a_ban_of_host_and_identity_for_a_day() -> None:
    book = peers()
    assert charge(book, 60) is Verdict.STAYS
    assert charge(book, 39) is Verdict.STAYS
    assert book.banned(FAR.host, EVE, WALL) is None
    assert charge(book, 1) is Verdict.BAN
    for host, identity in ((FAR.host, None), ("198.51.100.99", EVE)):
        ban = book.banned(host, identity, WALL + DAY - 1)
        assert ban is not None
        assert (ban.until_ms, ban.reason, ban.by_hand) == (WALL + DAY, "spam", False)
        assert book.banned(host, identity, WALL + DAY) is None
    assert book.banned("198.51.100.99", BOB, WALL) is None


def test_a_point_is_forgotten_every_minute() -> None:
    book = peers()
    charge(book, 99)
    assert book.score(FAR.host, EVE, 0) == 99
    assert book.score(FAR.host, EVE, 59 * SECOND) == 99
    assert book.score(FAR.host, EVE, MINUTE) == 98
    assert book.score(FAR.host, EVE, DAY) == 0
    assert charge(book, 2, mono_ms=2 * MINUTE) is Verdict.STAYS
    assert charge(book, 1, mono_ms=2 * MINUTE) is Verdict.BAN


def test_a_new_connection_or_a_new_identity_does_not_begin_anew() -> None:
    book = peers()
    charge(book, 50, identity=EVE)
    assert charge(book, 50, identity=BOB) is Verdict.BAN
    assert book.banned("192.0.2.1", EVE, WALL) is None


def test_a_new_host_does_not_begin_anew_with_the_same_identity() -> None:
    book = peers()
    charge(book, 50)
    assert charge(book, 50, host="192.0.2.1") is Verdict.BAN
    assert book.banned(FAR.host, None, WALL) is None
    assert book.banned(FAR.host, EVE, WALL) is not None


def test_a_peer_that_has_not_proven_its_identity_is_charged_by_its_host() -> None:
    book = peers()
    assert charge(book, 100, identity=None) is Verdict.BAN
    assert book.banned(FAR.host, None, WALL) is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("identity", [EVE, None])
def test_this_machine_is_never_banned_but_disconnected(host: str, identity: bytes | None) -> None:
    book = peers()
    assert charge(book, 100, host=host, identity=identity) is Verdict.DISCONNECT
    assert book.bans(WALL) == []
    assert charge(book, 99, host=host, identity=identity) is Verdict.STAYS


def test_nodes_on_this_machine_do_not_share_their_blame() -> None:
    book = peers()
    assert charge(book, 99, host="127.0.0.1", identity=EVE) is Verdict.STAYS
    assert charge(book, 99, host="127.0.0.1", identity=BOB) is Verdict.STAYS
    assert book.score("127.0.0.1", BOB, 0) == 99
    assert book.score("127.0.0.1", ANN, 0) == 0


def test_a_configured_peer_is_never_banned_wherever_it_comes_from() -> None:
    book = peers()
    book.configure(FAR, "bob", BOB)
    assert charge(book, 100, identity=BOB, dialled=FAR) is Verdict.DISCONNECT
    assert charge(book, 100, identity=None, dialled=FAR) is Verdict.DISCONNECT
    assert charge(book, 100, identity=BOB, host="192.0.2.1") is Verdict.DISCONNECT
    assert book.bans(WALL) == []


def test_who_only_shares_a_host_with_a_configured_peer_is_banned_alone() -> None:
    book = peers()
    book.configure(FAR, "bob", BOB)
    assert charge(book, 100, identity=EVE) is Verdict.BAN
    assert [ban.subject for ban in book.bans(WALL)] == [EVE.hex()]
    assert charge(book, 100, identity=None) is Verdict.DISCONNECT


def test_a_ban_does_not_hold_for_who_was_configured_since() -> None:
    book = peers()
    charge(book, 100, identity=BOB)
    book.configure(FAR, "bob", BOB)
    assert book.banned(FAR.host, BOB, WALL) is None
    assert book.banned(FAR.host, None, WALL) is None


def test_the_owner_may_ban_and_pardon_whom_they_like() -> None:
    book = peers()
    book.configure(FAR, "bob", BOB)
    assert book.ban("198.51.100.7", "by hand", WALL).subject == "198.51.100.7"
    assert book.ban(BOB.hex().upper(), "by hand", WALL).subject == BOB.hex()
    assert book.banned(FAR.host, None, WALL) is not None
    assert book.banned("192.0.2.1", BOB, WALL) is not None
    assert book.next_dials(0, WALL) == []
    assert {ban.subject for ban in book.bans(WALL)} == {FAR.host, BOB.hex()}
    assert book.unban(BOB.hex().upper())
    assert book.unban(FAR.host)
    assert not book.unban(FAR.host)
    assert book.banned(FAR.host, BOB, WALL) is None


@pytest.mark.parametrize(
    "target", ["", "a b", "1.2.3", "127.0.0.1", "localhost", "198.51.100.7:9000", "zz" * 40]
)
def test_a_ban_of_nothing_that_could_be_banned_is_refused_by_name(target: str) -> None:
    with pytest.raises(EndpointError):
        peers().ban(target, "by hand", WALL)


def test_a_ban_by_hand_is_not_shortened_by_one_for_a_fault() -> None:
    book = PeerBook(Low(), loopback_only=False, ban_ms=HOUR)
    book.ban("198.51.100.7", "by hand", WALL)
    charge(book, 100)
    ban = book.banned("198.51.100.7", None, WALL)
    assert ban is not None
    assert (ban.by_hand, ban.until_ms) == (True, WALL + HOUR)


def test_bans_are_bounded_and_those_by_hand_leave_last() -> None:
    book = peers()
    book.ban("192.0.2.1", "by hand", WALL)
    for number in range(1_100):
        charge(book, 100, host=f"10.0.{number // 256}.{number % 256}", identity=None)
    assert len(book.bans(WALL)) == 1_000
    assert book.banned("192.0.2.1", None, WALL) is not None


def test_scores_are_bounded() -> None:
    book = peers()
    for number in range(3_000):
        charge(book, 50, host=f"10.0.{number // 256}.{number % 256}", identity=None)
    assert book.score("10.0.0.0", None, 0) == 0
    assert book.score("10.0.11.183", None, 0) == 50


# ------------------------------------------------------------------------------------------------ names


def test_a_name_stands_for_the_identity_that_is_configured() -> None:
    names = Names()
    names.configure(FAR, "bob", BOB)
    assert names.meet(FAR, BOB) is Meeting.SAME
    assert names.meet(FAR, EVE) is Meeting.WRONG
    assert names.display_name(BOB, Endpoint("192.0.2.1", 5)) == "bob"
    assert names.display_name(EVE, FAR) == short_identity(EVE) == "0e0e0e0e"
    assert names.display_name(None, FAR) == "198.51.100.7:9000"


def test_without_a_configured_identity_the_first_that_answers_is_trusted() -> None:
    names = Names()
    names.configure(FAR, "bob")
    assert names.display_name(BOB, FAR) == short_identity(BOB)
    assert names.meet(FAR, BOB) is Meeting.FIRST
    assert names.meet(FAR, BOB) is Meeting.SAME
    assert names.display_name(BOB, HOME) == "bob"


def test_another_identity_at_a_known_address_goes_without_the_name() -> None:
    names = Names()
    names.configure(FAR, "bob")
    names.meet(FAR, BOB)
    assert names.meet(FAR, EVE) is Meeting.CHANGED
    assert names.meet(FAR, EVE) is Meeting.CHANGED
    assert names.display_name(EVE, FAR) == short_identity(EVE)
    assert names.display_name(BOB, FAR) == "bob"
    names.forget(FAR)
    names.configure(FAR, "bob")
    assert names.meet(FAR, EVE) is Meeting.FIRST


def test_where_no_name_is_at_stake_a_new_identity_is_nothing_special() -> None:
    names = Names()
    names.configure(FAR, str(FAR))
    assert names.meet(FAR, BOB) is Meeting.FIRST
    assert names.meet(FAR, EVE) is Meeting.FIRST
    assert names.display_name(EVE, FAR) == short_identity(EVE)
    assert names.endpoint_of(EVE) == FAR
    assert names.endpoint_of(BOB) is None


def test_an_address_that_is_not_configured_has_strangers() -> None:
    names = Names()
    assert names.meet(FAR, BOB) is Meeting.STRANGER
    assert names.met() == []
    assert names.expected(FAR) is None


# ------------------------------------------------------------------------------ what both ends work out


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.booleans(), st.booleans())
def test_both_ends_keep_the_same_connection(
    ours: bytes, theirs: bytes, new_ours: bool, old_ours: bool
) -> None:
    if ours == theirs:
        return
    here = keep_new(ours, theirs, new_dialled_by_us=new_ours, old_dialled_by_us=old_ours)
    there = keep_new(theirs, ours, new_dialled_by_us=not new_ours, old_dialled_by_us=not old_ours)
    assert here == there


@pytest.mark.parametrize(
    "ours, theirs, new_ours, old_ours, new_stays",
    [
        (ANN, BOB, True, False, True),
        (ANN, BOB, False, True, False),
        (BOB, ANN, True, False, False),
        (BOB, ANN, False, True, True),
        (ANN, BOB, True, True, False),
        (ANN, BOB, False, False, False),
    ],
)
def test_of_two_connections_the_one_that_the_smaller_identity_dialled_stays(
    ours: bytes, theirs: bytes, new_ours: bool, old_ours: bool, new_stays: bool
) -> None:
    assert keep_new(ours, theirs, new_dialled_by_us=new_ours, old_dialled_by_us=old_ours) is new_stays


@pytest.mark.parametrize(
    "offsets, median",
    [
        ([], 0),
        ([7], 7),
        ([3, 1, 2], 2),
        ([10, 20], 15),
        ([-3, 0], -2),
        ([1, 10**12, 2], 2),
        ([4, 4, 4, 10], 4),
    ],
)
def test_the_median_of_clocks(offsets: list[int], median: int) -> None:
    assert median_offset(offsets) == median


@pytest.mark.parametrize(
    "offsets, off",
    [
        ([], False),
        ([15_000], False),
        ([15_001], True),
        ([-15_000], False),
        ([-15_001], True),
        ([10**9, 0, 5], False),
    ],
)
def test_a_clock_is_off_by_more_than_half_the_drift(offsets: list[int], off: bool) -> None:
    assert clock_is_off(offsets, 30_000) is off


# ------------------------------------------------------------------------------------------------- file


def test_what_is_known_survives_a_restart() -> None:
    book = peers()
    book.configure(FAR, "bob")
    book.names.meet(FAR, BOB)
    added = Endpoint("shop.example", 9000)
    book.configure(added, by_hand=True)
    hear(book.addresses, hosts(2))
    book.addresses.worked(Endpoint(*hosts(1)[0]), WALL)
    charge(book, 100, host="192.0.2.1")
    book.ban("192.0.2.2", "by hand", WALL)

    again = peers()
    again.configure(FAR, "bob")
    again.load(book.dump(WALL))
    assert again.bans(WALL) == book.bans(WALL)
    assert again.names.display_name(BOB, FAR) == "bob"
    assert again.addresses.is_configured(added)
    assert not again.addresses.is_configured(Endpoint(*hosts(1)[0]))
    assert len(again.addresses) == 4
    assert [told.endpoint for told in again.addresses.sample(9, FAR.host, WALL)] == [Endpoint(*hosts(1)[0])]
    assert again.dump(WALL) == book.dump(WALL)


def test_bans_that_expired_are_not_kept() -> None:
    book = peers()
    charge(book, 100)
    again = peers()
    again.load(book.dump(WALL + DAY))
    assert again.bans(WALL) == []


def test_what_a_file_tells_is_held_to_the_same_rules() -> None:
    book = peers()
    hear(book.addresses, hosts(2))
    careful = peers(loopback_only=True)
    careful.load(book.dump(WALL))
    assert len(careful.addresses) == 0
    alone = PeerBook(Low(), loopback_only=False, discovery=False)
    alone.load(book.dump(WALL))
    assert len(alone.addresses) == 0


ENDPOINT = ("198.51.100.7", 9000)


@pytest.mark.parametrize(
    "body",
    [
        None,
        "text",
        [[], []],
        [[], [], 5],
        [[[1]], [], []],
        [[["host", "soon", "why", 0]], [], []],
        [[["host", 5, b"why", 0]], [], []],
        [[["host", True, "why", 0]], [], []],
        [[], [[*ENDPOINT, b"short"]], []],
        [[], [["host", 0, BOB]], []],
        [[], [["host", 65_536, BOB]], []],
        [[], [[5, 9000, BOB]], []],
        [[], [], [[*ENDPOINT, 0, "source", 5]]],
        [[], [], [[*ENDPOINT, 0, "source", 5, -1]]],
        [[], [], [[*ENDPOINT, 0, "source", 5, 2**53]]],
        [[], [], [[*ENDPOINT, "0", "source", 5, 5]]],
    ],
    ids=repr,
)
def test_a_file_that_holds_anything_else_is_refused_and_nothing_of_it_taken(body: object) -> None:
    book = peers()
    before = book.dump(WALL)
    with pytest.raises(Unreadable):
        book.load(seal(1, body))
    assert book.dump(WALL) == before


@given(st.binary(max_size=80))
def test_any_bytes_in_the_file_are_refused_by_name(content: bytes) -> None:
    with pytest.raises(Unreadable):
        peers().load(content)


# ------------------------------------------------------------------------------------------ a random life

endpoints = st.sampled_from(
    [Endpoint(f"203.0.113.{number}", 9000) for number in range(1, 7)]
    + [Endpoint("127.0.0.1", port) for port in (9000, 9001)]
)


class BookLife(RuleBasedStateMachine):
    """Addresses come, are dialled, fail and end in any order; the bounds and the deadlines hold."""

    @initialize(seed=st.integers(0, 99))
    def begin(self, seed: int) -> None:
        self.book = AddressBook(
            Random(seed), loopback_only=False, wanted=2, max_addresses=4, max_per_source=3
        )
        self.mono = 0
        self.out: list[Endpoint] = []
        self.configured: set[Endpoint] = set()

    @rule(told=st.lists(endpoints, max_size=5), source=st.sampled_from(["198.51.100.1", "127.0.0.1"]))
    def hear(self, told: list[Endpoint], source: str) -> None:
        before = len(self.book)
        new = self.book.hear(told, source=source, from_host=source, wall_ms=WALL)
        assert len(self.book) <= before + new

    @rule(endpoint=endpoints)
    def configure(self, endpoint: Endpoint) -> None:
        assert self.book.configure(endpoint) is (endpoint not in self.configured)
        self.configured.add(endpoint)

    @rule(endpoint=endpoints)
    def called(self, endpoint: Endpoint) -> None:
        self.book.called(endpoint, WALL)

    @rule(endpoint=endpoints)
    def left(self, endpoint: Endpoint) -> None:
        self.book.left(endpoint)

    @rule(step=st.sampled_from([0, SECOND, MINUTE, HOUR]))
    def dial(self, step: int) -> None:
        self.mono += step
        deadline = self.book.next_deadline()
        due = deadline is not None and deadline <= self.mono
        found = self.book.next_dials(self.mono, lambda host: host == "203.0.113.6")
        assert not found or due
        assert len(found) == len(set(found))
        assert not set(found) & set(self.out)
        self.out += found
        heard = [endpoint for endpoint in self.out if endpoint not in self.configured]
        assert len(heard) <= 2
        later = self.book.next_deadline()
        assert later is None or later > self.mono

    @rule(data=st.data(), lasted=st.sampled_from([0, 59 * SECOND, HOUR]))
    def end(self, data: st.DataObject, lasted: int) -> None:
        if self.out:
            endpoint = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
            self.book.ended(endpoint, self.mono, lasted)

    @rule(host=st.sampled_from(["127.0.0.1", "198.51.100.1"]))
    def sample(self, host: str) -> None:
        told = [one.endpoint for one in self.book.sample(3, host, WALL)]
        assert len(told) == len(set(told)) <= 3
        assert is_loopback(host) or not any(is_loopback(endpoint.host) for endpoint in told)

    @invariant()
    def bounds_hold(self) -> None:
        heard = [known for known in self.book.saved() if not known.configured]
        assert len(heard) <= 4
        assert len(self.book) == len(heard) + len(self.configured)
        for source in {known.source for known in heard}:
            count = sum(known.source == source for known in heard)
            assert count <= 3
            assert self.book._per_source[source] == count
        assert sum(self.book._per_source.values()) == len(heard)


TestBookLife = BookLife.TestCase
