"""The log: notices of the core and records of the standard library, on standard error or in a file.

Standard error, because standard output is for what was asked for. A thread of its own writes: a terminal that
is held (Ctrl-S) or a slow disk must not hold the node. Where there is a file, standard error still gets the
lines of the start, and errors.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TextIO

from node.clock import read_clock
from node.config import Config, LogFormat
from node.events import Level, Notice, Now
from node.log_lines import Line, RateLimiter, as_json, as_text

MAX_QUEUED: Final = 10_000
"""Lines that wait to be written."""
LAST_WORDS_S: Final = 2.0
"""How long the end waits for what is still to be written."""


class Target(Protocol):
    """Where lines go."""

    def write(self, text: str) -> None:
        """Write one line. Raises OSError, or ValueError when it is closed."""

    def close(self) -> None:
        """No more will come."""


@dataclass(slots=True)
class Sink:
    """A target, and how lines look there."""

    target: Target
    form: Callable[[Line], str]
    only_loud: bool
    lost: int = 0
    """Lines that it did not take since the last that it took."""

    def write(self, line: Line) -> Line | None:
        """Write the line; return one about the trouble with it, the first time."""
        try:
            if self.lost:
                text = f"{self.lost} lines of the log were lost here: they could not be written"
                self.target.write(self.form(Line(line.time_ms, "log-lost", Level.WARNING, text, {})))
                self.lost = 0
            self.target.write(self.form(line))
        except (OSError, ValueError) as error:
            self.lost += 1
            if self.lost == 1:
                return Line(
                    line.time_ms, "log-trouble", Level.ERROR, f"the log cannot be written: {error}", {}
                )
        return None


class _Told(NamedTuple):
    line: Line
    is_loud: bool
    """For standard error too, where there is a file."""


class Log:
    """Takes what is to be told, from any thread, and has it written."""

    def __init__(
        self, sinks: Iterable[Sink], least: int = Level.INFO, clock: Callable[[], Now] = read_clock
    ) -> None:
        """`least`: the level from which on lines are told."""
        self._sinks = tuple(sinks)
        self._least = least
        self._clock = clock
        self._limiter = RateLimiter()
        self._lock = threading.Lock()
        self._waiting: queue.Queue[_Told | None] = queue.Queue(MAX_QUEUED)
        """None: something changed, look again."""
        self._overflow = 0
        self._is_holding_back = False
        self._closing = False
        self._handler = _Handler(self)
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Begin, and take the records of the standard library's loggers too."""
        root = logging.getLogger()
        root.addHandler(self._handler)
        root.setLevel(self._least)
        logging.getLogger("asyncio").setLevel(max(self._least, Level.INFO))  # below that it is for its makers
        self._thread.start()

    def notice(self, notice: Notice) -> None:
        """Tell a notice of the core."""
        if self.takes(notice):
            self.tell(notice)

    def takes(self, notice: Notice) -> bool:
        """Tell whether this notice is to be told; one that comes too soon after others is counted instead."""
        return notice.level >= self._least and self._allows(notice.kind, notice.level)

    def tell(self, notice: Notice) -> None:
        """Tell a notice that `takes` let through, perhaps with more in it."""
        self._put(_Told(_line_of(notice, self._clock().wall_ms), is_loud=notice.level >= Level.ERROR))

    def warn(self, text: str) -> None:
        """Tell what was found at the start and is the owner's to know."""
        self.announce([Notice("start", text, Level.WARNING)])

    def announce(self, notices: Iterable[Notice]) -> None:
        """Tell of the start: whatever the level, and on standard error even where there is a file."""
        for notice in notices:
            self._put(_Told(_line_of(notice, self._clock().wall_ms), is_loud=True))

    def record(self, record: logging.LogRecord) -> None:
        """Tell a record of the standard library's."""
        detail = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        kind = record.name.rpartition(".")[2]
        line = Line(round(record.created * 1000), kind, record.levelno, record.getMessage(), {}, detail)
        if self._allows(f"{record.filename}:{record.lineno}", record.levelno):
            self._put(_Told(line, is_loud=line.level >= Level.ERROR))

    def close(self) -> None:
        """Write what waits, then end; what is stuck for two seconds is given up."""
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(logging.WARNING)
        self._closing = True
        self._put(None)
        self._thread.join(LAST_WORDS_S)
        if not self._thread.is_alive():
            for sink in self._sinks:
                sink.target.close()

    def _allows(self, place: str, level: int) -> bool:
        with self._lock:
            allowed = self._limiter.allows(place, level, self._clock().mono_ms)
            begins = not allowed and not self._is_holding_back
            self._is_holding_back |= begins
        if begins:
            self._put(None)  # the thread has a deadline now
        return allowed

    def _put(self, told: _Told | None) -> None:
        try:
            self._waiting.put_nowait(told)
        except queue.Full:
            with self._lock:
                self._overflow += told is not None

    # ------------------------------------------------------------------------------- on the writing thread

    def _run(self) -> None:
        while not (self._closing and self._waiting.empty()):
            told = self._next()
            if told is not None:
                self._write(told)
            self._tell_of_the_rest(at_once=False)
        self._tell_of_the_rest(at_once=True)

    def _next(self) -> _Told | None:
        """Wait for something to write, no longer than until something held back is due."""
        with self._lock:
            deadline_ms = self._limiter.deadline()
            self._is_holding_back = deadline_ms is not None
        left_s = None if deadline_ms is None else max(0.0, (deadline_ms - self._clock().mono_ms) / 1000)
        try:
            return self._waiting.get(timeout=left_s)
        except queue.Empty:
            return None

    def _tell_of_the_rest(self, *, at_once: bool) -> None:
        """Tell how many lines were held back, or did not fit."""
        now = self._clock()
        with self._lock:
            suppressed = self._limiter.due(now.mono_ms, at_once=at_once)
            overflow, self._overflow = self._overflow, 0
        for one in suppressed:
            self._write(_Told(one.line(now.wall_ms), is_loud=False))
        if overflow:
            text = f"{overflow} lines of the log were lost: they came faster than they could be written"
            self._write(_Told(Line(now.wall_ms, "log-overflow", Level.WARNING, text, {}), is_loud=False))

    def _write(self, told: _Told) -> None:
        for sink in self._sinks:
            if sink.only_loud and not told.is_loud:
                continue
            trouble = sink.write(told.line)
            if trouble is not None:
                for other in self._sinks:
                    if other is not sink:
                        other.write(trouble)


