"""Entries that peers told of: asked of one at a time, in windows, and of others when one does not deliver."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from node.events import Now
from node.fetching import Fetching, TooManyTold

A, B, C = 1, 2, 3


def txid(number: int) -> bytes:
    return number.to_bytes(32, "big")


class World:
    """What is asked, and a clock."""

    def __init__(self) -> None:
        self.known: dict[bytes, None] = {}
        self.asked: list[tuple[int, bytes]] = []
        self.room = 100_000
        self.ms = 0
        self.fetching = Fetching(self.known.__contains__, lambda: self.room, self.ask)
        for connection in (A, B, C):
            self.fetching.opened(connection)

    def now(self) -> Now:
        return Now(0, self.ms)

    def ask(self, connection: int, txids: Sequence[bytes]) -> None:
        self.asked += [(connection, one) for one in txids]

    def told(self, connection: int, *numbers: int) -> None:
        self.fetching.told(connection, [txid(number) for number in numbers], self.now())

    def wait(self, milliseconds: int) -> None:
        self.ms += milliseconds
        self.fetching.tick(self.now())

    def asked_of(self, connection: int) -> list[int]:
        return [int.from_bytes(one, "big") for whom, one in self.asked if whom == connection]


def test_what_two_tell_of_is_asked_of_one() -> None:
    world = World()
    world.told(A, 1, 2)
    world.told(B, 1, 2, 3)
    assert (world.asked_of(A), world.asked_of(B)) == ([1, 2], [3])


def test_what_is_known_is_not_asked_for() -> None:
    world = World()
    world.known[txid(1)] = None
    world.told(A, 1)
    assert not world.asked


def test_none_of_those_who_told_of_it_is_forgotten_where_several_do_not_deliver() -> None:
    world = World()
    for connection in (A, B, C):
        world.told(connection, 1)
    world.fetching.not_found(A, [txid(1)], world.now())
    world.wait(11_000)
    assert world.asked == [(A, txid(1)), (B, txid(1)), (C, txid(1))]


def test_who_does_not_answer_loses_its_turn_to_another_that_told_of_the_same() -> None:
    world = World()
    world.told(A, 1)
    world.told(B, 1)
    world.wait(9_000)
    assert not world.asked_of(B)
    world.wait(2_000)
    assert world.asked_of(B) == [1]
    world.wait(11_000)
    assert world.asked_of(A) == [1], "nobody else is left to ask"


def test_what_one_has_no_more_or_takes_along_is_asked_of_another_at_once() -> None:
    world = World()
    world.told(A, 1, 2)
    world.told(B, 1, 2)
    world.fetching.not_found(A, [txid(1)], world.now())
    assert world.asked_of(B) == [1]
    world.fetching.closed(A, world.now())
    assert world.asked_of(B) == [1, 2]


def test_not_found_of_one_who_was_not_asked_means_nothing() -> None:
    world = World()
    world.told(A, 1)
    world.fetching.not_found(B, [txid(1), txid(9)], world.now())
    assert world.asked == [(A, txid(1))]


def test_no_more_than_a_window_is_asked_of_one_and_it_moves_with_what_comes() -> None:
    world = World()
    world.told(A, *range(1_500))
    assert world.asked_of(A) == list(range(1_000))
    world.fetching.came([txid(number) for number in range(200)], world.now())
    assert world.asked_of(A) == list(range(1_200))


def test_nothing_is_asked_for_that_there_is_no_room_to_check() -> None:
    world = World()
    world.room = 0
    world.told(A, 1, 2)
    assert not world.asked
    world.room = 1
    world.fetching.go_on(world.now())
    assert world.asked_of(A) == [1]
    world.room = 10
    world.wait(1_500)
    assert world.asked_of(A) == [1, 2], "a tick looks too"


def test_a_peer_may_tell_of_the_same_as_often_as_it_likes() -> None:
    world = World()
    world.room = 0
    for _ in range(100):
        world.told(A, *range(1_000))
    world.room = 100_000
    world.fetching.go_on(world.now())
    assert world.asked_of(A) == list(range(1_000))


def test_who_tells_of_more_than_can_be_pending_is_not_believed() -> None:
    world = World()
    world.told(A, *range(60_000))
    with pytest.raises(TooManyTold):
        world.told(A, *range(60_000, 62_000))


def test_a_deadline_is_wanted_only_while_something_is_missing() -> None:
    world = World()
    assert world.fetching.deadline(world.now()) is None
    world.told(A, 1)
    assert world.fetching.deadline(world.now()) is not None
    world.fetching.came([txid(1)], world.now())
    assert world.fetching.deadline(world.now()) is None
