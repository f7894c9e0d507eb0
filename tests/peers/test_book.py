"""The peer book as one: blame and bans, and the file of it all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.endpoint import Endpoint, EndpointError
from node.peers import PeerBook, Verdict
from node.sealed import Unreadable, seal
from tests.peers.common import ANN, BOB, DAY, EVE, FAR, HOUR, MINUTE, SECOND, WALL, Low, hear, hosts

# ------------------------------------------------------------------------------------------------------ blame


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


def test_a_hundred_points_are_a_ban_of_the_host_for_a_day() -> None:
    book = peers()
    assert charge(book, 60) is Verdict.STAYS
    assert charge(book, 39) is Verdict.STAYS
    assert book.banned(FAR.host, EVE, WALL) is None
    assert charge(book, 1) is Verdict.BAN
    ban = book.banned(FAR.host, None, WALL + DAY - 1)
    assert ban is not None
    assert (ban.until_ms, ban.reason, ban.by_hand) == (WALL + DAY, "spam", False)
    assert book.banned(FAR.host, BOB, WALL) is not None
    assert book.banned(FAR.host, None, WALL + DAY) is None
    assert book.banned("198.51.100.99", BOB, WALL) is None


def test_whoever_stands_between_two_nodes_cannot_have_one_banned_by_the_other() -> None:
    """It hands on their handshake, and says something bad in the name of the one who has proven itself."""
    book = peers()
    assert charge(book, 100, host="192.0.2.66", identity=ANN) is Verdict.BAN
    assert book.banned("192.0.2.66", None, WALL) is not None
    assert book.banned("198.51.100.99", ANN, WALL) is None


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
    assert book.banned("192.0.2.1", None, WALL) is not None
    assert book.banned(FAR.host, None, WALL) is None


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


def test_a_peer_that_is_configured_by_a_name_is_known_by_the_dial() -> None:
    book = peers()
    shop = Endpoint("shop.example", 9000)
    book.configure(shop)
    assert charge(book, 100, identity=EVE, dialled=shop) is Verdict.DISCONNECT
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
    book.ban("192.0.2.1", "by hand", WALL - HOUR)
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


# ------------------------------------------------------------------------------------------------------- file


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


@pytest.mark.parametrize("target", ["x", "example.org", "ab" * 31, "10.0.0"])
def test_only_an_address_or_a_node_id_can_be_banned(target: str) -> None:
    book = PeerBook(Low(), loopback_only=False)
    with pytest.raises(EndpointError):
        book.ban(target, "by hand", 0)
    assert not book.bans(0)
