"""A settings file: TOML, each value with the line it stands on, each mistake with file and line.

Reads one file; no sockets. What is in a file may have been written by a friend or a slip of the hand: size,
nesting and length are bounded, types are exact (no number in quotes, no `true` for 1), and an unknown key is
refused with the nearest known one, because a setting that silently does nothing is the worst kind.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from node.endpoint import EndpointError
from node.ledger.address import AddressError
from node.ledger.amount import AmountError
from node.private import PathError, read_bounded

T = TypeVar("T")
Option = TypeVar("Option", bound=StrEnum)

MAX_FILE_BYTES: Final = 256 << 10
"""A network with its thousand allocations takes about 100 kB."""
_MAX_LINES_OF_A_VALUE: Final = 200
"""Each further line of a value reads all its lines again."""

_HEX64: Final = re.compile(r"[0-9a-f]{64}")
_LINE_OF_ERROR: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
"""How tomllib ends its messages."""

Place: TypeAlias = tuple[str | int, ...]
"""A key from the top of the file: `("peers", 0, "address")`."""


class ConfigError(Exception):
    """A setting that cannot be used; the message starts with its place, `hint` is what to write instead."""

    code: Final = "bad-config"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a file. A missing table is an empty one: every reader gives None for what is not there."""

    file: str
    """As the messages name it; empty where there is no file."""
    at: Place
    values: Mapping[str, object]
    lines: Mapping[Place, int]

    def origin(self, key: str | None = None) -> str:
        """Return `peers.toml:12` for a key, or for the table itself."""
        place = self.at if key is None else (*self.at, key)
        line = self.lines.get(place) or self.lines.get(self.at)
        return f"{self.file}:{line}" if line else self.file

    def mistake(self, key: str | None, message: str, hint: str) -> ConfigError:
        """Return the error for a key, or for the table itself."""
        return ConfigError(f"{self.origin(key)}: {message}", hint)

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Raise ConfigError for the first key that is not known."""
        unknown = next((key for key in self.values if key not in known), None)
        if unknown is None:
            return
        # Here and not at the top: only a mistake needs it, and a node should start fast.
        from difflib import get_close_matches  # noqa: PLC0415

        where = f" in {self._title()}" if self.at else ""
        near = get_close_matches(unknown, known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"it may be {', '.join(known)}"
        raise self.mistake(unknown, f"there is no {unknown[:40]!a}{where}", hint)

    def table(self, key: str) -> Table:
        """Return the table of that name; ConfigError when it is something else."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.mistake(key, f"{key} is a table", f"write [{key}] on a line, and its keys below")
        return Table(self.file, (*self.at, key), value, self.lines)

    def tables(self, key: str) -> tuple[Table, ...]:
        """Return the tables of a list of them, in order; ConfigError when it is something else."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.mistake(key, f"{key} is a list of tables", f"write [[{key}]] above each")
        return tuple(
            Table(self.file, (*self.at, key, index), item, self.lines) for index, item in enumerate(value)
        )

    def integer(self, key: str, least: int, most: int) -> int | None:
        """Return a whole number between the two, both included."""
        value = self.values.get(key)
        if value is not None and (type(value) is not int or not least <= value <= most):
            quoted = " without quotes" if isinstance(value, str) else ""
            raise self._wrong(key, value, f"write a whole number from {least} to {most}{quoted}")
        return value

    def boolean(self, key: str) -> bool | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(key, value, "write true or false, without quotes")
        return value

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, value, "write it in quotes")
        return value

    def choice(self, key: str, options: type[Option]) -> Option | None:
        """Return the member of the enumeration whose value is written."""
        value = self.text(key)
        if value is None:
            return None
        try:
            return options(value)
        except ValueError:
            listed = ", ".join(f'"{option.value}"' for option in options)
            raise self._wrong(key, value, f"write one of {listed}") from None

    def key32(self, key: str) -> bytes | None:
        """Return the 32 bytes written as 64 hexadecimal digits."""
        value = self.text(key)
        if value is None:
            return None
        if not _HEX64.fullmatch(value):
            raise self._wrong(key, value, "write its 64 hexadecimal digits, lower case")
        return bytes.fromhex(value)

    def read(self, key: str, reader: Callable[[str], T]) -> T | None:
        """Return what `reader` makes of a text; what it refuses is told with the key's place."""
        value = self.text(key)
        if value is None:
            return None
        try:
            return reader(value)
        except (EndpointError, AddressError, AmountError) as error:
            raise self.mistake(key, f"{key}: {error.message}", error.hint) from None

    def read_each(self, key: str, reader: Callable[[str], T]) -> tuple[T, ...] | None:
        """Return what `reader` makes of each text of a list."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, value, 'write a list, as ["one", "two"]')
        try:
            return tuple(reader(item) for item in value)
        except (EndpointError, AddressError, AmountError) as error:
            raise self.mistake(key, f"{key}: {error.message}", error.hint) from None

    def _title(self) -> str:
        names = ".".join(part for part in self.at if isinstance(part, str))
        return f"[[{names}]]" if isinstance(self.at[-1], int) else f"[{names}]"

    def _wrong(self, key: str, value: object, hint: str) -> ConfigError:
        try:
            shown = f"{str(value)[:60]!a}"
        except (
            ValueError
        ):  # Python reads hexadecimal digits without end, and writes decimal ones up to a limit
            shown = "a number of thousands of digits"
        return self.mistake(key, f"{key} = {shown} cannot be used", hint)


def read_file(path: Path, shown: str) -> Table:
    """Return the top table of a settings file, which the messages call `shown`.

    Raises ConfigError, naming file and line, for what cannot be read; FileNotFoundError when there is none.
    """
    try:
        text = read_bounded(path, MAX_FILE_BYTES).decode("utf-8-sig")
    except PathError as error:
        raise ConfigError(error.message, error.hint) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{shown}: it is not UTF-8 text", "save it as UTF-8") from None
    text = text.replace("\r\n", "\n")
    try:
        values = tomllib.loads(text)
        return Table(shown, (), values, _lines(text))
    except RecursionError:
        raise ConfigError(f"{shown}: it is nested too deeply", "keep to tables and plain values") from None
    except ValueError as error:  # tomllib's own, and Python's for an integer of thousands of digits
        raise _not_toml(shown, text, str(error)) from None


def no_file() -> Table:
    """Return the settings where there is no file: none."""
    return Table("", (), {}, {})


def _not_toml(shown: str, text: str, message: str) -> ConfigError:
    end = _LINE_OF_ERROR.search(message)
    if end is None:
        return ConfigError(f"{shown}: {message}", "write it as TOML (https://toml.io)")
    line = end[1] or str(text.rstrip("\n").count("\n") + 1)
    what = message[: end.start()]
    return ConfigError(f"{shown}:{line}: {what}", "write it as TOML (https://toml.io), text in quotes")


def _lines(text: str) -> dict[Place, int]:
    """Return the line on which each key and each table of a valid TOML text starts.

    tomllib does not tell. But a statement of TOML ends with its line and parses alone, so the text is cut
    into the shortest runs of lines that parse: each is a header, a key with its value, or nothing.
    """
    lines: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    run, start = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        run += line + "\n"
        try:
            parsed = tomllib.loads(run)
        except ValueError:
            if number - start >= _MAX_LINES_OF_A_VALUE:
                raise ValueError(
                    f"A value over more than {_MAX_LINES_OF_A_VALUE} lines (at line {start}, column 1)"
                ) from None
            continue
        if run.startswith("[", len(run) - len(run.lstrip())):
            table = _header(parsed, counts)
            lines.setdefault(table, start)
        else:
            _note(table, parsed, lines, start)
        run, start = "", number + 1
    return lines


def _header(parsed: Mapping[str, object], counts: dict[Place, int]) -> Place:
    """Return the place of a header's table; `counts` holds how long each list of tables is by now."""
    place: Place = ()
    value: object = parsed
    while isinstance(value, dict) and value:
        name, value = next(iter(value.items()))
        place = (*place, name)
        if isinstance(value, list):
            counts[place] = counts.get(place, 0) + 1
            value = value[0]
        if place in counts:
            place = (*place, counts[place] - 1)
    return place


def _note(place: Place, value: object, lines: dict[Place, int], line: int) -> None:
    """Note the line of every key in a value, and of every table in its lists."""
    if isinstance(value, dict):
        items: list[tuple[str | int, object]] = list(value.items())
    elif isinstance(value, list):
        items = [(index, item) for index, item in enumerate(value) if isinstance(item, dict)]
    else:
        return
    for key, item in items:
        lines.setdefault((*place, key), line)
        _note((*place, key), item, lines, line)
