"""What mining decides from numbers alone: the hash rate of late, and when to replace a dead worker.

Pure: times are handed in, in seconds of any clock that only goes forward.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

RATE_WINDOW_S: Final = 5.0
"""How far back the hash rate looks."""

MEASURABLE_US: Final = 10_000
"""Shorter searches measure the clock rather than the machine."""

MAX_REPORTS: Final = 1024
"""Kept of one worker; it sends four a second, and one more for each change of its job."""


class HashrateWindow:
    """Hashes per second over the last few seconds of searching, all workers together."""

    def __init__(self, span: float = RATE_WINDOW_S) -> None:
        self._span = span
        self._workers: dict[int, _Heard] = {}
        self.last = 0
        """The last rate above zero."""

    def record(self, now: float, worker: int, hashes: int, microseconds: int) -> None:
        """Note what one worker did."""
        heard = self._workers.setdefault(worker, _Heard())
        heard.add(now, hashes, microseconds)
        self.last = self.rate(now) or self.last

    def rate(self, now: float) -> int:
        """Hashes per second; 0 when nothing worth measuring was heard of."""
        return sum(heard.rate(now - self._span) for heard in self._workers.values())


class _Heard:
    """What one worker reported of late, with its sums."""

    def __init__(self) -> None:
        self._reports: deque[tuple[float, int, int]] = deque()  # when, hashes, the microseconds they took
        self._hashes = 0
        self._spent = 0

    def add(self, now: float, hashes: int, microseconds: int) -> None:
        self._reports.append((now, hashes, microseconds))
        self._hashes += hashes
        self._spent += microseconds
        if len(self._reports) > MAX_REPORTS:
            self._drop()

    def rate(self, since: float) -> int:
        while self._reports and self._reports[0][0] < since:
            self._drop()
        return self._hashes * 1_000_000 // self._spent if self._spent >= MEASURABLE_US else 0

    def _drop(self) -> None:
        _, hashes, microseconds = self._reports.popleft()
        self._hashes -= hashes
        self._spent -= microseconds


class Restart(NamedTuple):
    """When to replace a worker that died."""

    delay: float
    """Seconds to wait."""
    slow: bool
    """Whether the quick attempts are used up."""


class RestartPolicy:
    """When a worker that dies is replaced: soon, then later, then once a minute; never given up."""

    QUICK: Final = 5
    FIRST_S: Final = 0.1
    SLOW_S: Final = 60.0
    STEADY_S: Final = 60.0
    """A worker that lived as long as this was well; the count begins again."""

    def __init__(self) -> None:
        self._deaths = 0

    def died(self, lived: float) -> Restart:
        """Note a death after `lived` seconds; when to try again."""
        if lived >= self.STEADY_S:
            self._deaths = 0
        self._deaths += 1
        if self._deaths > self.QUICK:
            return Restart(self.SLOW_S, slow=True)
        return Restart(self.FIRST_S * 2 ** (self._deaths - 1), slow=False)

    def ended(self) -> None:
        """Note a worker that ended because it was told to."""
        self._deaths = 0
