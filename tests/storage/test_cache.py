"""What was used last stays at hand, in bounded memory."""

from __future__ import annotations

from node.storage.cache import Cache


def test_the_last_things_used_are_at_hand() -> None:
    cache: Cache[int, str] = Cache(10)
    for number in range(1_000):
        cache.put(number, str(number))
        assert cache.get(0) == "0", "what is asked for again and again stays"
    assert [cache.get(number) for number in range(990, 1_000)] == [
        str(number) for number in range(990, 1_000)
    ]
    assert cache.get(500) is None


def test_it_is_bounded() -> None:
    cache: Cache[int, str] = Cache(10)
    for number in range(1_000):
        cache.put(number, "")
    assert sum(cache.get(number) is not None for number in range(1_000)) <= 21


def test_many_at_once_are_all_taken() -> None:
    cache: Cache[int, str] = Cache(10)
    cache.put(0, "old")
    cache.update(dict.fromkeys(range(50), "new"))
    assert [cache.get(number) for number in (0, 25, 49)] == ["new"] * 3


def test_nothing_is_left_once_it_is_cleared() -> None:
    cache: Cache[int, str] = Cache(1)
    for number in range(3):
        cache.put(number, "")
    cache.clear()
    assert [cache.get(number) for number in range(3)] == [None] * 3
