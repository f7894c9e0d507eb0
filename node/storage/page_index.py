"""The page's own index, a file beside the book: what the book itself cannot list without reading all of it.

Touches the disk. Everything in it is derived from the main chain and can be thrown away: a file of another
version, of another book, or one that is damaged is made anew. It never says what is true: pages take
from it where to look, and show what the book has there. Amounts are smallest units, times Unix milliseconds.
Sums beyond 2^63 are approximate: SQLite goes on with them as floating point numbers.
"""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from node.private import FILE_MODE
from node.storage.port import Place, StorageFault

NAME: Final = "page.sqlite"
"""In the data folder."""

HOUR_MS: Final = 3_600_000

KEPT_BLOCKS: Final = 5_000
"""Newest blocks whose hashes are kept: a reorganisation that goes deeper makes the index anew."""

MAX_WORK: Final = 1 << 48
"""A block's work is counted up to here, so that an hour's sum is an integer of SQLite."""

_SQLITE_INTEGERS: Final = range(-(1 << 63), 1 << 63)
_DAMAGED: Final = frozenset(
    (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH)
)
_MISSING: Final = ("no such table", "no such column", "vtable constructor failed")
_HASH_BYTES: Final = 32
"""Of all that is bytes in the index: hashes, keys, the secret."""
_NUMBER: Final = (int, float)
_POSITION_BITS: Final = 24
_BEYOND: Final = 1 << 62
"""All rows and numbers of the index."""
_CACHE_KIB: Final = 16_384

