"""The bell that wakes the task of events: rung before, meanwhile, never, and twice."""

from __future__ import annotations

import asyncio

from node.bell import Bell

LONG_S = 3600.0


async def rung(bell: Bell) -> asyncio.Task[None]:
    """Return a task that waits for the bell, once it does."""
    waiting = asyncio.create_task(bell.wait(LONG_S))
    await asyncio.sleep(0)
    assert not waiting.done()
    return waiting


def test_rung_before_it_does_not_wait_and_waits_the_next_time() -> None:
    async def scenario() -> None:
        bell = Bell(asyncio.get_running_loop())
        bell.ring()
        bell.ring()
        await bell.wait(LONG_S)
        waiting = await rung(bell)
        bell.ring()
        await waiting

    asyncio.run(scenario())


def test_rung_many_times_meanwhile_it_wakes_once() -> None:
    async def scenario() -> None:
        bell = Bell(asyncio.get_running_loop())
        waiting = await rung(bell)
        bell.ring()
        bell.ring()
        await waiting
        waiting = await rung(bell)
        bell.ring()
        await waiting

    asyncio.run(scenario())


def test_it_wakes_when_the_time_comes() -> None:
    async def scenario() -> None:
        bell = Bell(asyncio.get_running_loop())
        await bell.wait(0.0)
        await bell.wait(0.001)

    asyncio.run(scenario())


def test_a_wait_that_is_cancelled_leaves_the_bell_usable() -> None:
    async def scenario() -> None:
        bell = Bell(asyncio.get_running_loop())
        waiting = await rung(bell)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        bell.ring()
        await bell.wait(LONG_S)

    asyncio.run(scenario())
