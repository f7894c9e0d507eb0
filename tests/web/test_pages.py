"""The pages over a real book: what each shows and to whom, in pages, escaped, and with the node away."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from node.ledger import merkle
from node.proof_file import decode
from node.proofs import check
from node.storage.sqlite import BOOK_NAME
from node.web import pages_book
from tests.storage.filling import ANN, BOB, CEM
from tests.web.site import ELSEWHERE, Site, address, site, visitor

pytestmark = pytest.mark.asyncio

NOBODY = "0" * 64
PAGES = ("/", "/block/3", "/accounts", "/pending", "/peers", "/tips", "/plots", "/log", "/health", "/search")
WITHOUT_NODE = ("/", "/block/3", "/accounts", "/tips", "/plots", "/log", "/health", "/search?q=cup")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Site]:
    """Twelve blocks of three entries each."""
    with site(tmp_path, 12, indexed=True) as found:
        yield found


@pytest_asyncio.fixture
async def here(made: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(made) as visiting:
        yield visiting


def take_away(made: Site) -> None:
    """Let the node be away."""
    (made.context.data_dir / "node.sock").unlink()


class Outline(HTMLParser):
    """What of a page can be checked without a browser."""

    VOID = frozenset(("meta", "link", "input", "img", "br", "hr", "circle", "line", "path"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.feed(text)
        self.wrong += [f"{tag} is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        self.wrong += [f"{tag} has {name}" for name in named if name == "style" or name.startswith("on")]
        if tag in {"style", "script"} and "src" not in named:
            self.wrong.append(f"{tag} stands in the page")
        if "id" in named:
            self.ids.append(named["id"] or "")
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(tag)
        if tag == "th" and "scope" not in named:
            self.wrong.append("a header cell without a scope")
        if tag == "img" and not named.get("alt"):
            self.wrong.append("a picture without words")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"{tag} closes something else")


async def got(here: httpx.AsyncClient, path: str, status: int = 200) -> str:
    """Return a page, sound in its outline."""
    answer = await here.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    outline = Outline(answer.text)
    assert outline.wrong == []
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.headings.count("h1") == 1
    assert "<main" in answer.text
    return answer.text


def words(text: str) -> str:
    """Return what a reader reads of a page's content."""
    content = text[text.index("<main") : text.index("</main>")]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", content)).split())


# ------------------------------------------------------------------------------------------------- every page


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_sound_and_names_its_network(here: httpx.AsyncClient, path: str) -> None:
    assert "for-tests" in await got(here, path)


@pytest.mark.parametrize("path", WITHOUT_NODE)
async def test_a_page_over_the_book_needs_no_node(made: Site, here: httpx.AsyncClient, path: str) -> None:
    take_away(made)
    await got(here, path)


@pytest.mark.parametrize("path", ["/pending", "/peers"])
async def test_what_only_the_node_knows_says_how_to_start_it(
    made: Site, here: httpx.AsyncClient, path: str
) -> None:
    take_away(made)
    text = words(await got(here, path, 503))
    assert "The node is not running" in text
    assert "Start the node" in text


async def test_the_first_page_says_that_the_node_is_away(made: Site, here: httpx.AsyncClient) -> None:
    take_away(made)
    assert "The node is not running. This is the book as it was written last." in words(await got(here, "/"))


@pytest.mark.parametrize(
    "path, said",
    [
        ("/nothing", "nothing is here"),
        ("/block/99", "there is no block 99"),
        ("/block/xyz", "name one by its height"),
        (f"/block/{NOBODY}", "there is no block"),
        (f"/tx/{NOBODY}", "it is in no block"),
        ("/tx/abc", "64 hex digits"),
        ("/account/bob", "no address of this network"),
        (f"/receipt/{NOBODY}", "no entry"),
    ],
)
async def test_what_is_not_there_is_a_page_with_the_next_thing_to_do(
    here: httpx.AsyncClient, path: str, said: str
) -> None:
    assert said in words(await got(here, path, 404)).lower()


async def test_a_damaged_block_is_named_and_not_shown(made: Site, here: httpx.AsyncClient) -> None:
    with closing(sqlite3.connect(made.context.data_dir / BOOK_NAME)) as connection, connection:
        connection.execute("UPDATE bodies SET raw = x'00' WHERE id = 3")
    text = words(await got(here, "/block/3", 500))
    assert "The stored block at height 3 does not hash to its header" in text
    assert "verify" in text
    assert "entry by entry, stands under Health" in text


# ------------------------------------------------------------------------------------------------ first page