_CREATE: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE blocks (
        height INTEGER PRIMARY KEY, hash BLOB NOT NULL, time_ms INTEGER NOT NULL,
        interval_ms INTEGER NOT NULL, work INTEGER NOT NULL, entries INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE hours (
        hour INTEGER PRIMARY KEY, blocks INTEGER NOT NULL, interval_ms INTEGER NOT NULL,
        work INTEGER NOT NULL, entries INTEGER NOT NULL, amount INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, balance INTEGER NOT NULL, entries INTEGER NOT NULL
    )
    """,
    "CREATE INDEX accounts_by_balance ON accounts (balance)",
    "CREATE INDEX accounts_by_entries ON accounts (entries)",
    """
    CREATE TABLE takings (
        account INTEGER NOT NULL, hour INTEGER NOT NULL, entries INTEGER NOT NULL, amount INTEGER NOT NULL,
        PRIMARY KEY (account, hour)
    ) WITHOUT ROWID
    """,
    # Symbols and signs are words too, so that a cup in a memo is found.
    """
    CREATE VIRTUAL TABLE memos USING fts5 (
        text, prefix = '2 3', tokenize = "unicode61 remove_diacritics 2 categories 'L* N* Co S*'"
    )
    """,
)
_VERSION: Final = hashlib.sha256("\n".join(_CREATE).encode()).digest()

_BY_BALANCE: Final = (
    "SELECT id, key, balance, entries FROM accounts WHERE (balance, id) < (?, ?)"
    " ORDER BY balance DESC, id DESC LIMIT ?"
)
_BY_ENTRIES: Final = (
    "SELECT id, key, balance, entries FROM accounts WHERE (entries, id) < (?, ?)"
    " ORDER BY entries DESC, id DESC LIMIT ?"
)
_ADD_HOUR: Final = (
    "INSERT INTO hours VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (hour) DO UPDATE SET"
    " blocks = blocks + excluded.blocks, interval_ms = interval_ms + excluded.interval_ms,"
    " work = work + excluded.work, entries = entries + excluded.entries, amount = amount + excluded.amount"
)
_ADD_ACCOUNT: Final = (
    "INSERT INTO accounts (key, balance, entries) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
    " balance = balance + excluded.balance, entries = entries + excluded.entries"
)
_ADD_TAKINGS: Final = (
    "INSERT INTO takings SELECT id, ?, ?, ? FROM accounts WHERE key = ? ON CONFLICT (account, hour) DO UPDATE"
    " SET entries = entries + excluded.entries, amount = amount + excluded.amount"
)


class IndexFault(StorageFault):
    """The index cannot be used: the file is damaged, and to be made anew, or it cannot be asked just now."""

    def __init__(self, message: str, *, is_damage: bool) -> None:
        super().__init__(message)
        self.is_damage = is_damage


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A block of the main chain, as plots over blocks show it."""

    height: int
    hash: bytes
    time_ms: int
    interval_ms: int
    """Since the block before; 0 for genesis and the first block after it."""
    work: int
    """Of this block alone, at most MAX_WORK."""
    entries: int


class Hour(NamedTuple):
    """All blocks whose time is in one hour."""

    hour: int
    """Since the epoch, in hours."""
    blocks: int
    interval_ms: int
    """The sum of the blocks' intervals."""
    work: int
    entries: int
    amount: int
    """That the entries moved, fees not among it; approximate beyond 2^63."""


class Ranked(NamedTuple):
    """An account in a list by balance or by activity."""

    id: int
    key: bytes
    balance: int
    entries: int
    """That it paid or received."""


class Takings(NamedTuple):
    """What an account was paid within an hour, by others; rewards are not among it."""

    hour: int
    entries: int
    amount: int
    """Approximate beyond 2^63."""


class Growth(NamedTuple):
    """What blocks add to an account."""

    balance: int = 0
    entries: int = 0


@dataclass(slots=True)
class Change:
    """What some neighbouring blocks add to the index."""

    blocks: list[BlockRow] = field(default_factory=list)
    hours: dict[int, tuple[int, int, int, int, int]] = field(default_factory=dict)
    """hour -> blocks, interval_ms, work, entries, amount."""
    accounts: dict[bytes, Growth] = field(default_factory=dict)
    """By key."""
    takings: dict[tuple[bytes, int], tuple[int, int]] = field(default_factory=dict)
    """(key, hour) -> entries, amount."""
    memos: list[tuple[Place, str]] = field(default_factory=list)


class PageIndex:
    """The index of one data folder. Reads may come from any thread, `add` and `rewind` from one at a time."""

    def __init__(self, path: Path, network_id: bytes) -> None:
        """Open the file, or make it where there is none, or another one. Raises IndexFault: it cannot."""
        self._path = path
        self._made_for = _VERSION + network_id
        with _faults(path):
            if not self._is_ours():
                self.remake()

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def remake(self) -> None:
        """Begin with an empty index, whatever was there."""
        with _faults(self._path):
            for suffix in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.unlink(f"{self._path}{suffix}")  # noqa: PTH108 - a name with an ending, not a path's own
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, FILE_MODE))
            with closing(self._connect()) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                with _transaction(connection):
                    for statement in _CREATE:
                        connection.execute(statement)
                    named = [("made_for", self._made_for), ("secret", secrets.token_bytes(32))]
                    connection.executemany("INSERT INTO meta VALUES (?, ?)", named)

    # ------------------------------------------------------------------------------------------- writing

    def add(self, change: Change) -> None:
        """Add blocks that follow the newest one that is indexed."""
        with self._writing() as connection:
            _grow(connection, change, 1)
            connection.executemany(
                "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)",
                [(b.height, b.hash, b.time_ms, b.interval_ms, b.work, b.entries) for b in change.blocks],
            )
            connection.executemany(
                "INSERT INTO memos (rowid, text) VALUES (?, ?)",
                [(_row_of(place), text) for place, text in change.memos],
            )
            newest = change.blocks[-1].height
            connection.execute("DELETE FROM blocks WHERE height <= ?", (newest - KEPT_BLOCKS,))

    def rewind(self, change: Change) -> None:
        """Take away the newest blocks that are indexed: what they added, handed over again."""
        lowest = min(block.height for block in change.blocks)
        with self._writing() as connection:
            _grow(connection, change, -1)
            connection.execute("DELETE FROM blocks WHERE height >= ?", (lowest,))
            connection.execute("DELETE FROM memos WHERE rowid >= ?", (_row_of(Place(lowest, 0)),))
            connection.execute("DELETE FROM hours WHERE blocks = 0")
            connection.execute("DELETE FROM takings WHERE entries = 0")
            connection.execute("DELETE FROM accounts WHERE balance = 0 AND entries = 0")

    # ------------------------------------------------------------------------------------------- reading

    def secret(self) -> bytes:
        """Return 32 random bytes that live as long as the index: the page marks what it hands out by them."""
        rows = self._rows((bytes,), "SELECT value FROM meta WHERE name = 'secret'")
        if not rows:
            raise self._no_row_of_ours()
        secret: bytes = rows[0][0]
        return secret

    def newest(self, limit: int = 1) -> list[BlockRow]:
        """Return the newest blocks that are indexed, the newest first."""
        kinds = (int, bytes, int, int, int, int)
        rows = self._rows(kinds, "SELECT * FROM blocks ORDER BY height DESC LIMIT ?", limit)
        return [BlockRow(*row) for row in rows]

    def hash_at(self, height: int) -> bytes | None:
        """Return the hash of the block that is indexed at a height; None where it is not known (any more)."""
        rows = self._rows((bytes,), "SELECT hash FROM blocks WHERE height = ?", height)
        return rows[0][0] if rows else None

    def hours(self, first: int, limit: int) -> list[Hour]:
        """Return the hours from `first` on that have blocks, ascending, at most `limit`."""
        kinds = (int, int, int, int, int, _NUMBER)
        rows = self._rows(kinds, "SELECT * FROM hours WHERE hour >= ? ORDER BY hour LIMIT ?", first, limit)
        return [Hour._make((*sums, _whole(amount))) for *sums, amount in rows]

    def takings(self, key: bytes, first: int, limit: int) -> list[Takings]:
        """Return what an account was paid in the hours from `first` on, ascending, at most `limit` hours."""
        rows = self._rows(
            (int, int, _NUMBER),
            "SELECT hour, takings.entries, amount FROM takings JOIN accounts ON account = id"
            " WHERE key = ? AND hour >= ? ORDER BY hour LIMIT ?",
            *(key, first, limit),
        )
        return [Takings(hour, entries, _whole(amount)) for hour, entries, amount in rows]

    def by_balance(self, limit: int, after: tuple[int, int] | None = None) -> list[Ranked]:
        """Return accounts, the richest first; `after` is balance and id of the last one before this page."""
        return self._ranked(_BY_BALANCE, limit, after)

    def by_entries(self, limit: int, after: tuple[int, int] | None = None) -> list[Ranked]:
        """Return accounts, the busiest first; `after` is entries and id of the last one before this page."""
        return self._ranked(_BY_ENTRIES, limit, after)

    def find_memos(self, text: str, limit: int, before: Place | None = None) -> list[Place]:
        """Return where memos hold all words of a text, the last one perhaps begun, the newest first."""
        wanted = plain_query(text)
        if not wanted:
            return []
        end = min(_row_of(before), _BEYOND) if before is not None else _BEYOND
        rows = self._ask(
            "SELECT rowid FROM memos WHERE memos MATCH ? AND rowid < ? ORDER BY rowid DESC LIMIT ?",
            *(wanted, end, limit),
        )
        return [_place_of(row) for (row,) in rows]

    def _ranked(self, query: str, limit: int, after: tuple[int, int] | None) -> list[Ranked]:
        kinds = (int, bytes, int, int)
        return [Ranked(*row) for row in self._rows(kinds, query, *(after or (_BEYOND, 0)), limit)]

    # ---------------------------------------------------------------------------------------- the file

    def _ask(self, query: str, *values: object) -> list[Any]:
        with _faults(self._path), closing(self._connect()) as connection:
            return connection.execute(query, values).fetchall()

    def _rows(
        self, kinds: Sequence[type | tuple[type, ...]], query: str, *values: object
    ) -> list[tuple[Any, ...]]:
        """Return rows whose columns are of these kinds. SQLite itself would take anything anywhere."""
        rows = self._ask(query, *values)
        if not all(len(row) == len(kinds) and all(map(_is_of_kind, row, kinds)) for row in rows):
            raise self._no_row_of_ours()
        return rows

    def _no_row_of_ours(self) -> IndexFault:
        return IndexFault(
            f"the page's index {self._path} is damaged (a row is none that it writes)", is_damage=True
        )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with (
            _faults(self._path),
            closing(self._connect()) as connection,
            _transaction(connection),
        ):
            yield connection

    def _connect(self) -> sqlite3.Connection:
        name = self._path.absolute().as_uri() + "?mode=rw"
        connection = sqlite3.connect(name, uri=True, isolation_level=None)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return connection

    def _is_ours(self) -> bool:
        if not self._path.is_file():
            return False
        try:
            with closing(self._connect()) as connection:
                named = dict(connection.execute("SELECT name, value FROM meta").fetchall())
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise
            return False
        return named.get("made_for") == self._made_for and _is_of_kind(named.get("secret"), bytes)


