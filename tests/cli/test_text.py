"""Values as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli import text


@pytest.mark.parametrize(
    "raw, shown",
    [
        ("plain ünïcode 日本 ☕ ❤\ufe0f", "plain ünïcode 日本 ☕ ❤\ufe0f"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\r\t\0", "a\\x0ab\\x0d\\x09\\x00"),
        ("\x7f\x85\x9f", "\\x7f\\x85\\x9f"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("a\u200bb\u2028c\ufeff", "a\\u200bb\\u2028c\\ufeff"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_what_a_terminal_would_act_on_is_escaped(raw: str, shown: str) -> None:
    assert text.printable(raw) == shown


@given(raw=st.text())
def test_no_control_character_is_ever_shown(raw: str) -> None:
    shown = text.printable(raw)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in shown)
    assert text.printable(shown) == shown


@pytest.mark.parametrize(
    "seconds, shown",
    [
        (None, "unknown"),
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3_600, "1 h"),
        (3_601, "1 h"),
        (11_520, "3 h 12 min"),
        (86_400, "1 day"),
        (200_000, "2 days 7 h"),
        (10**10, "316 years 321 days"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: int | None, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    "count, shown", [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_299, "1.2 kB"), (5 * 10**9, "5.0 GB")]
)
def test_a_size_has_one_decimal(count: int, shown: str) -> None:
    assert text.size(count) == shown


def test_a_rate_has_one_decimal() -> None:
    assert text.rate(12) == "12 H/s"
    assert text.rate(773_713) == "773.7 kH/s"
    assert text.rate(2_500_000) == "2.5 MH/s"


def test_a_time_that_no_calendar_holds_is_shown_as_a_number() -> None:
    assert text.when(2**53 - 1) == f"{2**53 - 1} ms"
    assert text.when(None) == ""
    assert text.times([0, 2**53 - 1])[0] == "time"
    assert text.times([0, None])[1][1] == ""


def test_times_of_one_zone_name_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    title, cells = text.times([1_700_000_000_000, 1_700_000_001_000])
    assert title.startswith("time ")
    assert all(len(cell) == len("2023-11-14 22:13:20") for cell in cells)


def test_times_on_both_sides_of_a_change_of_clocks_carry_their_own_offsets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import time  # noqa: PLC0415 - for this test alone

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        title, cells = text.times([1_700_000_000_000, 1_720_000_000_000])
        assert title == "time"
        assert cells == ["2023-11-14 23:13:20 +01:00", "2024-07-03 11:46:40 +02:00"]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_short_forms_keep_their_ends() -> None:
    assert text.short("9f3c2a81d0ab") == "9f3c2a81d0…"
    assert text.short("9f3c") == "9f3c"
    assert text.short(None) == ""
    assert (
        text.short_address("bean144hsyqedgyfml3tfxfc0x6y3sufxvsz2lh7tu0g9gwqd4nd0hz6srdna08")
        == "bean144hs…dna08"
    )
    assert text.short_address(None) == ""


def test_amounts_carry_sign_and_symbol_where_they_should() -> None:
    units = text.Units(2, "BEAN")
    assert (units.amount(7_50), units.bare(7_50)) == ("7.50 BEAN", "7.50")
    assert (units.change(5), units.change(-5), units.change(0)) == ("+0.05", "-0.05", "0.00")


def test_one_is_not_many() -> None:
    assert (text.count_of(1, "block"), text.count_of(2, "block")) == ("1 block", "2 blocks")
    assert text.count_of(0, "entry", "entries") == "0 entries"
