"""The guard: hosts, origins, other machines, and the headers of every answer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from node.web.security import HEADERS, Guard, Hosts

LOOPBACK = Hosts("127.0.0.1", 10_000)
OPEN = Hosts("0.0.0.0", 10_000, ("shop.lan",))  # noqa: S104 - nothing listens
HERE, ELSEWHERE = ("127.0.0.1", 1), ("192.0.2.9", 1)

pytestmark = pytest.mark.asyncio


async def _greet(request: Request) -> Response:
    headers = {"X-Frame-Options": "SAMEORIGIN"} if "framed" in request.query_params else None
    return PlainTextResponse("hello", headers=headers)


def guarded(hosts: Hosts) -> ASGIApp:
    paths = ("/", "/api/tx", "/api/peers", "/log", "/logs", "/log/old", "/counter", "/note")
    routes = [Route(path, _greet, methods=["GET", "POST", "DELETE"]) for path in paths]
    return Starlette(routes=routes, middleware=[Middleware(Guard, hosts=hosts)])


async def ask(
    path: str = "/",
    hosts: Hosts = LOOPBACK,
    *,
    host: str | None = "127.0.0.1:10000",
    client: tuple[str, int] = HERE,
    method: str = "GET",
    **headers: str,
) -> httpx.Response:
    """Ask as a browser with these headers would."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    transport = httpx.ASGITransport(guarded(hosts), client=client)
    async with httpx.AsyncClient(transport=transport, base_url="http://base") as visitor:
        request = visitor.build_request(method, path, headers=named)
        del request.headers["host"]
        if host is not None:
            request.headers["host"] = host
        return await visitor.send(request)


# ------------------------------------------------------------------------------------------------------ hosts


@pytest.mark.parametrize("host", ["127.0.0.1:10000", "localhost:10000", "LOCALHOST:10000", "[::1]:10000"])
async def test_this_machine_is_asked_for_by_its_own_names(host: str) -> None:
    assert (await ask(host=host)).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:10000",
            "127.0.0.1",
            "127.0.0.1:9999",
            "localhost:80",
            "",
            "[::1",
            ":10000",
        ),
        *("127.0.0.1:10000:1", "127.0.0.1:99999999999", "127.0.0.1:1e4", "192.0.2.9:10000", "shop.lan:10000"),
        *("127.0.0.1.evil.example:10000", "evil.example@127.0.0.1:10000", "127.0.0.1:10000@evil.example"),
    ],
)
async def test_a_name_that_was_pointed_at_this_machine_gets_nothing(host: str) -> None:
    answer = await ask(host=host)
    assert answer.status_code == 421
    assert "hello" not in answer.text
    assert "web_names" in answer.text


async def test_a_request_without_a_host_gets_nothing() -> None:
    assert (await ask(host=None)).status_code == 421


@pytest.mark.parametrize(
    "host", ["192.0.2.1:10000", "[2001:db8::1]:10000", "shop.lan", "shop.lan:443", "localhost:10000"]
)
async def test_a_page_open_to_all_is_asked_for_by_any_address_and_by_its_names(host: str) -> None:
    assert (await ask(hosts=OPEN, host=host, client=ELSEWHERE)).status_code == 200


@pytest.mark.parametrize("host", ["evil.example:10000", "192.0.2.1:10001", "other.shop.lan"])
async def test_a_page_open_to_all_has_no_other_names(host: str) -> None:
    assert (await ask(hosts=OPEN, host=host, client=ELSEWHERE)).status_code == 421


async def test_the_standard_port_may_be_left_out() -> None:
    assert (await ask(hosts=Hosts("127.0.0.1", 80), host="127.0.0.1")).status_code == 200


async def test_a_name_that_it_listens_on_is_its_own() -> None:
    assert (
        await ask(hosts=Hosts("shop.lan", 10_000), host="shop.lan:10000", client=ELSEWHERE)
    ).status_code == 200


