"""The journal of entries typed here: on disk before their sender is told that they are taken.

Touches the disk: one file that only grows until it is emptied. Each entry is framed by its length and a
CRC-32, so that whatever a crash leaves of the last ones is noticed: what is whole is kept, the rest is cut
off and told of. A file that cannot be read at all is set aside; it never keeps a node from starting.

While a node runs, zeros stand behind the last entry: syncing bytes of a file that does not grow takes two
thirds of the time (0.13 ms against 0.19), for the file's own record need not be written too. Zeros are no
entry, so they are the end wherever a crash leaves them; a clean stop cuts them off.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from node.private import FILE_MODE, PathError, create_private_file, free_name, replace_private_file, tighten
from node.storage.faults import BookFault, fault_of_file

MAX_FRAME: Final = 1 << 16
"""Bytes of one entry, at most: many times what the ledger allows."""

ROOM: Final = 1 << 18
"""Zeros written at a time, behind the entries: over a thousand of those fit."""

_HEAD: Final = struct.Struct(">II")
"""Length of what follows, CRC-32 of that length (u32) and what follows."""
_LENGTH: Final = struct.Struct(">I")
_ZERO: Final = b"\0"


class Journal:
    """An open journal; one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open the journal at `path`, an empty one where there is none.

        Raises BookFault where no file can be made there.
        """
        self._path = path
        self.notices: list[str] = []
        """Sentences for the log, of what had to be cut off, set aside or closed to others."""
        try:
            self._prepare()
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise fault_of_file(error, path) from None
        except PathError as error:
            raise BookFault(error.message, error.hint) from None
        self._size = path.stat().st_size
        """Of the file, with the zeros behind the entries."""
        self.end = len(_framed(_frames(os.pread(self._descriptor, self._size, 0))))
        """Where the next entry goes."""

    def read(self) -> list[bytes]:
        """Return the entries, in the order in which they were appended."""
        return list(_frames(os.pread(self._descriptor, self.end, 0)))

    def append(self, raws: Iterable[bytes]) -> None:
        """Add entries; they are durable when this returns. Raises BookFault: then none of them is there."""
        content = _framed(raws)
        if self.end + len(content) > self._size:
            self._make_room(len(content))
        try:
            written = os.pwrite(self._descriptor, content, self.end)
            if written < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            _sync(self._descriptor)
        except OSError as error:
            self._cut()  # where that fails too, the next start does it
            raise fault_of_file(error, self._path) from None
        self.end += len(content)
        self._size = max(self._size, self.end)

    def empty(self) -> None:
        """Forget all entries: they stand in another file by now. Raises BookFault."""
        try:
            os.ftruncate(self._descriptor, 0)
            _sync(self._descriptor)
        except OSError as error:
            raise fault_of_file(error, self._path) from None
        self.end = self._size = 0

    def close(self) -> None:
        """Close the file, without what is free in it."""
        self._cut()
        os.close(self._descriptor)

    def _make_room(self, count: int) -> None:
        """Write zeros for so many bytes and more; on a full disk the file grows as it is used."""
        with contextlib.suppress(OSError):
            written = os.pwrite(self._descriptor, bytes(count + ROOM), self.end)
            self._size = max(self._size, self.end + written)

    def _cut(self) -> None:
        """Take off all that stands behind the entries, if that can be done."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self.end)
            self._size = self.end

    def _prepare(self) -> None:
        """Leave a file of whole frames at the path, for its owner alone."""
        with contextlib.suppress(FileExistsError):
            create_private_file(self._path, b"")
        try:
            said = tighten(self._path, FILE_MODE)
            content = self._path.read_bytes()
        except (OSError, PathError) as error:
            aside = free_name(self._path)
            self._path.rename(aside)
            why = error.message if isinstance(error, PathError) else error.strerror or str(error)
            self.notices.append(f"{self._path} could not be read ({why}); it is {aside} now")
            create_private_file(self._path, b"")
            return
        if said:
            self.notices.append(said)
        whole = list(_frames(content))
        kept = _framed(whole)
        broken = _broken(content, kept)
        if broken:
            aside = free_name(self._path)
            create_private_file(aside, content)
            replace_private_file(self._path, kept)
            self.notices.append(
                f"{self._path}: {broken} broken bytes were cut out, {len(whole)} entries "
                f"are whole; the file as it was is {aside} now"
            )


def broken_bytes(content: bytes) -> int:
    """Return how many bytes of a journal belong to no whole entry."""
    return _broken(content, _framed(_frames(content)))


def _broken(content: bytes, kept: bytes) -> int:
    """Return how many bytes of a journal belong to none of the entries that were kept of it."""
    if content.startswith(kept):
        return len(content[len(kept) :].rstrip(_ZERO))
    return len(content.rstrip(_ZERO)) - len(kept.rstrip(_ZERO))


def _framed(raws: Iterable[bytes]) -> bytes:
    parts = []
    for raw in raws:
        if len(raw) > MAX_FRAME:
            raise ValueError(f"an entry of {len(raw)} bytes, at most {MAX_FRAME}")
        length = _LENGTH.pack(len(raw))
        parts += [length, _LENGTH.pack(zlib.crc32(length + raw)), raw]
    return b"".join(parts)


def _frames(content: bytes) -> Iterator[bytes]:
    """Yield what the whole frames hold; bytes between them are passed over one by one."""
    at = 0
    last = len(content.rstrip(_ZERO))  # no frame begins behind it: length and check are never both 0
    while at < last and at + _HEAD.size <= len(content):
        length, check = _HEAD.unpack_from(content, at)
        start = at + _HEAD.size
        end = start + length
        # Cut out only what can be a frame: copying the rest for each byte of rubbish would take minutes.
        if length <= MAX_FRAME and end <= len(content):
            raw = content[start:end]
            if zlib.crc32(content[at : at + _LENGTH.size] + raw) == check:
                yield raw
                at = end
                continue
        at += 1


def _sync(descriptor: int) -> None:
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is None:
        os.fdatasync(descriptor)  # the size too, where it changed
    else:  # macOS, where an ordinary sync leaves the data in the drive's own memory
        fcntl.fcntl(descriptor, full)
