"""The day at the counter, as the command shows it."""

from __future__ import annotations

import pytest

from node.cli import counter
from tests.cli.conftest import BOB, Shell, address
from tests.fake_node import OWNER

DAY = "2023-11-14"
"""Of the chain of these tests, which begins at 22:13:20 UTC."""


def test_a_day_tells_what_came_in_and_from_whom_and_what_is_pending_apart(shell: Shell) -> None:
    found = shell.ask("today", "--date", DAY)
    assert (found["address"], found["date"]) == (address(OWNER), DAY)
    assert (found["in"], found["out"], found["fees"], found["rewards"]) == (0, 7_50, 2, 150_00)
    assert found["entries"] == 5
    assert found["by"] == [{"address": address(BOB), "in": 0, "out": 7_50, "entries": 1}]
    assert (found["pending"]["out"], found["pending"]["entries"]) == (1_00, 1)
    assert found["to_ms"] - found["from_ms"] == 86_400_000


def test_any_account_can_be_asked_for(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter, "_PAGE", 1)  # in parts
    found = shell.ask("today", "--date", DAY, "--account", address(BOB))
    assert (found["in"], found["rewards"], found["entries"]) == (7_50, 50_02, 2)
    assert found["pending"]["in"] == 1_00
    shell.ask("contact", "add", "bob", address(BOB))
    assert shell.ask("today", "--date", DAY, "--account", "bob") == found
    assert shell.fail("today", "--account", "nobody", status=2)["code"] == "bad-address"


def test_another_day_is_empty_and_today_is_the_default(shell: Shell) -> None:
    found = shell.ask("today", "--date", "2023-11-15")
    assert (found["in"], found["out"], found["entries"], found["by"]) == (0, 0, 0, [])
    assert shell.ask("today")["entries"] == 0
    assert "nothing" not in shell.type("today").stdout.split("pending")[0]


@pytest.mark.parametrize("word", ["yesterday", "2023-13-01", "9999-12-31", "0001-01-01", ""])
def test_what_is_no_day_is_refused_with_the_way_to_write_one(shell: Shell, word: str) -> None:
    result = shell.type("--json", "today", "--date", word)
    if result.exit_code:
        assert (result.exit_code, "bad-date" in result.stderr) == (2, True)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("columns", [40, 80])
def test_people_see_amounts_in_units_and_names(shell: Shell, columns: int) -> None:
    shell.ask("contact", "add", "bob", address(BOB))
    said = shell.type("today", "--date", DAY, columns=columns).stdout
    assert "taken in" in said
    assert "7.50" in said
    assert "bob" in said
    assert "1 entry: 0.00 TEST in, 1.00 TEST out" in " ".join(said.split())