# ---------------------------------------------------------------------------------------------------- origins


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    "mode, dest", [("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe"), ("no-cors", "script")]
)
async def test_a_page_from_elsewhere_reads_nothing(site: str, mode: str, dest: str) -> None:
    answer = await ask(sec_fetch_site=site, sec_fetch_mode=mode, sec_fetch_dest=dest)
    assert answer.status_code == 403
    assert "hello" not in answer.text


async def test_a_link_from_elsewhere_may_be_followed() -> None:
    answer = await ask(sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="document")
    assert answer.status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_form_from_elsewhere_does_nothing(site: str) -> None:
    form: dict[str, Any] = {
        "sec_fetch_site": site,
        "sec_fetch_mode": "navigate",
        "sec_fetch_dest": "document",
    }
    assert (await ask("/api/tx", method="POST", **form)).status_code == 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:3000",
        "http://localhost:10000",
        "http://127.0.0.1:10000.evil",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_another_origin_is_refused_also_by_browsers_that_say_no_more(origin: str, method: str) -> None:
    assert (await ask("/api/tx", method=method, origin=origin)).status_code == 403


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_its_own_pages_and_programs_without_an_origin_may_ask(method: str) -> None:
    assert (await ask("/api/tx", method=method)).status_code == 200
    own: dict[str, Any] = {"origin": "http://127.0.0.1:10000", "sec_fetch_site": "same-origin"}
    assert (await ask("/api/tx", method=method, **own)).status_code == 200


async def test_a_page_typed_by_hand_is_shown() -> None:
    typed: dict[str, Any] = {
        "sec_fetch_site": "none",
        "sec_fetch_mode": "navigate",
        "sec_fetch_dest": "document",
    }
    assert (await ask(**typed)).status_code == 200


async def test_a_question_beforehand_gets_no_leave() -> None:
    answer = await ask(
        "/api/tx", method="OPTIONS", origin="http://evil.example", access_control_request_method="POST"
    )
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


# --------------------------------------------------------------------------------------------- other machines


async def elsewhere(path: str, method: str = "GET") -> httpx.Response:
    return await ask(path, OPEN, host="192.0.2.1:10000", client=ELSEWHERE, method=method)


async def test_other_machines_read_and_hand_in_entries() -> None:
    for path in ("/", "/api/peers", "/logs"):
        assert (await elsewhere(path)).status_code == 200
    assert (await elsewhere("/api/tx", "POST")).status_code == 200


@pytest.mark.parametrize("path, method", [("/note", "POST"), ("/api/peers", "DELETE"), ("/", "POST")])
async def test_other_machines_change_nothing(path: str, method: str) -> None:
    assert (await elsewhere(path, method)).status_code == 403


@pytest.mark.parametrize("path", ["/log", "/log/old", "/counter"])
async def test_what_is_the_owners_is_shown_at_this_machine_alone(path: str) -> None:
    assert (await elsewhere(path)).status_code == 403
    assert (await ask(path, OPEN)).status_code == 200
    proxied: dict[str, Any] = {"x_forwarded_for": "192.0.2.1"}
    assert (await ask(path, OPEN, **proxied)).status_code == 403


# ---------------------------------------------------------------------------------------------------- headers


async def test_every_answer_has_the_headers_errors_too() -> None:
    for answer in (
        await ask(),
        await ask("/nothing"),
        await ask(host="evil.example"),
        await ask(origin="null"),
    ):
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert answer.headers["cache-control"]


async def test_an_answer_may_have_a_header_of_its_own() -> None:
    assert (await ask("/?framed")).headers["x-frame-options"] == "SAMEORIGIN"


async def test_nothing_is_allowed_that_is_written_into_a_page() -> None:
    policy = (await ask()).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


async def test_under_api_a_refusal_is_json() -> None:
    answer = await ask("/api/peers", host="evil.example")
    assert set(answer.json()) == {"code", "message", "hint"}
    assert answer.json()["code"] == "wrong-host"
