"""What a power failure leaves of a file: between what was synced and what was written, in any mixture. Pure.

What was synced stays. Of bytes written since, each sector may be there, or the old one, or (half-written)
nothing that anybody wrote; a file that grew may have any length between. Draws from `dice` by the lengths
alone, so that the same writes and seed leave the same damage, whatever salts SQLite drew for itself.
"""

from __future__ import annotations

from random import Random
from typing import Final

_SECTOR: Final = 512
_PAGE: Final = 4_096
_LOG_HEAD: Final = 32
"""Bytes of the write-ahead log's header; see https://sqlite.org/fileformat2.html#walformat."""
_FRAME_HEAD: Final = 24


def torn(old: bytes, new: bytes, start: int, end: int, dice: Random) -> bytes:
    """Return what may be left where `new` was being written over `old`, from `start` up to `end`."""
    style = dice.randrange(8)
    if style == 0:
        return old
    if style == 1:
        return new
    if style <= 4:  # in order, up to any byte; the sector there perhaps spoilt
        cut = dice.randint(start, end)
        spoilt = dice.randbytes(dice.randrange(_SECTOR)) if dice.randrange(2) else b""
        spoilt = spoilt[: end - cut]
        return new[:cut] + spoilt + old[cut + len(spoilt) :]
    return _scattered(old, new, start, end, dice)


def _scattered(old: bytes, new: bytes, start: int, end: int, dice: Random) -> bytes:
    """Return a mixture by sectors: the drive writes them in the order that it likes."""
    left = bytearray(new[:start])
    kept = max(start, len(old))
    """Up to where the file surely reaches."""
    for at in range(start - start % _SECTOR, end, _SECTOR):
        first, last = max(at, start), min(at + _SECTOR, end)
        fate = dice.randrange(5)
        garbage = dice.randbytes(last - first)
        if fate <= 1:
            left += old[first:last].ljust(last - first, b"\0")
            continue
        left += new[first:last] if fate <= 3 else garbage
        kept = max(kept, last)
    left += old[end:]
    return bytes(left[: max(kept, dice.randint(kept, max(kept, len(left))))])


def torn_log(old: bytes, new: bytes, dice: Random) -> bytes:
    """Return what may be left of a write-ahead log: synced after its header, and after each commit."""
    end = _end_of_frames(new)
    if old[:_LOG_HEAD] == new[:_LOG_HEAD]:
        return torn(old, new, _end_of_frames(old), end, dice)
    # Begun anew from its front, for all of it stands in the book.
    if not dice.randrange(4):
        headed = new[:_LOG_HEAD] + old[_LOG_HEAD:]
        return torn(old, headed, 0, _LOG_HEAD, dice)
    return torn(new[:_LOG_HEAD] + old[_LOG_HEAD:], new, _LOG_HEAD, end, dice)


def torn_pages(old: bytes, new: bytes, dice: Random) -> bytes:
    """Return what may be left of the book where pages of the log were being copied into it."""
    left = bytearray(old.ljust(len(new), b"\0")[: len(new)])
    reaches = len(old)
    for at in range(0, len(new), _PAGE):
        fate = dice.randrange(4)
        page = new[at : at + _PAGE]
        spoilt = torn(bytes(left[at : at + _PAGE]), page, 0, len(page), dice) if fate == 0 else b""
        if fate == 1 or page == left[at : at + _PAGE]:
            continue  # not yet, or never: only pages that are written can break
        left[at : at + len(page)] = spoilt if fate == 0 else page
        reaches = max(reaches, at + len(page))
    return bytes(left[: min(len(left), reaches)])


def _end_of_frames(log: bytes) -> int:
    """Return where the frames end that follow this header; what comes after is left from an earlier turn."""
    salts, at = log[16:24], _LOG_HEAD
    while len(salts) == 8 and log[at + 8 : at + 16] == salts:
        at += _FRAME_HEAD + _PAGE
    return min(at, len(log))
