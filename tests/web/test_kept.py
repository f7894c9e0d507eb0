"""What is kept by its hash: made once, and forgotten when others were asked for."""

from __future__ import annotations

import pytest

from node.web.kept import Kept


def test_what_is_kept_is_made_once_also_where_it_is_empty() -> None:
    made: list[bytes] = []

    def make(name: bytes) -> bytes:
        made.append(name)
        return name

    kept: Kept[bytes] = Kept(8)
    assert [kept.of(name, make) for name in (b"a", b"a", b"", b"")] == [b"a", b"a", b"", b""]
    assert made == [b"a", b""]


def test_what_cannot_be_made_is_tried_again() -> None:
    kept: Kept[int] = Kept()

    def broken(name: bytes) -> int:
        raise LookupError(name)

    with pytest.raises(LookupError):
        kept.of(b"a", broken)
    assert kept.of(b"a", len) == 1


def test_it_is_bounded() -> None:
    made: list[bytes] = []

    def make(name: bytes) -> int:
        made.append(name)
        return len(name)

    kept: Kept[int] = Kept(4)
    names = [bytes([at]) for at in range(40)]
    for name in (*names, names[0]):
        kept.of(name, make)
    assert made == [*names, names[0]]
