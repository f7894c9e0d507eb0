"""Events for browsers: bounded, and to be taken up again where one left off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from node.events import Level
from node.web import hub as hub_module
from node.web.hub import KEPT, MAX_BROWSERS, MAX_UNREAD, Event, Hub, Subscription, TooManyBrowsers
from tests.building import ChainBuilder
from tests.fake_node import FakeNode, served

pytestmark = pytest.mark.asyncio


def event(number: int) -> Event:
    return {"time_ms": number, "kind": "entry-pending", "level": "info", "text": f"{number}", "fields": {}}


async def read(subscription: Subscription, count: int) -> list[Event]:
    return [await anext(subscription) for _ in range(count)]


async def rest(subscription: Subscription) -> list[Event]:
    subscription.close()
    return [found async for found in subscription]


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


async def test_every_browser_gets_every_event_in_order(hub: Hub) -> None:
    one, two = hub.subscribe(), hub.subscribe()
    for number in range(3):
        hub.publish(event(number))
    for browser in (one, two):
        assert [found["text"] for found in await read(browser, 3)] == ["0", "1", "2"]


async def test_ids_are_each_its_own(hub: Hub, tmp_path: Path) -> None:
    other = Hub(tmp_path)
    for number in range(3):
        hub.publish(event(number))
        other.publish(event(number))
    assert len({found["id"] for found in hub.recent() + other.recent()}) == 6


async def test_a_browser_that_comes_back_goes_on_where_it_was(hub: Hub) -> None:
    for number in range(5):
        hub.publish(event(number))
    seen = hub.recent()[1]["id"]
    assert [found["text"] for found in await rest(hub.subscribe(seen))] == ["2", "3", "4"]
    assert await rest(hub.subscribe(hub.recent()[-1]["id"])) == []


async def test_who_looked_before_anything_happened_goes_on_from_there(hub: Hub) -> None:
    assert await rest(hub.subscribe(hub.last_id)) == []
    hub.publish(event(0))
    assert hub.last_id == hub.recent()[-1]["id"]
    assert await rest(hub.subscribe(hub.last_id)) == []


@pytest.mark.parametrize("last_id", ["of another run", "0", "x" * 10_000])
async def test_a_browser_whose_last_event_is_not_known_is_told_that_it_missed_some(
    hub: Hub, last_id: str
) -> None:
    hub.publish(event(0))
    (missed,) = await rest(hub.subscribe(last_id))
    assert missed["kind"] == "missed"
    assert missed["id"] == hub.recent()[-1]["id"], "from there it goes on"


async def test_an_event_is_kept_for_a_while_only(hub: Hub) -> None:
    for number in range(KEPT + 10):
        hub.publish(event(number))
    assert [found["text"] for found in hub.recent()] == [str(number) for number in range(10, KEPT + 10)]


async def test_a_browser_that_does_not_keep_up_is_told_so_and_dropped(hub: Hub) -> None:
    slow, quick = hub.subscribe(), hub.subscribe()
    for number in range(MAX_UNREAD + 5):
        hub.publish(event(number))
        await read(quick, 1)
    (word,) = [found async for found in slow]
    assert word["kind"] == "too-slow"
    hub.publish(event(0))
    assert [found["text"] for found in await read(quick, 1)] == ["0"]


async def test_there_is_an_end_to_browsers(hub: Hub) -> None:
    open_ones = [hub.subscribe() for _ in range(MAX_BROWSERS)]
    with pytest.raises(TooManyBrowsers):
        hub.subscribe()
    open_ones[0].close()
    hub.subscribe()


async def test_at_the_end_every_browser_gets_what_it_has_not_read_and_then_the_end(hub: Hub) -> None:
    browser = hub.subscribe()
    hub.publish(event(1))
    hub.end()
    assert [found["text"] async for found in browser] == ["1"]
    with pytest.raises(TooManyBrowsers):
        hub.subscribe()


@asynccontextmanager
async def listening(hub: Hub) -> AsyncIterator[Subscription]:
    subscription = hub.subscribe()
    task = asyncio.create_task(hub.run())
    try:
        yield subscription
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_the_node_tells_arrives_and_its_coming_and_going_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "FIRST_RETRY_S", 0.01)
    chain = ChainBuilder()
    hub = Hub(tmp_path)
    async with listening(hub) as subscription:
        for _ in range(2):
            with served(FakeNode(chain, chain.genesis, tmp_path)) as node:
                assert (await anext(subscription))["kind"] == "node-here"
                assert hub.connected
                node.tell("block-connected", "block 1 connected")
                node.tell("chatter", "not worth telling", Level.DEBUG)
                node.tell("odd", "something odd", Level.WARNING)
                found = await read(subscription, 2)
                assert [one["kind"] for one in found] == ["block-connected", "odd"]
                assert set(found[0]) == {"id", "time_ms", "kind", "level", "text", "fields"}
            assert (await anext(subscription))["kind"] == "node-away"
            assert not hub.connected
