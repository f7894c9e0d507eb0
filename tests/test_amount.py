"""Amounts: what is typed is what is paid, or it is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.amount import AmountError, format_amount, parse_amount

LARGEST = 9_007_199_254_740_991


@given(value=st.integers(0, LARGEST), decimals=st.integers(0, 8))
def test_what_is_shown_can_be_typed(value: int, decimals: int) -> None:
    shown = format_amount(value, decimals)
    assert Decimal(shown) == Decimal(value).scaleb(-decimals)
    assert parse_amount(shown, decimals) == value


@pytest.mark.parametrize(
    "text, decimals, value",
    [
        ("0", 2, 0),
        ("1", 2, 100),
        ("1.5", 2, 150),
        ("1.50", 2, 150),
        ("0.01", 2, 1),
        ("007", 2, 700),
        ("7", 0, 7),
        ("0.00000001", 8, 1),
        ("90071992547409.91", 2, LARGEST),
        ("0" * 5_000 + "1", 0, 1),
    ],
)
def test_decimal_units_become_smallest_units(text: str, decimals: int, value: int) -> None:
    assert parse_amount(text, decimals) == value


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "empty: type a number like 1.50"),
        ("-1", "has a sign"),
        ("+1", "has a sign"),
        ("1e9999", "is not an amount"),
        ("1E2", "is not an amount"),
        ("nan", "is not an amount"),
        ("inf", "is not an amount"),
        ("-inf", "is not an amount"),
        ("0x10", "is not an amount"),
        ("1_000", "is not an amount"),
        ("1.2.3", "is not an amount"),
        ("1 BEAN", "is not an amount"),
        ("0.001", "finer than this currency: at most 2 digits behind the point"),
        ("1.500", "finer than this currency"),
        ("1,5", "has a comma.*point is a dot"),
        (" 1", "spaces around it"),
        ("1\n", "spaces around it"),
        (".5", "lacks a digit"),
        ("1.", "lacks a digit"),
        ("\N{ARABIC-INDIC DIGIT ONE}", "digits other than 0 to 9"),
        ("\N{SUPERSCRIPT TWO}", "digits other than 0 to 9"),
        ("90071992547409.92", "too much: at most 90071992547409.91"),
        ("9" * 100_000, "too much"),
        ("\x1b[2J", r"'\\x1b\[2J' is not an amount"),
    ],
)
def test_anything_else_is_refused_with_what_to_type_instead(text: str, message: str) -> None:
    with pytest.raises(AmountError, match=message) as raised:
        parse_amount(text, 2)
    assert raised.value.hint
    assert len(str(raised.value)) < 200


@given(text=st.text(max_size=40), decimals=st.integers(0, 8))
def test_any_text_gives_the_exact_amount_or_the_named_error(text: str, decimals: int) -> None:
    try:
        value = parse_amount(text, decimals)
    except AmountError:
        return
    assert Decimal(text).scaleb(decimals) == value


def test_a_whole_currency_asks_for_whole_numbers() -> None:
    with pytest.raises(AmountError, match="type a whole number"):
        parse_amount("1.5", 0)


@pytest.mark.parametrize(
    "value, decimals, symbol, shown",
    [
        (0, 2, None, "0.00"),
        (5, 2, "BEAN", "0.05 BEAN"),
        (5000, 2, "BEAN", "50.00 BEAN"),
        (-150, 2, "BEAN", "-1.50 BEAN"),
        (7, 0, "CUP", "7 CUP"),
        (1, 8, None, "0.00000001"),
    ],
)
def test_amounts_are_shown_with_all_their_decimals(
    value: int, decimals: int, symbol: str | None, shown: str
) -> None:
    assert format_amount(value, decimals, symbol) == shown
