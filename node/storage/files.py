"""The data folder as a node keeps it to itself: its lock, and the space that is left.

Touches the disk. (Files for their owner alone, written whole or not at all, are made in `node.private`.)
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from node.private import FILE_MODE
from node.storage.faults import BookFault, InUse

LOCK_NAME: Final = "lock"
LEAST_FREE_BYTES: Final = 50 << 20
"""With less space than this a node stops, cleanly, while it still can."""

_MAX_PID: Final = 32


class FolderLock:
    """The right to write in a data folder; given back when the process ends, however it ends.

    Children do not inherit it. Use as a context manager, or `release` it.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock of a folder that exists. Raises InUse naming the folder and who has it; BookFault."""
        path = folder / LOCK_NAME
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise BookFault(
                f"cannot open {path} ({error.strerror})", "move it away, or look at its owner and permissions"
            ) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(self._descriptor, _MAX_PID, 0).decode("ascii", "replace").strip()
            self.release()
            raise InUse(
                f"{folder} is in use by another node (process {holder if holder.isdigit() else 'unknown'})",
                "stop that one, or give this one another --port or --data-dir",
            ) from None
        except OSError as error:
            self.release()
            raise BookFault(
                f"cannot lock {path} ({error.strerror})", "look at its disk, or name another folder"
            ) from None

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would let two take it at once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder(folder: Path) -> int | None:
    """Return the process that has, or had last, the lock of a folder; the lock itself is not touched."""
    try:
        found = (folder / LOCK_NAME).read_bytes()[:_MAX_PID].strip()
    except OSError:
        return None
    return int(found) if found.isdigit() else None


def free_bytes(path: Path) -> int:
    """Return the space that this user may still fill on the disk of `path`. Raises BookFault."""
    try:
        found = os.statvfs(path)
    except OSError as error:
        raise BookFault(
            f"cannot look at the disk of {path} ({error.strerror})", "is it still there?"
        ) from None
    return found.f_bavail * found.f_frsize
