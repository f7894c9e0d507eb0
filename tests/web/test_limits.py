"""Bounds on what is asked at a time and in a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from node.web.limits import Limits

ELSEWHERE = ("192.0.2.9", 1)
OTHER = ("192.0.2.10", 1)
HERE = ("127.0.0.1", 1)

pytestmark = pytest.mark.asyncio


class Place:
    """An app whose answers wait until they are let go."""

    def __init__(self, at_once: int = 100, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.inside = asyncio.Semaphore(0)
        app = Starlette(
            routes=[Route("/", self._answer), Route("/api/x", self._answer), Route("/events", self._answer)]
        )
        self.limits = Limits(app, rate=1.0, burst=2, at_once=at_once, clock=clock)

    async def _answer(self, _: Request) -> Response:
        self.inside.release()
        await self.go.wait()
        return PlainTextResponse("hello")

    async def ask(self, client: tuple[str, int], path: str = "/") -> httpx.Response:
        transport = httpx.ASGITransport(self.limits, client=client)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:10000") as visitor:
            return await visitor.get(path)

    async def wait_for(self, inside: int) -> None:
        for _ in range(inside):
            await self.inside.acquire()


async def test_a_client_elsewhere_that_asks_too_often_is_told_when_to_come_back() -> None:
    now = [0.0]
    place = Place(clock=lambda: now[0])
    assert [(await place.ask(ELSEWHERE)).status_code for _ in range(3)] == [200, 200, 429]
    refused = await place.ask(ELSEWHERE, "/api/x")
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["code"] == "too-many-requests"
    assert (await place.ask(OTHER)).status_code == 200
    now[0] = 1.0
    assert (await place.ask(ELSEWHERE)).status_code == 200


async def test_viewers_at_this_machine_are_not_counted() -> None:
    place = Place()
    assert {(await place.ask(HERE)).status_code for _ in range(50)} == {200}


async def test_only_so_many_are_answered_at_a_time() -> None:
    place = Place(at_once=3)
    place.go.clear()
    waiting = [asyncio.create_task(place.ask(HERE)) for _ in range(3)]
    await place.wait_for(3)
    refused = await place.ask(HERE)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    place.go.set()
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
    assert (await place.ask(HERE)).status_code == 200


async def test_streams_of_events_do_not_take_the_place_of_requests() -> None:
    place = Place(at_once=1)
    place.go.clear()
    streams = [asyncio.create_task(place.ask(HERE, "/events")) for _ in range(5)]
    await place.wait_for(5)
    place.go.set()
    assert (await place.ask(HERE)).status_code == 200
    await asyncio.gather(*streams)
