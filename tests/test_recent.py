"""A bounded memory of what happened lately."""

from __future__ import annotations

from node.recent import Recent


def test_the_oldest_is_forgotten_beyond_the_bound() -> None:
    recent: Recent[int, str] = Recent(2)
    for number in (1, 2, 3):
        recent.note(number, str(number))
    assert 1 not in recent
    assert [recent.get(number) for number in (2, 3)] == ["2", "3"]
    assert len(recent) == 2


def test_what_is_noted_again_is_the_newest() -> None:
    recent: Recent[int, str] = Recent(2)
    for number in (1, 2, 1, 3):
        recent.note(number, "")
    assert 1 in recent
    assert 2 not in recent


def test_what_is_forgotten_is_given_back_once() -> None:
    recent: Recent[int, str] = Recent(2)
    recent.note(1, "one")
    assert recent.forget(1) == "one"
    assert recent.forget(1) is None


def test_its_keys_are_as_they_are_now_also_after_all_was_forgotten() -> None:
    recent: Recent[int, str] = Recent(2)
    keys = recent.keys
    for number in (1, 2, 3):
        recent.note(number, "")
    assert list(keys) == [2, 3]
    recent.clear()
    assert 3 not in keys
    recent.note(4, "")
    assert list(keys) == [4]
