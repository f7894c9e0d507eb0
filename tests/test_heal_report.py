"""The report of a healing as it is told to others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.heal import Healed
from node.heal_report import REPORT_NAME, in_short, last_report

REPORT = Healed(7, 8, 9).as_json() | {"time_ms": 1, "files": []}


@pytest.mark.parametrize("made, told, left_out", [(0, 0, 0), (200, 200, 0), (203, 200, 3)])
def test_an_answer_has_the_first_changes_and_counts_the_others(made: int, told: int, left_out: int) -> None:
    changes = [{"table": "main", "key": {"height": str(at)}, "fields": []} for at in range(made)]
    found = in_short({"ok": True, "changes": changes})
    assert found == {"ok": True, "changes": changes[:told], "changes_left_out": left_out}


def test_a_report_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert last_report(tmp_path) is None
    (tmp_path / REPORT_NAME).write_text("[")
    assert last_report(tmp_path) is None
    (tmp_path / REPORT_NAME).write_text(json.dumps(REPORT))
    assert last_report(tmp_path) == REPORT


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "5",
        '{"ok": true}',
        json.dumps(REPORT | {"changes": 5}),
        json.dumps(REPORT | {"changes": None}),
        json.dumps(REPORT | {"time_ms": "noon"}),
        json.dumps(REPORT | {"ok": 1}),
    ],
    ids=lambda text: text[:20],
)
def test_a_report_that_was_edited_keeps_nobody_from_starting(tmp_path: Path, text: str) -> None:
    (tmp_path / REPORT_NAME).write_text(text)
    assert last_report(tmp_path) is None
