"""Accounts on the side, in bounded memory: what a branch is proven on, and what `verify` reckons with.

Touches the disk only beyond its bound: a private temporary SQLite database without a name, which the system
removes by itself. One thread writes; once nobody writes any more, two may read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any, Final

from node.ledger.state import AccountState
from node.storage.bulk import put_accounts
from node.storage.port import StorageFault

DEFAULT_BOUND: Final = 200_000
"""Accounts in memory, some 60 MB at most."""

_ROWS_AT_ONCE: Final = 1_000
_CACHE_KIB: Final = 16_384


class SpillingScratch:
    """A dict of accounts over those of `below`; beyond `bound` keys it goes on in a temporary database.

    Satisfies port.Scratch.
    """

    def __init__(self, below: Callable[[bytes], AccountState], bound: int = DEFAULT_BOUND) -> None:
        self._below = below
        self._bound = bound
        self._held: dict[bytes, AccountState] = {}
        """The latest; what is in the database too is newer here."""
        self._spilled: sqlite3.Connection | None = None
        # Reads may come from the writer's thread and the loop's at once; one connection takes one at a time.
        self._lock = Lock()

    def __getitem__(self, key: bytes, /) -> AccountState:
        """Return the account as written here, else as it is below."""
        found = self.held(key)
        return self._below(key) if found is None else found

    def held(self, key: bytes) -> AccountState | None:
        """Return the account as written here, None where it was not."""
        found = self._held.get(key)
        if found is None and self._spilled is not None:
            rows = self._ask(self._spilled, "SELECT balance, nonce FROM accounts WHERE key = ?", key)
            found = rows[0] if rows else None
        return found

    def __setitem__(self, key: bytes, account: AccountState, /) -> None:
        """Set the account here. Raises StorageFault when the temporary disk is full."""
        self._held[key] = account
        if len(self._held) > self._bound:
            self._spill()

    def keep(self, key: bytes, account: AccountState) -> None:
        """Set the account unless it was written here already."""
        if self.held(key) is None:
            self[key] = account

    def items(self) -> Iterator[tuple[bytes, AccountState]]:
        """Yield all that was written here, each key once, in bounded memory."""
        if self._spilled is None:
            yield from self._held.items()
            return
        after = b""
        while True:
            query = "SELECT key, balance, nonce FROM accounts WHERE key > ? ORDER BY key LIMIT ?"
            rows = self._ask(self._spilled, query, after, _ROWS_AT_ONCE)
            if not rows:
                break
            for key, balance, nonce in rows:
                if key not in self._held:
                    yield key, (balance, nonce)
            after = rows[-1][0]
        yield from self._held.items()

    def __len__(self) -> int:
        """Return how many keys were written here; a count over the database where there is one."""
        if self._spilled is None:
            return len(self._held)
        self._spill()
        return int(self._ask(self._spilled, "SELECT count(*) FROM accounts")[0][0])

    def close(self) -> None:
        """Free what it holds."""
        self._held = {}
        if self._spilled is not None:
            self._spilled.close()
            self._spilled = None

    def _spill(self) -> None:
        """Move what is in memory to the database."""
        try:
            with self._lock:
                if self._spilled is None:
                    self._spilled = _temporary_database()
                put_accounts(self._spilled, self._held)
        except sqlite3.Error as error:
            raise _fault(error) from None
        self._held = {}

    def _ask(self, connection: sqlite3.Connection, query: str, *values: object) -> list[Any]:
        try:
            with self._lock:
                return connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise _fault(error) from None


def _temporary_database() -> sqlite3.Connection:
    connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute("CREATE TABLE accounts (key BLOB PRIMARY KEY, balance, nonce) WITHOUT ROWID")
    connection.execute("BEGIN")  # never committed: it is gone when it is closed
    return connection


def _fault(error: sqlite3.Error) -> StorageFault:
    return StorageFault(
        f"the temporary directory failed ({error}): free some space there, or set TMPDIR to a larger one"
    )
