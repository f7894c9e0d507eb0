"""Compression, and tags that name what was sent."""

from __future__ import annotations

import gzip

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.web.answers import tagged
from node.web.packing import Packing

LONG = b"coffee " * 1_000

pytestmark = pytest.mark.asyncio


async def _long(request: Request) -> Response:
    return tagged(request, LONG, "text/plain")


async def _short(request: Request) -> Response:
    return tagged(request, b"coffee", "text/plain")


async def ask(path: str, **headers: str) -> httpx.Response:
    app = Packing(Starlette(routes=[Route("/long", _long), Route("/short", _short)]))
    named = {"accept-encoding": "identity"} | {name.replace("_", "-"): text for name, text in headers.items()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page") as visitor:
        return await visitor.get(path, headers=named)


async def test_what_is_long_is_packed_for_who_can_unpack_it() -> None:
    plain, packed = await ask("/long"), await ask("/long", accept_encoding="gzip")
    assert plain.content == packed.content == LONG
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(gzip.compress(LONG)) + 50
    assert plain.headers["etag"] != packed.headers["etag"]
    assert "Accept-Encoding" in plain.headers["vary"]


async def test_what_is_short_is_sent_as_it_is() -> None:
    assert "content-encoding" not in (await ask("/short", accept_encoding="gzip")).headers


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_whoever_has_it_is_told_so_by_the_tag_of_what_they_have(encoding: str) -> None:
    tag = (await ask("/long", accept_encoding=encoding)).headers["etag"]
    again = await ask("/long", accept_encoding=encoding, if_none_match=f'"other", {tag}')
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


async def test_the_tag_of_something_else_gets_it_all() -> None:
    assert (await ask("/long", if_none_match='"other"')).status_code == 200
    assert (await ask("/long", if_none_match="*")).status_code == 304
