"""Virtual time: a heap of (time, sequence, action). What was asked for first happens first. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable

Action = Callable[[], None]


class Kernel:
    """The one clock of a world, in milliseconds since its start."""

    def __init__(self) -> None:
        self.now_ms = 0
        self._heap: list[tuple[int, int, Action]] = []
        self._sequence = 0

    def at(self, time_ms: int, do: Action) -> None:
        """Have something happen at a time; now, where it has passed."""
        self._sequence += 1
        heapq.heappush(self._heap, (max(time_ms, self.now_ms), self._sequence, do))

    def after(self, delay_ms: int, do: Action) -> None:
        """Have something happen later."""
        self.at(self.now_ms + delay_ms, do)

    def run_until(self, time_ms: int) -> None:
        """Let time pass up to and with `time_ms`."""
        heap = self._heap
        while heap and heap[0][0] <= time_ms:
            self.now_ms, _, do = heapq.heappop(heap)
            do()
        self.now_ms = max(self.now_ms, time_ms)
