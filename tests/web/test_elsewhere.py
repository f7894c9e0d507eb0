"""What viewers on other machines see: nothing of the owner, of other people, or of this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.routing import Route

from node.web.security import Hosts
from tests.storage.filling import ANN, BOB
from tests.web.site import ELSEWHERE, HERE, Site, address, site, visitor

OPEN = Hosts("0.0.0.0", 10_000)  # noqa: S104 - nothing listens
HOST = "192.0.2.1:10000"
PEER = {
    "address": "198.51.100.77:9000",
    "name": "carolines-laptop",
    "direction": "out",
    "node_id": "ab" * 32,
    "agent": "indelible/1",
    "height": 4,
    "latency_ms": 7,
    "bytes_in": 10,
    "bytes_out": 20,
    "score": 0,
    "connected_s": 5,
}
SECRETS = ("198.51.100.77", "carolines-laptop", "ab" * 32, "best-customer")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("hidden-folder"), 4, hosts=OPEN) as found:
        found.node.peer_list = [PEER]
        (found.node.folder / "contacts.toml").write_text(f'best-customer = "{address(BOB)}"\n')
        found.wait(BOB, 1_00, "pending")
        found.context.events.publish(
            {"time_ms": 5, "kind": "x", "level": "info", "text": "peer carolines-laptop", "fields": {}}
        )
        yield found


def paths(made: Site) -> list[str]:
    """Return an address of every route, with something that is there for each parameter."""
    entry = made.tip.entries[0]
    real = {
        "name": "1",
        "hash": made.tip.hash.hex(),
        "txid": entry.txid.hex(),
        "last_seen": entry.txid.hex(),
        "address": address(ANN),
        "height": "1",
        "start_height": "1",
        "start": "1",
        "index": "1",
    }
    routes = [route for route in made.app.routes if isinstance(route, Route) and route.path != "/events"]
    gets = [route for route in routes if route.methods and "GET" in route.methods]
    return [route.path_format.format(**real) for route in gets]


@pytest.mark.asyncio
async def test_no_page_and_no_answer_tells_what_is_this_machines(made: Site) -> None:
    leaks, answered = [], 0
    async with visitor(made, ELSEWHERE, HOST) as there:
        for path in paths(made):
            answer = await there.get(path)
            answered += answer.status_code == 200
            leaks += [f"{path}: {one}" for one in (*SECRETS, str(made.node.folder)) if one in answer.text]
    assert leaks == []
    assert answered > 30


@pytest.mark.asyncio
async def test_at_this_machine_all_that_is_shown(made: Site) -> None:
    async with visitor(made, HERE, "127.0.0.1:10000") as here:
        shown = "".join([(await here.get(path)).text for path in paths(made)])
    assert [one for one in SECRETS if one not in shown] == []


@pytest.mark.asyncio
async def test_nothing_but_a_signed_entry_is_taken_from_there(made: Site) -> None:
    async with visitor(made, ELSEWHERE, HOST) as there:
        for path in paths(made):
            for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
                if (path, method) != ("/api/tx", "POST"):
                    assert (await there.request(method, path)).status_code == 403, f"{method} {path}"
