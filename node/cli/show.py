"""Tables, fields and progress for people; rich does the drawing.

Writes to standard output, progress to standard error. Whatever is shown was said by someone else, so nothing
is taken for markup, and all of it goes through `text.printable`. rich knows of terminals, of NO_COLOR and of
the width of characters.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from node.cli.text import printable

_GAP: Final = 2
"""Blanks between columns."""
_LEAST_FLEXIBLE: Final = 16
"""Characters that a column of free text keeps, folded, before other columns are left out for it."""


class Column(NamedTuple):
    """One column of a table."""

    title: str
    right: bool = False
    """Figures, aligned at their last digit."""
    flexible: bool = False
    """Free text, folded where it does not fit."""
    spare: int = 0
    """Left out where there is no room, the highest first; 0 never."""


class Cell(NamedTuple):
    """A value with a style; a plain text does without."""

    text: str
    style: str = ""


Value = Cell | str


class _Screen(Console):
    """A console that leaves it to the command how to end when nobody reads its output any more."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "nobody reads the output")


def console(*, to_error: bool = False) -> Console:
    """Return where to draw: standard output, or standard error."""
    return _Screen(stderr=to_error, markup=False, highlight=False, emoji=False, soft_wrap=False)


def table(columns: Sequence[Column], rows: Sequence[Sequence[Value]], nothing: str) -> None:
    """Print rows as a table; as blocks of fields where not even its necessary columns fit; or `nothing`."""
    screen = console()
    if not rows:
        screen.print(Text(nothing, style="dim"))
        return
    shown = [  # a column that nobody has anything in says nothing
        index
        for index, column in enumerate(columns)
        if not column.spare or any(_text_of(row[index]) for row in rows)
    ]
    columns = [columns[index] for index in shown]
    rows = [[row[index] for index in shown] for row in rows]
    kept = _fitting(columns, rows, screen.width)
    if kept is None:
        for number, row in enumerate(rows):
            if number:
                screen.print()
            _print_fields(
                screen, [(c.title, value) for c, value in zip(columns, row, strict=True) if _text_of(value)]
            )
        return
    drawn = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for index in kept:
        column = columns[index]
        drawn.add_column(
            column.title,
            justify="right" if column.right else "left",
            overflow="fold",
            no_wrap=not column.flexible,
        )
    for row in rows:
        drawn.add_row(*(_drawn(row[index]) for index in kept))
    screen.print(drawn)


def fields(pairs: Sequence[tuple[str, Value]]) -> None:
    """Print names and values, one a line."""
    _print_fields(console(), pairs)


def line(value: Value) -> None:
    """Print one line, never cut."""
    console().print(_drawn(value), soft_wrap=True)


def warn(text: str) -> None:
    """Print a line on standard error."""
    console(to_error=True).print(Text(printable(text), style="yellow"), soft_wrap=True)


class Bar:
    """A progress bar; draws nothing where standard error is no terminal."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def at(self, done: int, total: int | None = None) -> None:
        """Show how much is done."""
        self._progress.update(self._task, completed=done, total=total)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(Text(printable(text), style="yellow"), soft_wrap=True)


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Bar]:
    """Show a progress bar on standard error until the end of the block; `total` may still be unknown."""
    screen = console(to_error=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as drawn:
        yield Bar(drawn, drawn.add_task(title, total=total))


def _print_fields(screen: Console, pairs: Sequence[tuple[str, Value]]) -> None:
    indent = max((cell_len(name) for name, _ in pairs), default=0) + _GAP
    for name, value in pairs:
        drawn = _drawn(value)
        head = Text(name.ljust(indent), style="bold")
        if indent + drawn.cell_len <= screen.width:
            screen.print(head + drawn)
        elif " " not in drawn.plain or indent + _LEAST_FLEXIBLE > screen.width:
            # A hash or an address: unbroken, so that it can be copied; the terminal wraps it.
            screen.print(Text(name, style="bold"))
            screen.print(drawn, soft_wrap=True)
        else:
            for number, part in enumerate(drawn.wrap(screen, screen.width - indent)):
                screen.print((Text(" " * indent) if number else head) + part)


def _fitting(columns: Sequence[Column], rows: Sequence[Sequence[Value]], width: int) -> list[int] | None:
    """Return the columns that there is room for, None where the necessary ones do not fit."""
    widths = [
        max(cell_len(column.title), *(cell_len(_text_of(row[index])) for row in rows))
        for index, column in enumerate(columns)
    ]
    least = [
        min(natural, max(_LEAST_FLEXIBLE, cell_len(column.title))) if column.flexible else natural
        for natural, column in zip(widths, columns, strict=True)
    ]
    kept = list(range(len(columns)))
    left_out: list[int] = []
    while _needed(least, kept) > width:
        spare = max(kept, key=lambda index: columns[index].spare)
        if not columns[spare].spare:
            return None
        kept.remove(spare)
        left_out.append(spare)
    for index in reversed(left_out):  # a narrow one may fit where a wide one did not
        if _needed(least, [*kept, index]) <= width:
            kept.append(index)
    return sorted(kept)


def _needed(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[index] + _GAP for index in kept) - _GAP


def _text_of(value: Value) -> str:
    return printable(value.text if isinstance(value, Cell) else value)


def _drawn(value: Value) -> Text:
    return Text(_text_of(value), style=value.style if isinstance(value, Cell) else "")