async def test_the_first_page_shows_newest_blocks_entries_and_what_is_pending(
    made: Site, here: httpx.AsyncClient
) -> None:
    entry = made.wait(BOB, 7_00, "flat white")
    text = await got(here, "/")
    read = words(text)
    assert read.index("flat white") < read.index("cup 11.2") < read.index("cup 10.2")
    assert f"/tx/{entry.txid.hex()}" in text
    assert "pending" in read
    assert f'data-key="{made.tip.hash.hex()}"' in text


async def test_names_are_for_viewers_at_this_machine(made: Site, here: httpx.AsyncClient) -> None:
    assert made.context.contacts is not None
    made.context.contacts.add("Bob", address(BOB))  # type: ignore[attr-defined] # the protocol only reads
    assert ">Bob<" in await got(here, f"/account/{address(BOB)}")
    async with visitor(made, ELSEWHERE) as elsewhere:
        assert "Bob" not in await got(elsewhere, f"/account/{address(BOB)}")


@pytest.mark.parametrize("memo", ["<script>alert(1)</script>", '"><img src=x>', "{{ 7 * 7 }}", "\u202eevil"])
async def test_what_others_wrote_is_shown_and_does_nothing(
    made: Site, here: httpx.AsyncClient, memo: str
) -> None:
    made.wait(BOB, 1_00, memo)
    text = await got(here, "/pending")
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "\u202e" not in text
    assert memo.replace("\u202e", r"\u202e") in unescape(text)


# ---------------------------------------------------------------------------------------- blocks and entries


async def test_a_block_leads_to_its_neighbours_and_pages_its_entries(
    here: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_book, "ENTRIES", 2)
    first = await got(here, "/block/3")
    assert 'href="/block/4"' in first
    assert "cup 2.0" in first
    assert "cup 2.2" not in first
    assert "?from=3#entries" in first
    second = await got(here, "/block/3?from=3")
    assert "cup 2.2" in second
    assert "cup 2.0" not in second


@pytest.mark.parametrize("start", ["0", "-1", "99", "x", "9" * 30])
async def test_a_place_in_a_block_that_is_not_there_does_no_harm(here: httpx.AsyncClient, start: str) -> None:
    await got(here, f"/block/3?from={start}")


async def test_a_hash_that_someone_wrote_down_is_proven_to_be_part_of_the_book(
    made: Site, here: httpx.AsyncClient
) -> None:
    block = made.blocks[4]
    assert "Still part of the book, at height 5" in words(await got(here, f"/block/{block.hash.hex()}"))
    assert "Still part" not in await got(here, "/block/5")
    answer = await here.get(f"/extension/{block.hash.hex()}")
    checked = check(decode(answer.content), trust=made.tip.hash)
    assert (checked.block.hash, checked.entry) == (block.hash, None)
    assert "Still part" in await got(here, f"/block/{made.tip.hash.hex()}")
    assert "where the book begins" in await got(here, f"/block/{made.chain.network_id.hex()}")
    await got(here, f"/extension/{NOBODY}", 404)
    await got(here, "/extension/5", 404)


async def test_genesis_has_a_page(here: httpx.AsyncClient) -> None:
    assert "The beginning of the book" in words(await got(here, "/block/0"))


async def test_an_entry_shows_both_times_its_depth_and_its_verdict(
    made: Site, here: httpx.AsyncClient
) -> None:
    block = made.blocks[4]
    read = words(await got(here, f"/tx/{block.entries[0].txid.hex()}"))
    assert "Payer\u2019s time" in read
    assert "Block\u2019s time" in read
    assert f"{len(made.blocks) - 4} confirmations" in read
    assert "settled:" in read.lower()


@pytest.mark.parametrize("leaves", [1, 2, 3, 4, 5, 8, 13])
async def test_the_steps_of_a_proof_lead_to_the_root(leaves: int) -> None:
    hashes = [bytes([number]) * 32 for number in range(leaves)]
    for position in range(leaves):
        at = hashes[position]
        sides = pages_book.sides(position, leaves)
        for neighbour, is_left in zip(merkle.inclusion_proof(hashes, position), sides, strict=True):
            at = merkle.node_hash(neighbour, at) if is_left else merkle.node_hash(at, neighbour)
        assert at == merkle.tree_root(hashes)


async def test_the_receipt_of_an_entry_checks(made: Site, here: httpx.AsyncClient) -> None:
    entry = made.blocks[4].entries[1]
    assert f'href="/receipt/{entry.txid.hex()}"' in await got(here, f"/tx/{entry.txid.hex()}")
    answer = await here.get(f"/receipt/{entry.txid.hex()}")
    assert "attachment" in answer.headers["content-disposition"]
    checked = check(decode(answer.content), trust=made.tip.hash)
    assert checked.entry is not None
    assert checked.entry.txid == entry.txid


# -------------------------------------------------------------------------------------------------- accounts


