"""Lines of the log: how they read, and how many of one kind are let through.

No clock and no file: times come in, and only the time zone is the machine's, unless one is given. What
others wrote (agents, memos, names) is escaped, so that no peer can forge a line, move the cursor, or write
from right to left over what stands there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final, NamedTuple

from node.events import Level

LONGEST: Final = 4_000
"""Characters of a line's text; more is cut off, and the cut shown."""

BURST: Final = 100
"""Lines of one place that go through at once."""
INTERVAL_MS: Final = 100
"""Then one more in this time."""
WINDOW_MS: Final = 10_000
"""What was held back is told of when it is this old."""

_PLAIN: Final = "\x1b[0m"
_FAINT: Final = "\x1b[2m"
_COLOURS: Final = {Level.WARNING: "\x1b[33m", Level.ERROR: "\x1b[31m"}
_INDENT: Final = "    "


class Line(NamedTuple):
    """One thing to tell."""

    time_ms: int
    """Unix milliseconds."""
    kind: str
    level: int
    """In logging's numbers."""
    text: str
    fields: Mapping[str, object]
    """The same for programs; JSON-ready."""
    detail: str = ""
    """A traceback of our own, where a bug is told of; lines of their own in the text."""


def escape(text: str) -> str:
    r"""Return the text with all that is not printable written out: `\x1b`, `\u202e`.

    Printable, as Python has it, leaves out controls, line separators, direction marks, invisible characters.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _written_out(char) for char in text)


def as_text(line: Line, *, zone: tzinfo | None = None, coloured: bool = False) -> str:
    """Return the line as people read it, in local time unless a zone is given; the level from WARNING on."""
    when = f"{datetime.fromtimestamp(line.time_ms // 1000, zone):%Y-%m-%d %H:%M:%S}"
    told = _clipped(escape(line.text))
    if line.level >= Level.WARNING:
        told = f"{level_name(line.level).upper()} {told}"
    if coloured:
        colour = _COLOURS.get(_known(line.level), "")
        when = f"{_FAINT}{when}{_PLAIN}"
        told = f"{colour}{told}{_PLAIN}" if colour else told
    detail = "".join(f"\n{_INDENT}{escape(row)}" for row in line.detail.splitlines())
    return f"{when} {told}{detail}"


def as_json(line: Line) -> str:
    """Return the line as one JSON object: time_ms, kind, level, text, fields; all in ASCII."""
    shown: dict[str, object] = {
        "time_ms": line.time_ms,
        "kind": line.kind,
        "level": level_name(line.level),
        "text": _clipped(line.text),
        "fields": dict(line.fields),
    }
    if line.detail:
        shown["detail"] = line.detail
    # The one control character that JSON lets stand.
    return json.dumps(shown, separators=(",", ":"), default=str).replace("\x7f", "\\u007f")


def level_name(level: int) -> str:
    """Return debug, info, warning or error; a level between two has the lower one's name."""
    return _known(level).name.lower()


def _known(level: int) -> Level:
    return max((known for known in Level if known <= level), default=Level.DEBUG)


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _written_out(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


# -------------------------------------------------------------------------------------- rate limiting


class Suppressed(NamedTuple):
    """Lines that were held back."""

    place: str
    lines: int
    for_ms: int
    """Since the first of them."""
    level: int
    """The highest among them."""

    def line(self, time_ms: int) -> Line:
        """Return the line that tells of them."""
        seconds = max(1, (self.for_ms + 500) // 1000)
        lines = "line" if self.lines == 1 else "lines"
        text = f"{self.place}: {self.lines} more {lines} like this in the last {seconds} s"
        fields = {"place": self.place, "lines": self.lines, "for_ms": self.for_ms}
        return Line(time_ms, "log-suppressed", self.level, text, fields)


@dataclass(slots=True)
class _Place:
    """A place in the code, and how much it has said."""

    full_at_ms: int
    """When its allowance is whole again (GCRA's theoretical arrival time: a token bucket in one number)."""
    held_back: int = 0
    since_ms: int = 0
    level: int = 0


class RateLimiter:
    """An allowance of lines for each place in the code, so that one cannot drown the others or fill a disk.

    As many places as the code has: nobody outside can add one. Times are monotonic milliseconds.
    """

    def __init__(
        self, burst: int = BURST, interval_ms: int = INTERVAL_MS, window_ms: int = WINDOW_MS
    ) -> None:
        self._allowance_ms = burst * interval_ms
        self._interval_ms = interval_ms
        self._window_ms = window_ms
        self._places: dict[str, _Place] = {}

    def allows(self, place: str, level: int, now_ms: int) -> bool:
        """Tell whether one more line of this place may go out now; one that may not is counted."""
        state = self._places.get(place)
        if state is None:
            state = self._places[place] = _Place(now_ms)
        full_at_ms = max(state.full_at_ms, now_ms) + self._interval_ms
        if full_at_ms - now_ms <= self._allowance_ms:
            state.full_at_ms = full_at_ms
            return True
        if not state.held_back:
            state.since_ms = now_ms
            state.level = level
        state.held_back += 1
        state.level = max(state.level, level)
        return False

    def deadline(self) -> int | None:
        """Return when there will be something to tell of, None where nothing is held back."""
        held_back = [place.since_ms for place in self._places.values() if place.held_back]
        return min(held_back) + self._window_ms if held_back else None

    def due(self, now_ms: int, *, at_once: bool = False) -> list[Suppressed]:
        """Return what has been held back for a whole window, or at all; it counts from nothing again."""
        found = []
        for name, place in self._places.items():
            if place.held_back and (at_once or now_ms - place.since_ms >= self._window_ms):
                found.append(Suppressed(name, place.held_back, now_ms - place.since_ms, place.level))
                place.held_back = 0
        return found


def finding_line(found: dict[str, Any]) -> str:
    """Return what an audit found as a line: where, which rule, and what it says beside what is proven."""
    place = "the book" if found["height"] is None else f"block {found['height']}"
    if found["position"] is not None:
        place += f", entry {found['position']}" if found["position"] else ", the reward"
    fields = [
        f"{field['name']} says {field['said']}" + (f", proven is {field['proof']}" if field["proof"] else "")
        for field in found["fields"][:6]
    ]
    named = f" ({'; '.join(fields)})" if fields else ""
    return f"audit: {place}: {found['rule']}: {found['detail']}{named}"
