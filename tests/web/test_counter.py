"""The counter's pages: takings and verdicts in big words, and requests that say PAID."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from node import requests
from node.web import counter, till
from tests.building import key
from tests.storage.filling import ANN
from tests.web.site import ELSEWHERE, Site, address, site, visitor

SHOP = key("the shop of these tests")
pytestmark = pytest.mark.asyncio


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site whose owner is the shop; the clock stands where entries of these tests are made."""
    with site(tmp_path / "data") as found:
        found.node.owner = SHOP.public
        at = found.pay(SHOP, 1).timestamp_ms
        monkeypatch.setattr(counter, "_now_ms", lambda: at)
        yield found


async def text(made: Site, path: str, status: int = 200, **options: tuple[str, int]) -> str:
    async with visitor(made, **options) as visiting:  # type: ignore[arg-type] # the client alone
        answer = await visiting.get(path, follow_redirects=True)
    assert answer.status_code == status, answer.text
    return re.sub(r"\s+", " ", answer.text)


async def test_the_counter_shows_a_payment_as_soon_as_it_is_heard_of(made: Site) -> None:
    assert "Nobody has paid yet" in await text(made, "/counter")
    made.wait(SHOP, 7_50, "two <b>coffees</b>")
    said = await text(made, "/counter")
    assert "two &lt;b&gt;coffees&lt;/b&gt;" in said
    assert '<p class="verdict-word"><span class="visually-hidden">Hand it over? </span>Not yet</p>' in said
    assert "no other node is connected" in said
    made.node.peer_list = [{"height": 100}]
    assert "Likely</p>" in await text(made, "/counter")


async def test_a_days_takings_are_added_up_for_any_account(made: Site) -> None:
    day = "2023-11-14"
    said = await text(made, f"/counter?date={day}&account={address(ANN)}")
    entries = [entry for block in made.blocks for entry in block.entries if ANN.public == entry.sender]
    assert entries
    out = sum(entry.amount for entry in entries if entry.recipient != ANN.public)
    assert f"{out // 100:,}.{out % 100:02}".replace(",", "") in said.replace(",", "")
    assert f'value="{day}"' in said


@pytest.mark.parametrize("query", ["date=tomorrow", "date=9999-12-31", "account=zzz"])
async def test_what_is_no_day_or_account_is_named(made: Site, query: str) -> None:
    async with visitor(made) as visiting:
        answer = await visiting.get(f"/counter?{query}")
    assert answer.status_code in (400, 404)
    assert "<h1" in answer.text


async def test_the_counter_and_kept_requests_are_for_this_machine_alone(made: Site) -> None:
    async with visitor(made, ELSEWHERE, "192.0.2.1:10000") as visiting:
        for path in ("/counter", "/request?id=00000000"):
            assert (await visiting.get(path)).status_code in (403, 421)
        assert (await visiting.post("/counter/request", content="amount=1")).status_code in (403, 421)
    assert requests.read(made.context.data_dir) == []


async def test_a_request_made_here_is_kept_and_says_paid_with_its_verdict(made: Site) -> None:
    async with visitor(made) as visiting:
        answer = await visiting.post("/counter/request", content="amount=7.50&memo=two+coffees")
    assert answer.status_code == 303
    place = answer.headers["location"]
    (kept,) = requests.read(made.context.data_dir)
    assert (kept.address, kept.amount, kept.memo) == (address(SHOP), 7_50, "two coffees")
    said = await text(made, place)
    assert "Waiting…" in said
    assert f"/qr?text={quote(f'indelible:{address(SHOP)}', safe='/')}" in said
    made.wait(SHOP, 7_50, "two coffees")
    assert "SEEN, NOT SAFE YET" in await text(made, place)
    made.node.peer_list = [{"height": 100}]
    said = await text(made, place)
    assert '<p class="paid-word">PAID</p>' in said
    assert "/qr?text=" not in said
    assert 'badge good">paid' in await text(made, "/counter")


@pytest.mark.parametrize("form", ["amount=0", "amount=x", "memo=x", "amount=1&memo=" + "x" * 257, "a=1&" * 9])
async def test_a_request_that_nobody_can_pay_is_not_kept(made: Site, form: str) -> None:
    async with visitor(made) as visiting:
        answer = await visiting.post("/counter/request", content=form)
    assert answer.status_code == 400
    assert requests.read(made.context.data_dir) == []


async def test_browsers_say_where_the_form_is_from(made: Site) -> None:
    async with visitor(made) as visiting:
        assert (await visiting.get("/counter")).headers["referrer-policy"] == "same-origin"


async def test_a_page_elsewhere_cannot_make_one(made: Site) -> None:
    async with visitor(made) as visiting:
        headers = {"Origin": "http://evil.example"}
        answer = await visiting.post("/counter/request", content="amount=1", headers=headers)
    assert answer.status_code == 403
    assert requests.read(made.context.data_dir) == []


async def test_anybody_can_show_a_request_and_sees_it_paid(made: Site) -> None:
    path = f"/request?to={address(SHOP)}&amount=2.5&memo=tea"
    async with visitor(made) as visiting:
        answer = await visiting.get(path)
    assert answer.status_code == 303
    opened = answer.headers["location"]
    assert re.fullmatch(r"/request\?to=\w+&amount=2\.50&memo=tea&since=\d+", opened)
    assert "Waiting…" in await text(made, opened)
    made.node.peer_list = [{"height": 100}]
    made.wait(SHOP, 2_49, "tea")
    assert "Waiting…" in await text(made, opened)
    made.wait(SHOP, 2_50, "tea")
    assert "PAID" in await text(made, opened)


async def test_one_payment_pays_one_request_be_it_kept_or_not(made: Site) -> None:
    async with visitor(made) as visiting:
        await visiting.post("/counter/request", content="amount=2.50&memo=tea")
    made.node.peer_list = [{"height": 100}]
    made.wait(SHOP, 2_50, "tea")
    assert 'badge good">paid' in await text(made, "/counter")
    assert "Waiting…" in await text(made, f"/request?to={address(SHOP)}&amount=2.5&memo=tea")


@pytest.mark.parametrize(
    "query", ["", "to=x&amount=1", "to={}&amount=0", "to={}&amount=1e5", "to={}&amount=1&memo=%00", "id=zz"]
)
async def test_a_request_that_is_none_is_named(made: Site, query: str) -> None:
    async with visitor(made) as visiting:
        answer = await visiting.get("/request?" + query.format(address(SHOP)))
    assert answer.status_code in (400, 404)


async def test_an_old_request_has_expired(made: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "EXPIRED" in await text(made, f"/request?to={address(SHOP)}&amount=1&memo=x&since=5")
    monkeypatch.setattr(till, "paying", None)  # and nothing is searched for it


async def test_a_broken_file_of_requests_leaves_the_takings_to_be_seen(made: Site) -> None:
    (made.context.data_dir / "requests.json").write_text("{")
    said = await text(made, "/counter")
    assert "requests.json cannot be used" in said
    assert "Taken in" in said
