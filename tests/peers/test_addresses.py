"""Where nodes may be reached: whom to dial and when, what is kept of what is heard, and who is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.endpoint import Endpoint, is_loopback
from node.peers import AddressBook
from tests.peers.common import DAY, FAR, HOME, HOUR, MINUTE, SECOND, WALL, High, Low, hear, hosts


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


# --------------------------------------------------------------------------------------------------- dialling


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


# ---------------------------------------------------------------------------------------------- what is heard


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


# ----------------------------------------------------------------------------------------------- what is told


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


# ---------------------------------------------------------------------------------------------- a random life


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
