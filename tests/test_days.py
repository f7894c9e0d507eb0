"""Days of the local zone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date

import pytest

from node import days


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Berlin: one hour ahead of UTC in November, two in summer."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("zone")
def test_a_day_is_the_local_zones_however_many_hours_it_has() -> None:
    hours = {
        day: (span.to_ms - span.from_ms) // 3_600_000
        for day in ("2026-03-29", "2026-06-01", "2026-10-25")
        for span in [days.span_of(date.fromisoformat(day))]
    }
    assert hours == {"2026-03-29": 23, "2026-06-01": 24, "2026-10-25": 25}
    assert days.span_of(date(2026, 11, 22)).from_ms == 1_795_302_000_000


@pytest.mark.usefixtures("zone")
def test_today_is_within_its_own_span() -> None:
    before_ms = time.time_ns() // 1_000_000
    today = days.span_of(days.today())
    after_ms = time.time_ns() // 1_000_000
    assert today.holds(before_ms) or today.holds(after_ms), "at midnight it is one of them"


def test_no_day_is_before_the_first_of_all_times() -> None:
    with pytest.raises(ValueError, match="before 1970"):
        days.span_of(date(1969, 12, 30))
