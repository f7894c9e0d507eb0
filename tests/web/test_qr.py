"""The page's QR codes: of our own links, and of nothing else."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from node import qr
from node.web.qr import ROUTES

LINK = "indelible:bean1" + "q" * 58 + "?amount=12.50&memo=two%20coffees"


async def get(text: str | None) -> httpx.Response:
    transport = httpx.ASGITransport(app=Starlette(routes=ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
        return await client.get("/qr", params={} if text is None else {"text": text})


@pytest.mark.asyncio
async def test_a_link_of_our_own_is_drawn() -> None:
    answer = await get(LINK)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.content == qr.svg(LINK)


@pytest.mark.parametrize(
    "text", [None, "", "https://example.org/", "javascript:1", "indelible:<svg>", LINK + "0" * 1_200]
)
@pytest.mark.asyncio
async def test_anything_else_is_refused(text: str | None) -> None:
    answer = await get(text)
    assert answer.status_code == 400
    assert "<" not in answer.text
