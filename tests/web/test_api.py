"""The read API over a real book: each operation's answers, its pages, its tags and its refusals."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from node.ledger import merkle
from node.ledger.entry import txid_of
from node.proof_file import decode
from node.proofs import check
from node.storage.sqlite import BOOK_NAME
from tests.building import Built, key
from tests.storage.filling import ANN, BOB, CEM
from tests.web.site import ELSEWHERE, Site, address, site, visitor

pytestmark = pytest.mark.asyncio

NOBODY = "0" * 64
BYTES = {"content-type": "application/octet-stream"}


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Site]:
    """Twelve blocks of three entries each, and one of thirty."""
    with site(tmp_path, 12) as found:
        yield found


@pytest_asyncio.fixture
async def here(made: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(made) as visiting:
        yield visiting


async def got(here: httpx.AsyncClient, path: str) -> Any:  # noqa: ANN401 - JSON
    answer = await here.get(f"/api{path}")
    assert answer.status_code == 200, answer.text
    return answer.json() if answer.headers["content-type"] == "application/json" else answer.text


async def refused(here: httpx.AsyncClient, path: str) -> tuple[int, str]:
    answer = await here.get(f"/api{path}")
    assert set(answer.json()) == {"code", "message", "hint"}
    return answer.status_code, answer.json()["code"]


def coinbase_of(block: Built) -> str:
    return block.coinbase_leaf.hex()


# ----------------------------------------------------------------------------------------------------- blocks


async def test_the_tip_is_told_as_words(here: httpx.AsyncClient, made: Site) -> None:
    assert await got(here, "/blocks/tip/height") == "12"
    assert await got(here, "/blocks/tip/hash") == made.tip.hash.hex()
    assert await got(here, "/block-height/3") == made.blocks[2].hash.hex()
    assert await refused(here, "/block-height/13") == (404, "not-found")


async def test_blocks_come_in_pages_from_the_newest_down(here: httpx.AsyncClient, made: Site) -> None:
    answer = await here.get("/api/blocks")
    assert [block["height"] for block in answer.json()] == list(range(12, 2, -1))
    assert answer.headers["link"] == '</api/blocks/2>; rel="next"'
    last = await here.get("/api/blocks/2")
    assert [block["height"] for block in last.json()] == [2, 1, 0]
    assert "link" not in last.headers
    assert await refused(here, "/blocks/13") == (404, "not-found")
    assert answer.json()[0]["id"] == made.tip.hash.hex()


async def test_a_block_says_what_its_header_and_body_say(here: httpx.AsyncClient, made: Site) -> None:
    block, before = made.blocks[4], made.blocks[3]
    header = block.block.header
    assert block.coinbase is not None
    assert await got(here, f"/block/{block.hash.hex()}") == {
        "id": block.hash.hex(),
        "height": 5,
        "version": header.version,
        "timestamp_ms": header.timestamp_ms,
        "tx_count": 4,
        "size": len(block.raw),
        "merkle_root": block.block.body.entries_root.hex(),
        "previousblockhash": before.hash.hex(),
        "nonce": hex(header.nonce),
        "bits": header.bits,
        "work": hex(block.work),
        "miner": address(BOB),
        "reward": 50_00,
        "fees": block.coinbase.amount - 50_00,
    }


async def test_genesis_is_a_block_without_entries(here: httpx.AsyncClient, made: Site) -> None:
    name = made.chain.genesis.hash.hex()
    found = await got(here, f"/block/{name}")
    assert (found["height"], found["tx_count"], found["miner"], found["work"]) == (0, 0, None, "0x0")
    assert await got(here, f"/block/{name}/txids") == []
    assert await got(here, f"/block/{name}/txs") == []
    assert (await here.get(f"/api/block/{name}/raw")).content == made.chain.genesis.raw


async def test_where_a_block_stands(here: httpx.AsyncClient, made: Site) -> None:
    assert await got(here, f"/block/{made.blocks[4].hash.hex()}/status") == {
        "in_best_chain": True,
        "height": 5,
        "next_best": made.blocks[5].hash.hex(),
    }
    assert (await got(here, f"/block/{made.tip.hash.hex()}/status"))["next_best"] is None
    assert await refused(here, f"/block/{NOBODY}/status") == (404, "not-found")


async def test_txids_are_hashed_once_and_a_damaged_blocks_are_never_told(
    here: httpx.AsyncClient, made: Site
) -> None:
    read, unread = (made.blocks[at].hash.hex() for at in (0, 1))
    before = await got(here, f"/block/{read}/txids")
    with closing(sqlite3.connect(made.context.data_dir / BOOK_NAME)) as connection, connection:
        connection.execute("UPDATE bodies SET raw = x'00' WHERE id IN (1, 2)")
    assert await got(here, f"/block/{read}/txids") == before
    assert await got(here, f"/block/{read}/txid/1") == before[1]
    assert await refused(here, f"/block/{unread}/txids") == (500, "book-damaged")
    assert await refused(here, f"/block/{unread}/txids") == (500, "book-damaged")


async def test_a_blocks_entries_stand_behind_its_reward(here: httpx.AsyncClient, made: Site) -> None:
    block = made.blocks[0]
    name = block.hash.hex()
    txids = [coinbase_of(block), *(entry.txid.hex() for entry in block.entries)]
    assert await got(here, f"/block/{name}/txids") == txids
    assert [await got(here, f"/block/{name}/txid/{index}") for index in range(4)] == txids
    assert await refused(here, f"/block/{name}/txid/4") == (404, "not-found")
    found = await got(here, f"/block/{name}/txs")
    assert [entry["txid"] for entry in found] == txids
    assert [entry["is_reward"] for entry in found] == [True, False, False, False]
    assert [entry["status"]["position"] for entry in found] == [0, 1, 2, 3]
    assert [entry["txid"] for entry in await got(here, f"/block/{name}/txs/2")] == txids[2:]
    assert await refused(here, f"/block/{name}/txs/4") == (404, "not-found")


async def test_the_bytes_of_a_block_are_its_own(here: httpx.AsyncClient, made: Site) -> None:
    answer = await here.get(f"/api/block/{made.tip.hash.hex()}/raw")
    assert answer.content == made.tip.raw
    assert answer.headers["content-type"] == "application/octet-stream"
    assert await got(here, f"/block/{made.tip.hash.hex()}/header") == made.tip.block.header.raw.hex()


async def test_a_long_block_comes_in_pages(tmp_path: Path) -> None:
    with site(tmp_path / "long", 1, 60) as made:
        async with visitor(made) as here:
            path, found = f"/api/block/{made.tip.hash.hex()}/txs", []
            sizes = []
            while path:
                answer = await here.get(path)
                found += [entry["txid"] for entry in answer.json()]
                sizes.append(len(answer.json()))
                path = answer.links["next"]["url"] if "next" in answer.links else ""
            assert sizes == [25, 25, 11]
            assert found == [coinbase_of(made.tip), *(entry.txid.hex() for entry in made.tip.entries)]


# ---------------------------------------------------------------------------------------------------- entries


async def test_an_entry_says_what_was_signed_and_where_it_stands(here: httpx.AsyncClient, made: Site) -> None:
    block = made.blocks[2]
    entry = block.entries[1]
    assert await got(here, f"/tx/{entry.txid.hex()}") == {
        "txid": entry.txid.hex(),
        "is_reward": False,
        "sender": address(ANN),
        "recipient": address(CEM),
        "amount": 1_01,
        "fee": entry.fee,
        "nonce": entry.nonce,
        "timestamp_ms": entry.timestamp_ms,
        "memo": "cup 2.1",
        "status": {
            "confirmed": True,
            "state": "confirmed",
            "block_height": 3,
            "block_hash": block.hash.hex(),
            "block_time_ms": block.timestamp_ms,
            "position": 2,
            "confirmations": 10,
        },
    }


async def test_a_reward_is_an_entry_that_nobody_sent(here: httpx.AsyncClient, made: Site) -> None:
    found = await got(here, f"/tx/{coinbase_of(made.blocks[0])}")
    assert (found["is_reward"], found["sender"], found["nonce"]) == (True, None, None)
    assert found["recipient"] == address(ANN)


async def test_a_pending_entry_is_found_at_the_node(here: httpx.AsyncClient, made: Site) -> None:
    entry = made.wait(BOB, 2_50, "for later")
    found = await got(here, f"/tx/{entry.txid.hex()}")
    assert (found["memo"], found["status"]["state"]) == ("for later", "pending")
    assert found["status"]["confirmed"] is False
    assert (await got(here, f"/tx/{entry.txid.hex()}/status"))["block_hash"] is None


async def test_an_unknown_entry_is_not_found_and_its_status_says_so(here: httpx.AsyncClient) -> None:
    assert await refused(here, f"/tx/{NOBODY}") == (404, "not-found")
    assert await got(here, f"/tx/{NOBODY}/status") == {
        "confirmed": False,
        "state": "unknown",
        "block_height": None,
        "block_hash": None,
        "block_time_ms": None,
        "position": None,
        "confirmations": 0,
    }
    for what in ("merkle-proof", "raw", "hex"):
        assert await refused(here, f"/tx/{NOBODY}/{what}") == (404, "not-found")
    assert await refused(here, f"/receipt/{NOBODY}") == (404, "not-found")


async def test_the_bytes_of_an_entry_hash_to_its_name(here: httpx.AsyncClient, made: Site) -> None:
    for txid in (made.tip.entries[0].txid.hex(), coinbase_of(made.tip)):
        raw = (await here.get(f"/api/tx/{txid}/raw")).content
        assert txid_of(raw).hex() == txid
        assert await got(here, f"/tx/{txid}/hex") == raw.hex()


async def test_a_merkle_proof_leads_from_the_entry_to_its_block(here: httpx.AsyncClient, made: Site) -> None:
    for position, txid in enumerate([made.tip.coinbase_leaf, *(entry.txid for entry in made.tip.entries)]):
        found = await got(here, f"/tx/{txid.hex()}/merkle-proof")
        assert (found["pos"], found["tree_size"], found["block_height"]) == (position, 4, 12)
        proof = tuple(bytes.fromhex(part) for part in found["merkle"])
        root = merkle.root_from_inclusion(txid, position, 4, proof)
        assert root.hex() == found["merkle_root"] == made.tip.block.body.entries_root.hex()


async def test_a_receipt_proves_itself(here: httpx.AsyncClient, made: Site) -> None:
    txid = made.blocks[0].entries[0].txid
    answer = await here.get(f"/api/receipt/{txid.hex()}")
    assert answer.headers["content-disposition"].startswith('attachment; filename="receipt-')
    checked = check(decode(answer.content), made.tip.hash)
    assert checked.entry is not None
    assert checked.entry.txid == txid


# --------------------------------------------------------------------------------------------------- accounts


async def test_an_account_says_what_it_has(here: httpx.AsyncClient, made: Site) -> None:
    before = await got(here, f"/address/{address(BOB)}")
    made.wait(BOB, 2_50)
    after = await got(here, f"/address/{address(BOB)}")
    assert after == before | {"pending": 2_50}
    assert set(after) == {"address", "confirmed", "pending", "next_nonce"}


async def test_a_history_comes_in_pages_with_a_running_balance(here: httpx.AsyncClient, made: Site) -> None:
    path, found, sizes = f"/api/address/{address(ANN)}/txs", [], []
    while path:
        answer = await here.get(path)
        found += answer.json()
        sizes.append(len(answer.json()))
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert sizes == [25, 15]
    assert len({item["txid"] for item in found}) == 40
    assert found[0]["balance"] == (await got(here, f"/address/{address(ANN)}"))["confirmed"]
    for newer, older in itertools.pairwise(found):
        moved = {
            "out": -newer["amount"] - newer["fee"],
            "self": -newer["fee"],
            "in": newer["amount"],
            "reward": newer["amount"],
        }[newer["direction"]]
        assert newer["balance"] - moved == older["balance"]


async def test_a_history_without_the_balance_goes_on_without_one(here: httpx.AsyncClient) -> None:
    first = await got(here, f"/address/{address(ANN)}/txs/chain")
    answer = await here.get(f"/api/address/{address(ANN)}/txs/chain/{first[2]['txid']}")
    rest = answer.json()
    assert [item["txid"] for item in rest[:5]] == [item["txid"] for item in first[3:8]]
    assert {item["balance"] for item in rest} == {None}
    assert "balance" not in answer.links["next"]["url"]


async def test_a_page_begins_at_an_entry_of_the_account(here: httpx.AsyncClient, made: Site) -> None:
    others = coinbase_of(made.blocks[1])  # Bob's
    assert await refused(here, f"/address/{address(CEM)}/txs/chain/{others}") == (409, "chain-changed")
    assert await refused(here, f"/address/{address(CEM)}/txs/chain/{NOBODY}") == (404, "not-found")


async def test_pending_entries_of_an_account_are_its_own(here: httpx.AsyncClient, made: Site) -> None:
    entries = [made.wait(BOB, 1), made.wait(CEM, 2)]
    for owner, expected in ((ANN, entries), (BOB, entries[:1]), (key("nobody"), [])):
        found = await got(here, f"/address/{address(owner)}/txs/mempool")
        assert {item["txid"] for item in found} == {entry.txid.hex() for entry in expected}


@pytest.mark.parametrize("what", ["", "/txs", "/txs/chain", "/txs/mempool", f"/txs/chain/{NOBODY}"])
async def test_an_address_with_a_typo_is_none(here: httpx.AsyncClient, what: str) -> None:
    assert await refused(here, f"/address/{address(ANN)[:-1]}q{what}") == (404, "bad-address")


# ---------------------------------------------------------------------------------------------------- pending


async def test_pending_entries_are_summed_up_and_listed(here: httpx.AsyncClient, made: Site) -> None:
    assert (await got(here, "/mempool"))["count"] == 0
    entries = [made.wait(BOB, amount) for amount in range(1, 13)]
    found = await got(here, "/mempool")
    assert found == {
        "count": 12,
        "counted": 12,
        "total_fee": sum(entry.fee for entry in entries),
        "fee_histogram": [[entries[0].fee, 12]],
    }
    assert sorted(await got(here, "/mempool/txids")) == sorted(entry.txid.hex() for entry in entries)
    assert len(await got(here, "/mempool/txids?offset=10")) == 2
    recent = await got(here, "/mempool/recent")
    assert len(recent) == 10
    assert set(recent[0]) == {"txid", "fee", "amount", "timestamp_ms"}


async def test_a_signed_entry_is_handed_in_as_bytes_or_as_json(here: httpx.AsyncClient, made: Site) -> None:
    first = made.pay(BOB, 1_00)
    answer = await here.post("/api/tx", content=first.raw, headers=BYTES)
    assert (answer.status_code, answer.text) == (200, first.txid.hex())
    second = made.pay(BOB, 2_00)
    answer = await here.post("/api/tx", json={"entry": second.raw.hex()})
    assert (answer.status_code, answer.text) == (200, second.txid.hex())
    assert (await got(here, f"/tx/{second.txid.hex()}"))["status"]["state"] == "pending"


async def test_an_entry_takes_the_place_of_another_when_asked_to(here: httpx.AsyncClient, made: Site) -> None:
    old = made.wait(BOB, 1_00)
    new = made.chain.entry(ANN, BOB, 1_00, fee=old.fee + 5, nonce=old.nonce)
    answer = await here.post("/api/tx", content=new.raw, headers=BYTES)
    assert (answer.status_code, answer.json()["code"]) == (422, "nonce-used")
    answer = await here.post("/api/tx?replace=true", content=new.raw, headers=BYTES)
    assert answer.text == new.txid.hex()


async def test_what_the_ledger_refuses_is_told_with_its_rule(here: httpx.AsyncClient, made: Site) -> None:
    broke = made.chain.entry(key("broke"), BOB, 1_00, nonce=0)
    answer = await here.post("/api/tx", content=broke.raw, headers=BYTES)
    assert (answer.status_code, answer.json()["code"]) == (422, "overspend")
    answer = await here.post("/api/tx", content=b"no entry", headers=BYTES)
    assert answer.status_code == 422
    assert set(answer.json()) == {"code", "message", "hint"}


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", None]
)
async def test_what_a_form_could_send_is_not_taken(
    here: httpx.AsyncClient, made: Site, media_type: str | None
) -> None:
    headers = {} if media_type is None else {"content-type": media_type}
    answer = await here.post("/api/tx", content=made.pay(BOB, 1).raw, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
    assert made.node.entries == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"entry":7}',
        b'{"entry":"9"}',
        b'{"entry":"00","more":1}',
        b"[" * 4_000,
        b'{"entry":""}',
    ],
)
async def test_a_body_that_is_no_entry_is_refused(here: httpx.AsyncClient, body: bytes) -> None:
    answer = await here.post("/api/tx", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-params")
    assert (await here.post("/api/tx", content=b"", headers=BYTES)).status_code == 422


@pytest.mark.parametrize("size", [4_097, 100_000])
async def test_a_body_without_end_is_cut_off(here: httpx.AsyncClient, size: int) -> None:
    answer = await here.post("/api/tx", content=b"x" * size, headers=BYTES)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


# --------------------------------------------------------------------------------------------------- the node


async def test_the_node_tells_of_itself(here: httpx.AsyncClient, made: Site) -> None:
    assert (await got(here, "/status"))["height"] == 12
    info = await got(here, "/info")
    assert info["symbol"] == "TEST"
    assert str(made.node.folder) not in json.dumps(info)
    assert [tip["status"] for tip in await got(here, "/tips")] == ["active"]


PEER = {
    "address": "192.0.2.7:9000",
    "name": "bob",
    "direction": "out",
    "node_id": "ab" * 32,
    "agent": "indelible/1",
    "height": 12,
    "latency_ms": 7,
    "bytes_in": 10,
    "bytes_out": 20,
    "score": 0,
    "connected_s": 5,
}


async def test_who_the_peers_are_is_told_at_this_machine_alone(here: httpx.AsyncClient, made: Site) -> None:
    made.node.peer_list = [PEER]
    assert await got(here, "/peers") == [PEER]
    async with visitor(made, ELSEWHERE) as there:
        (seen,) = await got(there, "/peers")
    assert {name for name, value in seen.items() if value is not None} == {
        *("direction", "agent", "height", "latency_ms", "connected_s")
    }


async def test_without_a_node_the_book_is_still_read(here: httpx.AsyncClient, made: Site) -> None:
    made.served.stop()
    await made.context.socket.close()
    assert await got(here, "/blocks/tip/height") == "12"
    assert (await got(here, f"/tx/{made.tip.entries[0].txid.hex()}"))["status"]["confirmed"]
    for path in ("/status", "/mempool", f"/address/{address(ANN)}", f"/tx/{NOBODY}"):
        answer = await here.get(f"/api{path}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["code"] in {"no-node", "stopping"}


# ----------------------------------------------------------------------------------------------- every answer


@pytest.mark.parametrize("path", ["/blocks", "/blocks/tip/height", "/status", "/openapi.json"])
async def test_whoever_has_an_answer_is_told_so(here: httpx.AsyncClient, path: str) -> None:
    first = await here.get(f"/api{path}")
    tag = first.headers["etag"]
    assert tag.startswith('"')
    again = await here.get(f"/api{path}", headers={"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


async def test_an_answer_that_changed_has_another_tag(here: httpx.AsyncClient, made: Site) -> None:
    tag = (await here.get("/api/mempool")).headers["etag"]
    made.wait(BOB, 1)
    again = await here.get("/api/mempool", headers={"if-none-match": tag})
    assert again.status_code == 200
    assert again.headers["etag"] != tag


async def test_what_a_hash_names_is_kept_and_the_rest_is_asked_for_again(
    here: httpx.AsyncClient, made: Site
) -> None:
    for path, is_fixed in (
        (f"/block/{made.tip.hash.hex()}", True),
        (f"/block/{made.tip.hash.hex()}/raw", True),
        (f"/block/{made.tip.hash.hex()}/status", False),
        (f"/tx/{made.tip.entries[0].txid.hex()}", False),
        ("/blocks/tip/hash", False),
    ):
        caching = (await here.get(f"/api{path}")).headers["cache-control"]
        assert ("immutable" in caching) is is_fixed, path
    assert (await here.get(f"/api/block/{NOBODY}")).headers["cache-control"] == "no-store"


async def test_the_head_of_an_answer_is_that_of_the_whole(here: httpx.AsyncClient) -> None:
    whole, head = await here.get("/api/blocks"), await here.head("/api/blocks")
    assert head.content == b""
    assert head.headers["etag"] == whole.headers["etag"]


@pytest.mark.parametrize(
    "path",
    [
        *("/blocks/-1", "/blocks/01", "/blocks/4294967296", "/blocks/x", "/block-height/1.0", "/block/00"),
        *(
            f"/tx/{'A' * 64}",
            f"/tx/{'0' * 63}",
            "/mempool/txids?offset=-1",
            "/mempool/txids?offset=",
            "/blocks?x=1",
        ),
        *("/mempool/txids?offset=1&offset=2", f"/block/{NOBODY}/txs/-1", "/status?verbose"),
    ],
)
async def test_a_parameter_that_is_none_is_refused(here: httpx.AsyncClient, path: str) -> None:
    assert await refused(here, path) == (400, "invalid-params")


async def test_what_is_not_there_is_refused_in_json(here: httpx.AsyncClient) -> None:
    assert await refused(here, "/nothing") == (404, "not-found")
    assert await refused(here, "/tx") == (405, "method-not-allowed")
    answer = await here.delete("/api/blocks")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_a_book_that_is_damaged_is_told_of_without_places_of_this_machine(
    here: httpx.AsyncClient, made: Site
) -> None:
    path = made.context.books._path
    path.write_bytes(b"nothing" * 1_000)
    answer = await here.get("/api/blocks/tip/height")
    assert answer.status_code == 500
    assert str(made.node.folder) not in answer.text


async def test_people_find_every_operation_on_one_page(here: httpx.AsyncClient) -> None:
    answer = await here.get("/api/")
    assert answer.headers["content-type"].startswith("text/html")
    paths = (await got(here, "/openapi.json"))["paths"]
    assert all(f"/api{path}" in answer.text for path in paths)
