"""Each fault has its status, and none of them loses what guards an answer."""

from __future__ import annotations

import asyncio
import html
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from starlette.exceptions import HTTPException

from node.query import BookDamaged, ChainChanged, NotFound, Query
from node.receipts import BadTip
from node.storage.faults import DiskFull
from node.storage.page_index import IndexFault
from node.storage.port import StorageFault
from node.web.answers import WebError
from node.web.books import TooBusy
from node.web.faults import web_error
from node.web.hub import TooManyBrowsers
from node.web.local_socket import NodeRefused
from node.web.security import HEADERS
from tests.web.site import HERE, HOST, site, visitor


@pytest.mark.parametrize(
    "fault, status, code",
    [
        (WebError(418, "teapot", "short and stout"), 418, "teapot"),
        (NotFound("not here", "look there"), 404, "not-found"),
        (ChainChanged(7), 409, "chain-changed"),
        (BadTip("not that one", "another"), 409, "bad-tip"),
        (BookDamaged("edited"), 500, "book-damaged"),
        (DiskFull("full", "make room"), 500, "storage"),
        (StorageFault("/home/ann/book.sqlite is gone"), 500, "storage"),
        (IndexFault("/home/ann/page.sqlite is damaged", is_damage=True), 503, "index"),
        (IndexFault("/home/ann/page.sqlite is held", is_damage=False), 503, "index"),
        (TooBusy(), 503, "busy"),
        (TooManyBrowsers(), 503, "busy"),
        (HTTPException(405, headers={"Allow": "GET"}), 405, "method-not-allowed"),
        (HTTPException(418), 418, "refused"),
        (NodeRefused("overspend", "too much"), 422, "overspend"),
        (NodeRefused("not-found", "no"), 404, "not-found"),
        (NodeRefused("bad-address", "no", number=-32602), 404, "bad-address"),
        (NodeRefused("invalid-params", "no", number=-32602), 400, "invalid-params"),
        (NodeRefused("unknown-method", "an older node", number=-32601), 400, "unknown-method"),
        (NodeRefused("disk-full", "no", number=-32001), 500, "disk-full"),
        (NodeRefused("no-node", "away"), 503, "no-node"),
        (NodeRefused("mempool-full", "later"), 503, "mempool-full"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_fault_has_its_status_and_code(fault: Exception, status: int, code: str) -> None:
    found = web_error(fault)
    assert (found.status, found.code) == (status, code)
    assert "/home" not in found.message + found.hint
    assert ("Retry-After" in found.headers) == (status == 503)


def test_a_fault_that_nobody_knows_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        web_error(ZeroDivisionError())


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/api/blocks/tip/height", "/"])
async def test_a_bug_is_answered_behind_the_guard_and_shows_nothing_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(Query, "headers", fail)
    with site(tmp_path, 1) as made:
        transport = httpx.ASGITransport(made.app, client=HERE, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as here:
            answer = await here.get(path)
        await made.context.socket.close()
    assert answer.status_code == 500
    assert "secret" not in answer.text
    for name, value in HEADERS.items():
        assert answer.headers[name] == value


@pytest.mark.asyncio
async def test_a_damaged_index_is_answered_for_by_its_own_name_and_made_anew(tmp_path: Path) -> None:
    with site(tmp_path, 3, indexed=True) as made:
        indexer = made.context.index
        assert indexer is not None
        async with visitor(made) as here:
            assert (await here.get("/plots/data")).status_code == 200
            with closing(sqlite3.connect(indexer.index.path)) as connection, connection:
                connection.execute("DROP TABLE hours")
            answers = [await here.get(path) for path in ("/plots", "/plots/data")]
            following = asyncio.create_task(indexer.run(made.context.events))
            shown = answers[-1]
            while shown.status_code == 503:
                shown = await here.get("/plots/data")
            following.cancel()
            await asyncio.wait([following])
    for answer in answers:
        assert answer.status_code == 503
        assert "index is made anew" in html.unescape(answer.text)
        assert "ry again in a moment" in answer.text
        assert answer.headers["retry-after"] == "1"
    assert shown.status_code == 200


@pytest.mark.asyncio
async def test_what_is_not_there_is_told_as_a_page_or_as_json(tmp_path: Path) -> None:
    with site(tmp_path, 1) as made:
        transport = httpx.ASGITransport(made.app, client=HERE)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as here:
            shown, told = await here.get("/nothing"), await here.get("/api/nothing")
    assert (shown.status_code, told.status_code) == (404, 404)
    assert shown.headers["content-type"].startswith("text/html")
    assert told.json()["code"] == "not-found"
