"""The report of a healing as it is told to others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.heal_report import REPORT_NAME, in_short, last_report


@pytest.mark.parametrize("made, told, left_out", [(0, 0, 0), (200, 200, 0), (203, 200, 3)])
def test_an_answer_has_the_first_changes_and_counts_the_others(made: int, told: int, left_out: int) -> None:
    changes = [{"table": "main", "key": {"height": str(at)}, "fields": []} for at in range(made)]
    found = in_short({"ok": True, "changes": changes})
    assert found == {"ok": True, "changes": changes[:told], "changes_left_out": left_out}


def test_a_report_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert last_report(tmp_path) is None
    (tmp_path / REPORT_NAME).write_text("[")
    assert last_report(tmp_path) is None
    (tmp_path / REPORT_NAME).write_text(json.dumps({"ok": True}))
    assert last_report(tmp_path) == {"ok": True}
