"""What can go wrong with a book on disk, each by name and with the next thing to do. Touches nothing.

All are StorageFault: this machine's trouble, never a peer's.
"""

from __future__ import annotations

import errno
import shlex
import sqlite3
from pathlib import Path
from typing import ClassVar

from node.storage.port import StorageFault


class BookFault(StorageFault):
    """A storage fault with its parts: `code` is stable, `hint` is the next thing to do."""

    code: ClassVar[str] = "storage"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.message = message
        self.hint = hint


class Damaged(BookFault):
    """The file is not as the node left it."""

    code = "book-damaged"


class DiskFull(BookFault):
    """There is no space left."""

    code = "disk-full"


class ForeignNetwork(BookFault):
    """The book is of another network than the one configured."""

    code = "foreign-network"


class NewerBook(BookFault):
    """The book was written by a later version of this program."""

    code = "newer-book"


class NotABook(BookFault):
    """There is something else where the book should be, or nothing."""

    code = "not-a-book"


class InUse(BookFault):
    """Someone else works on this folder or file."""

    code = "in-use"


def damaged(path: Path, what: str) -> Damaged:
    """Return the fault of a damaged book, with the command that remakes it."""
    return Damaged(f"{path} is damaged ({what})", f"remake it with: {rebuild_command(path)}")


def rebuild_command(path: Path) -> str:
    """Return what to type to remake the book at `path`."""
    return f"python cli.py --data-dir {shlex.quote(str(path.parent))} rebuild"


def fault_of_file(error: OSError, path: Path) -> BookFault:
    """Return the fault for what the system answered about a file, or about what is written in a folder."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(f"the disk of {path} is full", "free some space, then start the node again")
    return BookFault(
        f"cannot write {path} ({error.strerror or error})", "look at its disk, its owner and its permissions"
    )


def fault_of(error: sqlite3.Error, path: Path) -> BookFault:
    """Return the fault for what SQLite answered about the book at `path`."""
    # Some errors (text that is no UTF-8) come from Python's own module and have no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # the rest is detail
    if code == sqlite3.SQLITE_FULL:
        return DiskFull(f"the disk of {path} is full", "free some space, then start the node again")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return InUse(f"another program holds {path}", "close it, then start the node again")
    if code == sqlite3.SQLITE_CANTOPEN:
        beside = f"{path.name}-wal and {path.name}-shm beside it: their"
        return BookFault(f"cannot use {path} ({error})", f"look at it, and at {beside} owner and permissions")
    if code in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        return BookFault(f"cannot use {path} ({error})", "look at its disk, its owner and its permissions")
    return damaged(path, str(error))
