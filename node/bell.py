"""What the one task that handles events waits for: the next event, or its time.

On the event loop. An asyncio.Event under `wait_for` does the same with a task and three turns of the loop for
each wait, and every entry typed here is two waits.
"""

from __future__ import annotations

import asyncio


class Bell:
    """Wakes the one who waits; rung while nobody waits, the next wait ends at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """There is something. Call it on the event loop."""
        self._is_rung = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Return when the bell was rung since the last wait, after so many seconds at the latest."""
        if not self._is_rung:
            self._waiter = self._loop.create_future()
            timer = self._loop.call_later(seconds, self.ring)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        self._is_rung = False
