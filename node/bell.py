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
        self._timer: asyncio.TimerHandle | None = None
        """Left as it is by a wait that ends sooner: the next one most often wants no earlier one."""

    def ring(self) -> None:
        """There is something. Call it on the event loop."""
        self._is_rung = True
        self._wake()

    async def wait(self, seconds: float) -> None:
        """Return when the bell was rung since the last wait, after so many seconds at the latest.

        Now and then it returns before, for no reason.
        """
        if not self._is_rung:
            self._set_timer(self._loop.time() + seconds)
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._is_rung = False

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
