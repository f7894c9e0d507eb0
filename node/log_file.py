"""The log's file: for its owner alone, with a bound, kept by one process.

Touches the disk: the file that the settings name, and the older ones beside it (`node.log.1` and so on).
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from node.private import FILE_MODE, PathError, tighten, trouble

MAX_BYTES: Final = 10 << 20
BACKUPS: Final = 3

_HINT: Final = "name another file with --log-file, or leave it out"
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system without locks answers."""


def open_log_file(path: Path, max_bytes: int = MAX_BYTES) -> tuple[LogFile, str | None]:
    """Return the file, and a sentence when it was open to others. Raises PathError: it cannot be used."""
    try:
        file = LogFile(path, max_bytes)
    except BlockingIOError:
        raise PathError(f"another process writes its log to {path}", _HINT) from None
    except OSError as error:
        raise trouble("write the log to", path, error, _HINT) from None
    return file, tighten(path, FILE_MODE)


class LogFile(RotatingFileHandler):
    """Appends lines; a full file is moved aside, and the oldest is given up."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=BACKUPS, encoding="utf-8")

    def write(self, text: str) -> None:
        """Append a line. Raises OSError."""
        self.emit(logging.makeLogRecord({"msg": text}))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - as logging has it
        """Let the error through, instead of a traceback on standard error."""
        raise  # noqa: PLE0704 - logging calls this while it handles the error

    def _open(self) -> TextIOWrapper:
        """Open for appending, 0600. Raises OSError, BlockingIOError when another process keeps the file."""
        # Opened without waiting, so that a pipe in its place cannot hold the process.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(self.baseFilename, flags, FILE_MODE)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            _keep(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")


def _keep(descriptor: int) -> None:
    """Lock the file for this process: two that rotate one file would throw away each other's lines."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
