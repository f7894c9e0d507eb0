"""/events: what is told to whom."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from node.web.hub import MAX_BROWSERS
from node.web.live import MAX_ELSEWHERE, for_all
from tests.web.site import ELSEWHERE, HERE, HOST, Site, site, visitor

pytestmark = pytest.mark.asyncio

EVENT = {
    "time_ms": 5,
    "kind": "block-connected",
    "level": "info",
    "text": "peer bob: block 7 connected",
    "fields": {"height": 7, "hash": "ab", "mined_here": True, "address": "192.0.2.7:9000"},
}


@asynccontextmanager
async def streaming(
    made: Site, client: tuple[str, int] = HERE, query: str = "", **headers: str
) -> AsyncIterator[tuple[dict[str, str], AsyncIterator[dict[str, Any]]]]:
    """Open the stream as a browser does; the headers, and the messages as they come."""
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    gone = asyncio.Event()
    named = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/events",
        "raw_path": b"/events",
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        "client": client,
        "server": ("127.0.0.1", 10_000),
    }

    async def receive() -> MutableMapping[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def messages() -> AsyncIterator[dict[str, Any]]:
        while True:
            part = (await sent.get())["body"].decode()
            fields = dict(line.split(": ", 1) for line in part.splitlines() if ": " in line)
            if "data" in fields:
                yield {"id": fields["id"], **json.loads(fields["data"])}

    async def send(message: MutableMapping[str, Any]) -> None:
        await sent.put(dict(message))

    task = asyncio.create_task(made.app(scope, receive, send))
    start = await sent.get()
    yield {name.decode(): value.decode() for name, value in start["headers"]}, messages()
    gone.set()
    await task


async def test_events_come_as_they_happen_to_each_who_looks(tmp_path: Path) -> None:
    with site(tmp_path, 1) as made:
        async with streaming(made) as (headers, one), streaming(made) as (_, two):
            assert headers["content-type"].startswith("text/event-stream")
            assert headers["cache-control"] == "no-store"
            made.context.events.publish(EVENT)
            for messages in (one, two):
                found = await anext(messages)
                assert {name: found[name] for name in EVENT} == EVENT
        assert not made.context.events._browsers, "who left is forgotten"


async def test_a_browser_that_was_away_gets_what_it_missed(tmp_path: Path) -> None:
    with site(tmp_path, 1) as made:
        for _ in range(3):
            made.context.events.publish(EVENT)
        seen = made.context.events.recent()[0]["id"]
        async with streaming(made, last_event_id=seen) as (_, messages):
            ids = [(await anext(messages))["id"] for _ in range(2)]
        assert ids == [event["id"] for event in made.context.events.recent()[1:]]


async def test_a_page_hears_of_what_happened_while_it_was_made(tmp_path: Path) -> None:
    with site(tmp_path, 1) as made:
        made.context.events.publish(EVENT)
        async with visitor(made) as here:
            page = (await here.get("/")).text
        (seen,) = re.findall(r'data-seen="([^"]+)"', page)
        assert seen == made.context.events.last_id
        made.context.events.publish(EVENT)
        async with streaming(made, query=f"after={seen}") as (_, messages):
            assert (await anext(messages))["id"] == made.context.events.last_id


async def test_other_machines_hear_of_the_book_and_not_of_people(tmp_path: Path) -> None:
    with site(tmp_path, 1) as made:
        async with streaming(made, ELSEWHERE) as (_, messages):
            made.context.events.publish(EVENT | {"kind": "peer-connected"})
            made.context.events.publish(EVENT)
            found = await anext(messages)
        assert (found["kind"], found["text"]) == ("block-connected", "")
        assert found["fields"] == {"height": 7, "hash": "ab"}


async def test_what_is_about_peers_is_for_this_machine() -> None:
    assert for_all({**EVENT, "kind": "peer-connected"}) is None
    assert for_all({**EVENT, "kind": "mining-held"}) is None


async def test_too_many_browsers_are_told_to_come_back(tmp_path: Path) -> None:
    with site(tmp_path, 1) as made:
        for _ in range(MAX_BROWSERS):
            made.context.events.subscribe()
        async with visitor(made) as here:
            answer = await here.get("/events")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_browsers_elsewhere_leave_room_for_those_at_this_machine(tmp_path: Path) -> None:
    with site(tmp_path, 1) as made:
        for _ in range(MAX_ELSEWHERE):
            made.context.events.subscribe()
        async with visitor(made, ELSEWHERE) as there:
            assert (await there.get("/events")).status_code == 503
        async with streaming(made):
            pass


async def test_the_head_of_the_stream_ends(tmp_path: Path) -> None:
    with site(tmp_path, 1) as made:
        async with visitor(made) as here:
            assert (await here.head("/events")).status_code == 200
