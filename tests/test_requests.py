"""The file of payment requests: private, whole, bounded, and never lost to two writers."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from node import requests
from node.asked import Request
from node.requests import RequestsError

ONE = Request("00000001", "bean1me", 7_50, "coffee ☕", 1, 2)


def add(folder: Path, number: int, *, is_final: bool = False) -> None:
    request = replace(ONE, name=f"{number:08x}", is_final=is_final)
    requests.change(folder, lambda before: [*before, request])


def test_what_is_written_is_read_again_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    assert requests.read(tmp_path) == []
    paid = replace(ONE, name="00000002", paid_by="ab" * 32, is_final=True)
    assert requests.change(tmp_path, lambda before: [*before, ONE, paid]) == [ONE, paid]
    assert requests.read(tmp_path) == [ONE, paid]
    assert stat.S_IMODE((tmp_path / "requests.json").stat().st_mode) == 0o600


def test_nothing_is_written_where_nothing_changes(tmp_path: Path) -> None:
    add(tmp_path, 1)
    before = (tmp_path / "requests.json").stat().st_ino
    requests.change(tmp_path, list)
    assert (tmp_path / "requests.json").stat().st_ino == before


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: add(tmp_path, number), range(40)))
    assert len(requests.read(tmp_path)) == 40


def test_the_oldest_finished_makes_room_and_an_open_one_never_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MAX_REQUESTS", 3)
    for number, is_final in ((1, False), (2, True), (3, True), (4, False)):
        add(tmp_path, number, is_final=is_final)
    assert [request.name[-1] for request in requests.read(tmp_path)] == ["1", "3", "4"]
    add(tmp_path, 5)
    with pytest.raises(RequestsError) as refused:
        add(tmp_path, 6)
    assert refused.value.code == "too-many-requests"
    assert [request.name[-1] for request in requests.read(tmp_path)] == ["1", "4", "5"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"version": 2, "requests": []}',
        '{"version": 1, "requests": [{}]}',
        '{"version": 1, "requests": [7]}',
        "[" * 100_000,
        *(
            json.dumps({"version": 1, "requests": [item]})
            for item in (
                {"name": "x", "address": "a", "amount": 1, "memo": "", "created_ms": 1, "expires_ms": 2}
                | {"paid_by": None, "is_final": False},
                {"name": "00000001", "address": "a", "amount": -1, "memo": "", "created_ms": 1}
                | {"expires_ms": 2, "paid_by": None, "is_final": False},
                {"name": "00000001", "address": "a", "amount": 1, "memo": 5, "created_ms": 1}
                | {"expires_ms": 2, "paid_by": None, "is_final": False},
                {"name": "00000001", "address": "a", "amount": 1, "memo": "", "created_ms": 1}
                | {"expires_ms": 2, "paid_by": "zz", "is_final": False},
            )
        ),
    ],
)
def test_a_file_past_use_is_named_with_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "requests.json").write_text(content)
    with pytest.raises(RequestsError) as refused:
        requests.read(tmp_path)
    assert (refused.value.code, "requests.json" in refused.value.message) == ("bad-requests", True)
    assert refused.value.hint
    with pytest.raises(RequestsError):
        add(tmp_path, 1)
    assert (tmp_path / "requests.json").read_text() == content
