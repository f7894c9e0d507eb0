"""Values as people read them: amounts, times, sizes, and text of strangers that must not rule the terminal.

Pure, but for the local time zone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from node.ledger.amount import format_amount

SHORT: Final = 10
"""Characters of an id where there is no room for all of them; `tx` takes as many."""

_UNITS: Final = (
    ("year", "years", 31_557_600),
    ("day", "days", 86_400),
    ("h", "h", 3_600),
    ("min", "min", 60),
    ("s", "s", 1),
)
"""Of time, in seconds."""

_NOT_SHOWN: Final = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # controls
    "\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # unseen, or turning text
    "\ud800-\udfff"  # halves of a pair
    "\U000e0000-\U000e0fff"  # tags
    "]"
)
"""By code point and never by a Unicode table, so that every version shows the same."""


def printable(text: str) -> str:
    r"""Return the text with all that a terminal would act on, or not show, escaped: `\x1b`, `\u202e`."""
    return _NOT_SHOWN.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def short(name: str | None) -> str:
    """Return the first characters of an id or hash."""
    return "" if name is None else name if len(name) <= SHORT else name[:SHORT] + "…"


def short_address(address: str | None) -> str:
    """Return an address by its beginning and its end."""
    if address is None:
        return ""
    return address if len(address) <= 16 else f"{address[:9]}…{address[-5:]}"


def when(milliseconds: int | None) -> str:
    """Return a time of the book in the local zone, with its offset from UTC."""
    local = _local(milliseconds)
    if local is None:
        return "" if milliseconds is None else f"{milliseconds} ms"
    return f"{local:%Y-%m-%d %H:%M:%S} {_offset(local)}"


def times(moments: Sequence[int | None]) -> tuple[str, list[str]]:
    """Return a column's title and cells for these times: the offset stands once where all have the same."""
    known = [_local(moment) for moment in moments]
    offsets = {_offset(local) for local in known if local is not None}
    if None in known or len(offsets) != 1:
        return "time", [when(moment) for moment in moments]
    return f"time {offsets.pop()}", [f"{local:%Y-%m-%d %H:%M:%S}" for local in known]


def _local(milliseconds: int | None) -> datetime | None:
    """Return the time in the local zone; None for one that no calendar holds (the ledger does not mind)."""
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds // 1_000, UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def _offset(local: datetime) -> str:
    offset = local.strftime("%z")
    return f"{offset[:3]}:{offset[3:5]}"


def duration(seconds: int | None) -> str:
    """Return a span of time in its two largest units: `3 h 12 min`."""
    if seconds is None:
        return "unknown"
    parts = []
    for one, many, length in _UNITS:
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {one if count == 1 else many}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def size(count: int) -> str:
    """Return a number of bytes: `12.3 kB`."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= length:
            return f"{count // (length // 10) / 10:.1f} {unit}"
    return f"{count} B"


def rate(per_second: int) -> str:
    """Return a hash rate: `1.2 MH/s`."""
    for unit, length in (("GH/s", 10**9), ("MH/s", 10**6), ("kH/s", 10**3)):
        if per_second >= length:
            return f"{per_second // (length // 10) / 10:.1f} {unit}"
    return f"{per_second} H/s"


def count_of(number: int, one: str, many: str | None = None) -> str:
    """Return `1 block`, `2 blocks`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


class Units(NamedTuple):
    """How amounts of a network are shown."""

    decimals: int
    symbol: str

    def amount(self, value: int) -> str:
        """Return smallest units as people read them: `7.50 BEAN`."""
        return format_amount(value, self.decimals, self.symbol)

    def bare(self, value: int) -> str:
        """Return it without the symbol, for a column that names it."""
        return format_amount(value, self.decimals)

    def change(self, value: int) -> str:
        """Return a difference with its sign, without the symbol."""
        return ("+" if value > 0 else "") + format_amount(value, self.decimals)
