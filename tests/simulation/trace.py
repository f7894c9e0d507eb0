"""What happened, as one hash, and the last of it as lines for people. Pure.

Every action of a world is a line; the hash of all lines is what two runs of a seed must agree on.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import Final

KEPT: Final = 400
"""Lines kept for a failure."""


class Trace:
    """The lines of one run."""

    def __init__(self, now_ms: Callable[[], int], *, follow: Callable[[str], None] | None = None) -> None:
        """`follow` is given each line for people as it comes."""
        self._now_ms = now_ms
        self._hash = hashlib.blake2b(digest_size=16)
        self._last: deque[str] = deque(maxlen=KEPT)
        self._follow = follow

    def note(self, line: str) -> None:
        """Take a line that only the hash needs."""
        self._hash.update(f"{self._now_ms()} {line}\n".encode())

    def tell(self, line: str) -> None:
        """Take a line that people read where the run fails."""
        self.note(line)
        now_ms = self._now_ms()
        stamped = f"{now_ms // 1000:>6}.{now_ms % 1000:03} {line}"
        self._last.append(stamped)
        if self._follow is not None:
            self._follow(stamped)

    @property
    def hex(self) -> str:
        """The hash so far."""
        return self._hash.hexdigest()

    @property
    def last(self) -> list[str]:
        """The last lines for people."""
        return list(self._last)
