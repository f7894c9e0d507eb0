"""Values as the page's readers see them: amounts, times, sizes, strangers' text made visible. Opens nothing.

Times are written in UTC; a script rewrites them in the reader's own zone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from node.ledger.amount import format_amount
from node.log_lines import escape

SHORT: Final = 10
"""Characters of an id where there is no room for all of them."""

_SPANS: Final = (
    ("year", "years", 31_557_600),
    ("day", "days", 86_400),
    ("h", "h", 3_600),
    ("min", "min", 60),
    ("s", "s", 1),
)
"""In seconds."""

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Written out, as strftime's names follow the machine's language."""


def amount(value: int, decimals: int) -> str:
    """Return smallest units as decimal units, with a true minus sign before a negative one."""
    return format_amount(value, decimals).replace("-", "\N{MINUS SIGN}")


def change(value: int, decimals: int) -> str:
    """Return a difference with its sign: `+7.00`."""
    return ("+" if value > 0 else "") + amount(value, decimals)


def visible(text: str) -> str:
    r"""Return what someone else wrote with all that would not show written out: `\u202e`."""
    return escape(text)


def short(name: str | None) -> str:
    """Return the first characters of an id, "" for none."""
    return "" if name is None else name if len(name) <= SHORT else name[:SHORT] + "…"


def short_hash(name: str) -> str:
    """Return a block's hash by its beginning and end: proof of work makes all begin alike."""
    return name if len(name) <= 2 * SHORT else f"{name[:6]}…{name[-8:]}"


def short_address(address: str) -> str:
    """Return an address by its beginning and its end."""
    return address if len(address) <= 18 else f"{address[:10]}…{address[-5:]}"


def _moment(milliseconds: int) -> datetime | None:
    """Return a time in UTC, None for one that no calendar holds (the ledger does not mind)."""
    try:
        return datetime.fromtimestamp(milliseconds // 1_000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def utc(milliseconds: int) -> str:
    """Return a time as people read it: `22 Nov 2026, 22:08:22 UTC`."""
    moment = _moment(milliseconds)
    if moment is None:
        return f"{milliseconds} ms"
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M:%S} UTC"


def iso(milliseconds: int) -> str:
    """Return a time for programs: `2026-11-22T22:08:22.123Z`; "" for one that no calendar holds."""
    moment = _moment(milliseconds)
    return "" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1_000:03}Z"


def exact(milliseconds: int) -> str:
    """Return a time to the millisecond, as the title of a time says it: `2026-11-22 22:08:22.123 UTC`."""
    return iso(milliseconds).replace("T", " ").replace("Z", " UTC") or utc(milliseconds)


def span(seconds: int | None) -> str:
    """Return a span of time in its two largest units: `3 h 12 min`."""
    if seconds is None:
        return "unknown"
    parts = []
    for one, many, length in _SPANS:
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {one if count == 1 else many}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def size(count: int) -> str:
    """Return a number of bytes: `12.3 kB`."""
    return _scaled(count, (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)), "B")


def rate(per_second: int) -> str:
    """Return a hash rate: `1.2 MH/s`."""
    return _scaled(per_second, (("GH/s", 10**9), ("MH/s", 10**6), ("kH/s", 10**3)), "H/s")


def count(number: int, one: str, many: str | None = None) -> str:
    """Return `1 block`, `1,042 blocks`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _scaled(value: int, units: tuple[tuple[str, int], ...], smallest: str) -> str:
    for unit, length in units:
        if value >= length:
            return f"{value // (length // 10) / 10:.1f} {unit}"
    return f"{value} {smallest}"
