"""Files and folders for their owner alone: 0600 in 0700, written whole or not at all.

Touches the disk; no sockets. What others could read is tightened, and the answer says so in a sentence, so
that the owner learns of it; what cannot be tightened is refused by name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_OTHERS: Final = 0o077
_UNFINISHED: Final = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
"""The hidden names that files are written under first."""
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES})
"""What a file system without hard links (FAT on a USB stick, some network shares) answers to link()."""


class PathError(Exception):
    """A file or folder that cannot be used as it is; `hint` is the next thing to do."""

    code: Final = "path"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.message = message
        self.hint = hint


class UnfitFile(PathError):
    """Something else than the file that was written: a folder, a pipe, or something far too long."""


def trouble(doing: str, path: Path, error: OSError, hint: str = "look at its owner and space") -> PathError:
    """Return the named error for what the system answered: `cannot write /x/y (No space left on device)`."""
    return PathError(f"cannot {doing} {path} ({error.strerror or error})", hint)


def expanded(path: Path) -> Path:
    """Return the path with a home folder in the place of `~` or `~user`. Raises PathError: it has none."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise PathError(f"no home folder is known for {str(path)[:60]!a}", "write the whole path") from None


def make_private_folder(folder: Path) -> str | None:
    """Make `folder` (and what leads to it) or tighten it; return a sentence when it was open to others."""
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise PathError(f"{folder} is no folder", "move it away or name another place") from None
        return tighten(folder, FOLDER_MODE)
    except OSError as error:
        raise trouble("make the folder", folder, error) from None
    return None


def tighten(path: Path, mode: int) -> str | None:
    """Set `mode` on a path that group or others can use; return a sentence when that was so.

    Raises PathError when it is open and cannot be tightened (another owner, a file system without modes).
    """
    try:
        found = stat.S_IMODE(path.stat().st_mode)
        if not found & _OTHERS:
            return None
        path.chmod(mode)
        still = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise trouble("protect", path, error, "it must belong to you alone") from None
    if still & _OTHERS:
        raise PathError(
            f"others can use {path} (mode {still:04o}), and its file system does not let that be changed",
            "keep it on a file system with permissions",
        )
    return f"{path} was open to others (mode {found:04o}); now it is yours alone ({mode:04o})"


def create_private_file(path: Path, content: bytes) -> None:
    """Write a new file, 0600, durable when this returns; FileExistsError when there is one already.

    Written under another name first, so that a crash never leaves half a file under this one.
    """
    temporary = _write_beside(path, content)
    try:
        _name_without_overwriting(temporary, path)
    except FileExistsError:
        raise
    except OSError as error:
        raise trouble("write", path, error) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    _sync_folder(path.parent)


def free_name(path: Path) -> Path:
    """Return the first name of the form `path.bad-N` that nothing has, for what is set aside."""
    number = 1
    while os.path.lexists(found := path.with_name(f"{path.name}.bad-{number}")):
        number += 1
    return found


def replace_private_file(path: Path, content: bytes) -> None:
    """Write a file, 0600, in the place of what was there: the old one or the new one, never half of one."""
    temporary = _write_beside(path, content)
    try:
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise trouble("write", path, error) from None
    _sync_folder(path.parent)


@contextlib.contextmanager
def writing_private_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file, 0600, that takes the place of `path` when the block ends: whole and durable.

    Where the block ends by an exception, nothing is left of it. Raises PathError: it cannot be written.
    """
    temporary = _beside(path)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError as error:
        raise trouble("write", path, error) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Keep others who do the same out while a file is read and replaced. Raises PathError.

    The lock is a hidden file beside it, as the file itself is another one each time; the system lets go of it
    whatever becomes of the process.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise trouble("lock", lock, error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise trouble("lock", lock, error) from None
        yield
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what a crash left of files that were being written; only where nobody else writes.

    Raises PathError: the folder cannot be read.
    """
    try:
        paths = list(folder.iterdir())
    except OSError as error:
        raise trouble("look into", folder, error, "look at its owner and permissions") from None
    for path in paths:
        if _UNFINISHED.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink()


def read_bounded(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes; FileNotFoundError when there is none.

    Opened without waiting, so that a pipe in the place of a file cannot hold the process.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnfitFile(f"{path} is no regular file", "move it away or name another place")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read(limit + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise trouble("read", path, error, "look at its owner and permissions") from None
    if len(content) > limit:
        raise UnfitFile(f"{path} is longer than {limit} bytes", "it is not what it should be: name another")
    return content


def _beside(path: Path) -> Path:
    """Return a fresh hidden name in the folder of `path`."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


def _write_beside(path: Path, content: bytes) -> Path:
    """Write and sync a file of a fresh hidden name in the folder of `path`; return where."""
    temporary = _beside(path)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise trouble("write", path, error) from None
    return temporary


def _name_without_overwriting(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except OSError as error:
        if isinstance(error, FileExistsError) or error.errno not in _NO_LINKS:
            raise
        # Without hard links there is no atomic way that works everywhere: two who create the same name in
        # the same instant are the one case left, and the wallet's own check before this makes it rarer.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "it exists", str(path)) from None
        temporary.rename(path)


def _sync_folder(folder: Path) -> None:
    """Make a new name durable."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that syncs its folders by itself
            raise trouble("write in", folder, error) from None
