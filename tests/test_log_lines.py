"""How lines of the log read, what is escaped, and how many of one kind go through."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.events import Level
from node.log_lines import LONGEST, Line, RateLimiter, Suppressed, as_json, as_text, escape

WHEN_MS = 1_795_363_384_567  # 2026-11-22 16:03:04 UTC


def line(text: str, level: int = Level.INFO, detail: str = "", **fields: object) -> Line:
    return Line(WHEN_MS, "block-connected", level, text, fields, detail)


def test_a_line_is_the_time_and_what_happened() -> None:
    told = as_text(line("peer bob: block 1042 9f3c… connected (12 entries, +2 ms)"), zone=UTC)
    assert told == "2026-11-22 16:03:04 peer bob: block 1042 9f3c… connected (12 entries, +2 ms)"


def test_the_time_is_local() -> None:
    assert as_text(line("x"), zone=timezone(timedelta(hours=5, minutes=30))).startswith(
        "2026-11-22 21:33:04 "
    )
    local = datetime.fromtimestamp(WHEN_MS // 1000).astimezone()
    assert as_text(line("x")) == f"{local:%Y-%m-%d %H:%M:%S} x"


@pytest.mark.parametrize(
    "level, shown",
    [
        (Level.DEBUG, "x"),
        (Level.INFO, "x"),
        (Level.WARNING, "WARNING x"),
        (Level.ERROR, "ERROR x"),
        (50, "ERROR x"),
    ],
)
def test_the_level_is_shown_from_warning_on(level: int, shown: str) -> None:
    assert as_text(line("x", level), zone=UTC) == f"2026-11-22 16:03:04 {shown}"


def test_colours_surround_the_time_and_what_matters() -> None:
    assert as_text(line("x"), zone=UTC, coloured=True) == "\x1b[2m2026-11-22 16:03:04\x1b[0m x"
    told = as_text(line("x", Level.ERROR), zone=UTC, coloured=True)
    assert told == "\x1b[2m2026-11-22 16:03:04\x1b[0m \x1b[31mERROR x\x1b[0m"


@pytest.mark.parametrize(
    "text, shown",
    [
        ("kaffé ☕ 100 %", "kaffé ☕ 100 %"),
        ("a\nb\r\tc", r"a\x0ab\x0d\x09c"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("\x7f\x9b31m", r"\x7f\x9b31m"),
        ("1.00\u202e001", r"1.00\u202e001"),
        ("a\u2028b\u200bc\ufeff", r"a\u2028b\u200bc\ufeff"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_could_forge_a_line_is_written_out(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text())
def test_whatever_peers_send_a_line_stays_one_printable_line(text: str) -> None:
    assert as_text(line(text), zone=UTC).isprintable()


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_whatever_peers_send_json_is_one_line_of_ascii_that_reads_back(
    text: str, fields: dict[str, object]
) -> None:
    told = as_json(Line(WHEN_MS, "kind", Level.INFO, text, fields))
    assert told.isascii()
    assert told.isprintable()
    assert json.loads(told) == {
        "time_ms": WHEN_MS,
        "kind": "kind",
        "level": "info",
        "text": text if len(text) <= LONGEST else text[:LONGEST] + "…",
        "fields": fields,
    }


def test_a_very_long_line_is_cut_and_the_cut_is_shown() -> None:
    assert as_text(line("x" * 5_000), zone=UTC) == "2026-11-22 16:03:04 " + "x" * 4_000 + "…"
    assert json.loads(as_json(line("x" * 5_000)))["text"] == "x" * 4_000 + "…"


def test_a_traceback_of_ours_stands_indented_below_and_is_a_field_for_programs() -> None:
    told = line("it broke", Level.ERROR, "Traceback:\n  line \x1b[1m")
    assert (
        as_text(told, zone=UTC) == "2026-11-22 16:03:04 ERROR it broke\n    Traceback:\n      line \\x1b[1m"
    )
    assert json.loads(as_json(told))["detail"] == "Traceback:\n  line \x1b[1m"


def test_the_first_hundred_lines_go_through_at_once_and_then_ten_a_second() -> None:
    limiter = RateLimiter()
    assert sum(limiter.allows("a", Level.INFO, 5_000) for _ in range(150)) == 100
    assert sum(limiter.allows("a", Level.INFO, 6_000) for _ in range(150)) == 10
    assert sum(limiter.allows("a", Level.INFO, 60_000) for _ in range(150)) == 100


def test_one_place_does_not_use_up_what_another_may_say() -> None:
    limiter = RateLimiter(burst=1)
    assert limiter.allows("a", Level.INFO, 0)
    assert not limiter.allows("a", Level.INFO, 0)
    assert limiter.allows("b", Level.INFO, 0)


def test_what_is_held_back_is_told_of_when_the_window_is_over() -> None:
    limiter = RateLimiter(burst=1, interval_ms=100_000)
    assert limiter.deadline() is None
    limiter.allows("block-connected", Level.INFO, 1_000)
    limiter.allows("block-connected", Level.INFO, 2_000)
    limiter.allows("block-connected", Level.WARNING, 3_000)
    assert limiter.deadline() == 12_000
    assert limiter.due(11_999) == []
    assert limiter.due(12_000) == [Suppressed("block-connected", 2, 10_000, Level.WARNING)]
    assert limiter.deadline() is None
    assert limiter.due(99_000) == []


def test_at_the_end_all_that_is_held_back_is_told_of() -> None:
    limiter = RateLimiter(burst=1, interval_ms=100_000)
    for place in ("a", "a", "b", "b"):
        limiter.allows(place, Level.INFO, 1_000)
    assert limiter.due(1_000, at_once=True) == [
        Suppressed("a", 1, 0, Level.INFO),
        Suppressed("b", 1, 0, Level.INFO),
    ]


def test_the_suppression_is_announced_in_words_and_in_fields() -> None:
    told = Suppressed("block-connected", 812, 10_004, Level.INFO).line(WHEN_MS)
    assert told.text == "block-connected: 812 more lines like this in the last 10 s"
    assert told.fields == {"place": "block-connected", "lines": 812, "for_ms": 10_004}
    assert Suppressed("a", 1, 3, Level.INFO).line(WHEN_MS).text == "a: 1 more line like this in the last 1 s"


@given(st.lists(st.integers(0, 3_000), max_size=400))
def test_no_span_of_time_has_more_lines_than_the_allowance(gaps: list[int]) -> None:
    limiter, now_ms, through = RateLimiter(burst=5, interval_ms=100), 0, []
    for gap in gaps:
        now_ms += gap
        if limiter.allows("a", Level.INFO, now_ms):
            through.append(now_ms)
    for first, start in enumerate(through):
        assert all(n + 1 <= 5 + (end - start) // 100 + 1 for n, end in enumerate(through[first:]))