async def test_a_history_is_paged_with_its_running_balance(
    here: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await got(here, f"/account/{address(BOB)}")
    monkeypatch.setattr(pages_book, "HISTORY", 4)
    found: list[str] = []
    path: str | None = f"/account/{address(BOB)}"
    while path is not None:
        text = await got(here, path)
        found += re.findall(r'data-label="balance">.*?class="amount ">([^ ]+)', text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        path = f"/account/{address(BOB)}{unescape(following[1])}" if following else None
    assert found == re.findall(r'data-label="balance">.*?class="amount ">([^ ]+)', whole)
    assert len(found) > 8


async def test_nobody_else_can_make_up_where_a_history_goes_on(
    made: Site, here: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_book, "HISTORY", 2)
    text = await got(here, f"/account/{address(BOB)}")
    following = re.search(r'rel="next" href="\?after=([^"]+)"', text)
    assert following is not None
    height, position, block, _, mark = following[1].split(".")
    forged = f"{height}.{position}.{block}.999999900.{mark}"
    assert "9999999.00" not in await got(here, f"/account/{address(BOB)}?after={forged}")
    other = await got(here, f"/account/{address(CEM)}?after={following[1]}")
    assert words(other) == words(await got(here, f"/account/{address(CEM)}"))


async def test_all_accounts_are_listed_in_pages(
    here: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_book, "ACCOUNTS", 1)
    for by in ("balance", "activity"):
        found, path = [], f"/accounts?by={by}"
        while path:
            text = await got(here, path)
            found += re.findall(r'scope="row"><a class="who" href="/account/([^"]+)"', text)
            following = re.search(r'rel="next" href="([^"]+)"', text)
            path = f"/accounts{unescape(following[1])}" if following else ""
        assert sorted(found) == sorted(address(owner) for owner in (ANN, BOB, CEM))


# ---------------------------------------------------------------------------------------------------- search


async def search(here: httpx.AsyncClient, typed: str) -> str:
    answer = await here.get("/search", params={"q": typed})
    assert answer.status_code == 303, words(answer.text)
    return str(answer.headers["location"])


async def test_an_exact_hit_leads_there(made: Site, here: httpx.AsyncClient) -> None:
    block, entry = made.blocks[4], made.blocks[4].entries[0]
    waiting = made.wait(BOB, 1_00)
    assert made.context.contacts is not None
    made.context.contacts.add("Bob", address(BOB))  # type: ignore[attr-defined] # the protocol only reads
    assert await search(here, "5") == "/block/5"
    assert await search(here, " 5 ") == "/block/5"
    assert await search(here, block.hash.hex()) == f"/block/{block.hash.hex()}"
    assert await search(here, entry.txid.hex().upper()) == f"/tx/{entry.txid.hex()}"
    assert await search(here, block.coinbase_leaf.hex()) == f"/tx/{block.coinbase_leaf.hex()}"
    assert await search(here, waiting.txid.hex()) == f"/tx/{waiting.txid.hex()}"
    assert await search(here, address(BOB)) == f"/account/{address(BOB)}"
    assert await search(here, f"indelible:{address(BOB)}?amount=1") == f"/account/{address(BOB)}"
    assert await search(here, "Bob") == f"/account/{address(BOB)}"


async def test_words_find_memos_the_newest_first(here: httpx.AsyncClient) -> None:
    read = words(await got(here, "/search?q=cup"))
    assert read.index("cup 11.2") < read.index("cup 11.1") < read.index("cup 5.0")


async def test_what_is_not_found_says_so(here: httpx.AsyncClient) -> None:
    assert "no memo has these words" in words(await got(here, "/search?q=zebra"))


async def test_names_are_not_searched_from_elsewhere(made: Site) -> None:
    assert made.context.contacts is not None
    made.context.contacts.add("Bob", address(BOB))  # type: ignore[attr-defined] # the protocol only reads
    async with visitor(made, ELSEWHERE) as elsewhere:
        assert (await elsewhere.get("/search", params={"q": "Bob"})).status_code == 200


# ------------------------------------------------------------------------------------------------- the node


@pytest.mark.parametrize("by", ["day", "hour", "block", "nonsense"])
async def test_plots_have_columns_of_one_length(made: Site, here: httpx.AsyncClient, by: str) -> None:
    asked = {"by": by, "offset": "2", "account": address(BOB)}
    data = (await here.get("/plots/data", params=asked)).json()
    assert len({len(column) for column in data.values()}) == 1
    assert sum(data["entries"]) == 3 * len(made.blocks)
    if by != "block":
        paid = [e for b in made.blocks for e in b.entries if e.recipient == BOB.public]
        assert sum(data["takings"]) == sum(entry.amount for entry in paid)


FINDING = {
    "height": 4,
    "block": NOBODY,
    "position": 2,
    "txid": NOBODY,
    "found_txid": "1" * 64,
    "rule": "entries-root",
    "detail": "the entry was changed",
    "fields": [
        {"name": "amount", "said": "900", "proof": "100"},
        {"name": "memo", "said": "<i>", "proof": None},
    ],
}
AUDIT = {"state": "waiting", "height": 12, "percent": 100, "last_ms": 0, "findings": 1, "first_bad": FINDING}


async def test_health_shows_findings_field_by_field(
    made: Site, here: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.node.status_changes = {"audit": AUDIT}
    monkeypatch.setattr(type(made.node), "audit", lambda _: {"found": [FINDING], "last_heal": None})
    read = words(await got(here, "/health"))
    assert "1 finding The copy on this machine is not what the others hold" in read
    assert "Block 4, entry 2: the entry was changed" in read
    assert "amount 9.00 TEST 1.00 TEST memo <i> nothing at hand tells" in read
    assert "1 finding in this copy" in words(await got(here, "/"))
    for path in ("/", "/health"):
        text = await got(here, path)
        assert 'class="dot bad"' in text
        assert 'class="dot good"' not in text
    async with visitor(made, ELSEWHERE) as there:
        seen = words(await got(there, "/health"))
    assert "1 finding" in seen
    assert "9.00" not in seen


@pytest.mark.parametrize(
    "txid, knows",
    [
        (NOBODY, f"knows its fingerprint only: {NOBODY} . python"),
        (None, "knows only that it was another; python"),
    ],
)
async def test_a_finding_whose_fields_nothing_proves_says_so_once(
    made: Site, here: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, txid: str | None, knows: str
) -> None:
    fields = [
        {"name": "timestamp_ms", "said": "1700000000000", "proof": None},
        {"name": "fee", "said": "5", "proof": None},
    ]
    found = [FINDING | {"fields": fields, "txid": txid}]
    monkeypatch.setattr(type(made.node), "audit", lambda _: {"found": found, "last_heal": None})
    read = words(await got(here, "/health"))
    assert f"The proof {knows} cli.py heal fetches what it said." in read
    assert "time 14 Nov 2023, 22:13:20 UTC fee 0.05 TEST" in read
    assert read.count(NOBODY) == (txid is not None)
    assert "nothing at hand tells" not in read


async def test_health_shows_what_the_last_healing_mended(
    made: Site, here: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = [
        {"name": "amount", "said": "900", "proof": "100"},
        {"name": "memo", "said": "<b>", "proof": "tea"},
    ]
    entry = {"table": "bodies", "key": {"id": "4"}, "height": 4, "position": 2, "fields": fields}
    row = {
        "table": "main",
        "key": {"height": "7"},
        "fields": [{"name": "row", "said": None, "proof": "there"}],
    }
    heal = {
        "height": 12,
        "ok": True,
        "findings": [FINDING],
        "changes": [entry, *[row] * 60],
        "fetched": {"bob": 1},
        "unhealed": [],
        "evidence": "/e",
        "time_ms": 1_700_000_000_000,
        "changes_left_out": 9,
    }
    monkeypatch.setattr(type(made.node), "audit", lambda _: {"found": [], "last_heal": heal})
    read = words(await got(here, "/health"))
    assert "block 4 , entry 2 amount 9.00 TEST 1.00 TEST" in read
    assert "block 4 , entry 2 memo <b> tea" in read
    assert "main 7 row nothing there" in read
    assert "And 30 changes more" in read
    async with visitor(made, ELSEWHERE) as there:
        assert "tea" not in words(await got(there, "/health"))


async def test_peers_are_strangers_to_viewers_elsewhere(made: Site, here: httpx.AsyncClient) -> None:
    made.node.peer_list = [
        {
            "address": "192.0.2.7:9000",
            "name": "bob",
            "direction": "in",
            "node_id": "ab" * 32,
            "agent": "indelible",
            "height": 4,
            "latency_ms": None,
            "bytes_in": 10,
            "bytes_out": 20,
            "score": 0,
            "connected_s": 61,
        }
    ]
    assert "bob" in words(await got(here, "/peers"))
    async with visitor(made, ELSEWHERE) as there:
        text = await got(there, "/peers")
    assert not any(private in text for private in ("bob", "192.0.2.7", "ab" * 32))
    assert "peer 1" in words(text)


async def test_elsewhere_sees_nothing_of_this_machine(made: Site) -> None:
    async with visitor(made, ELSEWHERE) as there:
        for path in PAGES:
            if path != "/log":
                assert str(made.context.data_dir) not in await got(there, path)
        assert (await there.get("/log")).status_code == 403