def plain_query(text: str) -> str:
    """Return a text as a query that FTS5 takes for words and nothing else; "" where there are none.

    Each word is a string of its own, so that no operator, column or quote of FTS5 is one. The last may be
    begun only, from two characters on.
    """
    words = ["".join(c for c in word if c != "\0")[:64] for word in text.split()][:8]
    quoted = ['"' + word.replace('"', '""') + '"' for word in words if any(_is_word(c) for c in word)]
    if quoted and len(words[-1]) >= 2 and _is_word(words[-1][-1]):
        quoted[-1] += "*"
    return " ".join(quoted)


def _is_word(character: str) -> bool:
    """Tell whether FTS5 may take a character for a part of a word; the rest it leaves out."""
    return character.isalnum() or ord(character) > 0xA0 or character in "$+<=>^`|~"


def _row_of(place: Place) -> int:
    return place.height << _POSITION_BITS | place.position


def _place_of(row: int) -> Place:
    return Place(row >> _POSITION_BITS, row & ((1 << _POSITION_BITS) - 1))


def _grow(connection: sqlite3.Connection, change: Change, sign: int) -> None:
    """Add all sums of a change, or take them away."""
    hours = [(hour, *(_bound(sign * n) for n in sums)) for hour, sums in change.hours.items()]
    connection.executemany(_ADD_HOUR, hours)
    accounts = [(key, sign * balance, sign * entries) for key, (balance, entries) in change.accounts.items()]
    connection.executemany(_ADD_ACCOUNT, accounts)
    takings = [
        (hour, sign * entries, _bound(sign * amount), key)
        for (key, hour), (entries, amount) in change.takings.items()
    ]
    connection.executemany(_ADD_TAKINGS, takings)


def _bound(number: int) -> int | float:
    """Return a number as SQLite takes it."""
    return number if number in _SQLITE_INTEGERS else float(number)


def _is_of_kind(value: object, kind: type | tuple[type, ...]) -> bool:
    if isinstance(value, bytes):
        return kind is bytes and len(value) == _HASH_BYTES
    return isinstance(value, kind) and not (isinstance(value, float) and math.isinf(value))


def _whole(number: float) -> int:
    """Return a sum of amounts as read; what was rounded in between may leave a little less than nothing."""
    return max(0, int(number))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        is_damage = isinstance(error, sqlite3.Error) and (_is_damage(error) or _is_gone(path))
        what = "is damaged" if is_damage else "cannot be used now"
        raise IndexFault(f"the page's index {path} {what} ({error})", is_damage=is_damage) from error


def _is_gone(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def _is_damage(error: sqlite3.Error) -> bool:
    """Tell whether the file itself is not as it was made, so that another time will not help."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # Python's own module found text that is none
        return True
    # A query that somebody typed may fail too, and says nothing about the file.
    return code & 0xFF in _DAMAGED or str(error).startswith(_MISSING)