def setup(config: Config, clock: Callable[[], Now] = read_clock, stream: TextIO | None = None) -> Log:
    """Start the log that the settings ask for; `stream` is standard error unless another is given.

    Raises PathError: the log file cannot be used, or another process keeps it.
    """
    stream = sys.stderr if stream is None else stream
    is_json = config.log_format is LogFormat.JSON
    form = as_json if is_json else _text_form(stream)
    sinks = [Sink(_Stream(stream), form, only_loud=config.log_file is not None)]
    was_open = None
    if config.log_file is not None:
        # Here and not at the top: its library takes as long to import as a book takes to open.
        from node.log_file import open_log_file  # noqa: PLC0415

        file, was_open = open_log_file(config.log_file)
        sinks.append(Sink(file, as_json if is_json else as_text, only_loud=False))
    opened = Log(sinks, Level[config.log_level.name], clock)
    opened.start()
    if was_open is not None:
        opened.warn(was_open)
    return opened


def _text_form(stream: TextIO) -> Callable[[Line], str]:
    """Return the form for people, in colours on a terminal that shows them (https://no-color.org)."""
    coloured = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return lambda line: as_text(line, coloured=coloured)


def _line_of(notice: Notice, time_ms: int) -> Line:
    return Line(time_ms, notice.kind, notice.level, notice.text, notice.fields)


class _Stream:
    """Standard error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    def close(self) -> None:
        """It is not ours to close."""


class _Handler(logging.Handler):
    """Hands the standard library's records over."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.record(record)
