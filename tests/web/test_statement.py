"""The page's statements: for viewers here, without inline style, and refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from node.query import Query
from tests.storage.filling import ANN
from tests.web.site import ELSEWHERE, Site, address, site, visitor


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site") / "data") as found:
        yield found


def month_of(made: Site) -> str:
    time_ms = made.tip.block.header.timestamp_ms
    return f"{datetime.fromtimestamp(time_ms / 1_000, UTC):%Y-%m}"


@pytest.mark.asyncio
async def test_a_month_of_an_account_is_a_page_to_print(made: Site) -> None:
    path = f"/statement/{address(ANN)}?month={month_of(made)}&zone=UTC"
    async with visitor(made) as client:
        answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    assert '<link rel="stylesheet" href="/static/statement.css">' in answer.text
    assert "style=" not in answer.text
    assert "<style" not in answer.text
    assert "<script" not in answer.text
    assert made.tip.hash.hex() in answer.text
    balance = await made.context.read(_confirmed)
    whole, part = divmod(balance, 10**made.context.decimals)
    assert f"{whole}.{part:0{made.context.decimals}}" in answer.text


def _confirmed(query: Query) -> int:
    found: int = query.balance(ANN.public)["confirmed"]
    return found


@pytest.mark.parametrize(
    "path, status",
    [
        (f"/statement/{address(ANN)[:-1]}q", 400),
        (f"/statement/{address(ANN)}?month=2026", 400),
        (f"/statement/{address(ANN)}?zone=../../etc/passwd", 400),
        (f"/statement/{address(ANN)}?zone=Nowhere", 400),
        (f"/statement/{address(ANN)}", 200),
    ],
)
@pytest.mark.asyncio
async def test_what_has_no_statement_is_refused(made: Site, path: str, status: int) -> None:
    async with visitor(made) as client:
        assert (await client.get(path)).status_code == status


@pytest.mark.asyncio
async def test_a_viewer_elsewhere_gets_none(made: Site) -> None:
    async with visitor(made, ELSEWHERE) as client:
        answer = await client.get(f"/statement/{address(ANN)}")
    assert answer.status_code in {400, 403, 421}
    assert address(ANN)[:9] not in answer.text
