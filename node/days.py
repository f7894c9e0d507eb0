"""Days of this machine's time zone. Asks the system's zone and clock, and nothing else."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from node.takings import Span


def today() -> date:
    """Return the day that it is here."""
    return datetime.now().astimezone().date()


def span_of(day: date) -> Span:
    """Return a day's span, whatever the clocks did in it. Raises ValueError, OverflowError: no calendar's."""
    bounds = (datetime.combine(each, time()).astimezone() for each in (day, day + timedelta(days=1)))
    first, last = (int(moment.timestamp()) * 1_000 for moment in bounds)
    if first < 0:
        raise ValueError("before 1970")
    return Span(first, last)
