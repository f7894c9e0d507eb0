"""A name stands only for the identity that has proven itself."""

from __future__ import annotations

from node.endpoint import Endpoint
from node.peers import Meeting, Names, short_identity
from tests.peers.common import BOB, EVE, FAR, HOME


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
    names.remember(FAR, BOB)
    assert names.met() == []
    assert names.expected(FAR) is None
