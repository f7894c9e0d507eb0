"""Amounts: decimal units as people type and read them, integers of the smallest unit inside.

Pure. Never a float: the digits around the point are read as one integer, so what is typed is what is paid,
or it is refused.
"""

from __future__ import annotations

import re
from typing import Final

from node.ledger import codec

MAX_AMOUNT: Final = codec.MAX_UINT
"""2^53 - 1, as for every integer of the ledger."""

_TYPED: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?")
_SIGNED: Final = re.compile(r"[-+]\s*[0-9.]+")
_MAX_SHOWN: Final = 24
"""Characters of a refused text that the message repeats."""


class AmountError(ValueError):
    """A text that is no amount of this currency; `hint` says what to type instead."""

    code: Final = "bad-amount"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.message = message
        self.hint = hint


def parse_amount(text: str, decimals: int) -> int:
    """Return what was typed in decimal units as smallest units, 0 to 2^53 - 1.

    Digits, and at most one point with 1 to `decimals` digits behind it. Raises AmountError for anything
    else: a sign, an exponent, spaces, a comma, other digits than 0-9, too many decimals, too much.
    """
    example = f"type a number like {format_amount(15 * 10**decimals // 10, decimals)}"
    if not text:
        raise AmountError("the amount is empty", example)
    match = _TYPED.fullmatch(text)
    if match is None:
        raise AmountError(*_refusal(text, example))
    whole, fraction = match[1].lstrip("0"), match[2] or ""
    if len(fraction) > decimals:
        raise AmountError(f"{_shown(text)} is finer than this currency", _finest(decimals))
    digits = whole + fraction.ljust(decimals, "0")
    # Counted before it is converted: int() of very many digits is slow, and refused by Python beyond 4,300.
    if len(digits.lstrip("0")) > len(str(MAX_AMOUNT)) or int(digits or "0") > MAX_AMOUNT:
        raise AmountError(f"{_shown(text)} is too much", f"at most {format_amount(MAX_AMOUNT, decimals)}")
    return int(digits or "0")


def format_amount(value: int, decimals: int, symbol: str | None = None) -> str:
    """Return smallest units as decimal units with all their decimals, then the symbol: `-1.50 BEAN`.

    A negative value is a difference, as in a history; `parse_amount` does not take it back.
    """
    digits = str(abs(value)).rjust(decimals + 1, "0")
    point = len(digits) - decimals
    shown = digits[:point] + ("." + digits[point:] if decimals else "")
    return ("-" if value < 0 else "") + shown + (f" {symbol}" if symbol else "")


def _refusal(text: str, example: str) -> tuple[str, str]:
    """Return what is wrong with a text that is not digits and a point, and what to type instead."""
    shown = _shown(text)
    if text.strip() != text:
        return f"{shown} has spaces around it", "type the number alone"
    if _SIGNED.fullmatch(text):
        return f"{shown} has a sign", "an amount is 0 or more, without a sign"
    if "," in text:
        return f"{shown} has a comma", f"the decimal point is a dot, and thousands are not parted; {example}"
    if text.startswith(".") or text.endswith("."):
        return f"{shown} lacks a digit beside its point", example
    if not text.isascii() and any(character.isdigit() for character in text):
        return f"{shown} has digits other than 0 to 9", example
    return f"{shown} is not an amount", f"digits and at most one point, nothing else; {example}"


def _finest(decimals: int) -> str:
    if decimals == 0:
        return "type a whole number"
    return f"at most {decimals} digit{'s' if decimals > 1 else ''} behind the point"


def _shown(text: str) -> str:
    """Return the text escaped and cut, so that nothing pasted can fill or rule a terminal."""
    return ascii(text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "...")
