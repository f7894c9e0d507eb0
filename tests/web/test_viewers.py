"""Who sits at this machine, and who does not."""

from __future__ import annotations

from typing import Any

import pytest

from node.web.viewers import host_of, is_local, is_loopback_host


def scope(client: str | None, host: str, **headers: str) -> dict[str, Any]:
    named = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {
        "client": None if client is None else (client, 5),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["127.0.0.1:10000", "localhost", "[::1]:10000", "LOCALHOST:9"])
def test_this_machine_is_known_by_address_and_name(client: str, host: str) -> None:
    assert is_local(scope(client, host))


@pytest.mark.parametrize(
    "found",
    [
        scope("192.0.2.1", "127.0.0.1"),
        scope("::ffff:192.0.2.1", "localhost"),
        scope(None, "localhost"),
        scope("127.0.0.1", "shop.lan"),
        scope("127.0.0.1", ""),
        scope("127.0.0.1", "localhost", x_forwarded_for="192.0.2.1"),
        scope("127.0.0.1", "localhost", forwarded="for=192.0.2.1"),
        scope("127.0.0.1", "localhost", via="1.1 proxy"),
        scope("127.0.0.1", "localhost", x_real_ip="127.0.0.1"),
    ],
)
def test_others_and_those_behind_a_proxy_are_not_at_this_machine(found: dict[str, Any]) -> None:
    assert not is_local(found)


@pytest.mark.parametrize(
    "header, host",
    [("A.Example:80", "a.example"), ("[2001:DB8::1]:9", "2001:db8::1"), ("[::1", "::1"), ("", ""), (":", "")],
)
def test_the_host_of_a_header(header: str, host: str) -> None:
    assert host_of(header) == host


@pytest.mark.parametrize("host", ["example", "0.0.0.0", "::", "128.0.0.1", "127.1", "127.0.0.1.evil.example"])  # noqa: S104 - compared
def test_what_only_looks_like_this_machine_is_not(host: str) -> None:
    assert not is_loopback_host(host)
