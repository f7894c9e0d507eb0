"""The units of the plots, chosen in the browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

MINUTE = 60_000


@pytest.mark.parametrize(
    "spans, unit, scale",
    [
        ([], "Seconds", 1_000),
        ([None, 0], "Seconds", 1_000),
        ([15_000, None, 999_999], "Seconds", 1_000),
        ([15_000, 1_000_000], "Minutes", MINUTE),
        ([179 * MINUTE], "Minutes", MINUTE),
        ([None, 180 * MINUTE, 15_000], "Hours", 60 * MINUTE),
    ],
)
def test_spans_of_thousands_of_seconds_are_minutes_or_hours(
    scripts: Page, spans: list[int | None], unit: str, scale: int
) -> None:
    found = scripts.evaluate(
        "async (spans) => (await import('/static/js/plot-units.js')).unitOf(spans)", spans
    )
    assert found == {"name": unit, "scale": scale}
