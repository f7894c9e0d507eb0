"""Hosts and ports as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.endpoint import Endpoint, EndpointError, is_loopback, parse_endpoint, parse_host, parse_port

EVERYWHERE = "0.0.0.0"  # noqa: S104 - it is read here, nothing is bound to it


@pytest.mark.parametrize(
    "text, host, port, shown",
    [
        ("127.0.0.1:9000", "127.0.0.1", 9000, "127.0.0.1:9000"),
        ("localhost:1", "localhost", 1, "localhost:1"),
        ("Shop.Example.:65535", "shop.example", 65535, "shop.example:65535"),
        ("my_box-2:9000", "my_box-2", 9000, "my_box-2:9000"),
        ("[::1]:9000", "::1", 9000, "[::1]:9000"),
        ("[2001:DB8:0:0::7]:9000", "2001:db8::7", 9000, "[2001:db8::7]:9000"),
        ("[fe80::1%eth0]:9000", "fe80::1%eth0", 9000, "[fe80::1%eth0]:9000"),
    ],
)
def test_an_endpoint_is_read_and_written(text: str, host: str, port: int, shown: str) -> None:
    endpoint = parse_endpoint(text)
    assert endpoint == Endpoint(host, port)
    assert str(endpoint) == shown
    assert parse_endpoint(shown) == endpoint


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "not HOST:PORT"),
        ("9000", "not HOST:PORT"),
        (":9000", "not HOST:PORT"),
        ("127.0.0.1", "not HOST:PORT"),
        ("[::1]", "not HOST:PORT"),
        ("[::1]9000", "not HOST:PORT"),
        ("::1:9000", r"more than one colon.*\[::1\]:9000"),
        ("a:", "no port: a port is a number, 1 to 65535"),
        ("a:0", "no port"),
        ("a:65536", "no port"),
        ("a:-1", "no port"),
        ("a:+1", "no port"),
        ("a: 1", "no port"),
        ("a:\N{ARABIC-INDIC DIGIT ONE}", "no port"),
        ("a:" + "9" * 10_000, "no port"),
        ("256.0.0.1:1", "no IP address"),
        ("1.2.3:1", "no IP address"),
        ("[1.2.3.4]:1", "no host"),
        ("[::g]:1", "no IP address"),
        ("[fe80::1%]:1", "no host"),
        ("[fe80::1%a b]:1", "no host"),
        ("-a:1", "no host"),
        ("a..b:1", "no host"),
        ("caf\xe9:1", "no host"),
        ("http://a:1", "more than one colon"),
        ("a/b:1", "no host"),
        ("x" * 64 + ":1", "no host"),
        (".".join(["x" * 60] * 5) + ":1", "no host"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_the_form_that_is(text: str, message: str) -> None:
    with pytest.raises(EndpointError, match=message) as raised:
        parse_endpoint(text)
    assert raised.value.hint
    assert len(str(raised.value)) < 200


@given(text=st.text(max_size=30) | st.from_regex(r"\A\[?[0-9a-f:.%]{1,20}\]?:[0-9]{1,6}\Z"))
def test_any_text_gives_an_endpoint_or_the_named_error(text: str) -> None:
    try:
        endpoint = parse_endpoint(text)
    except EndpointError:
        return
    assert parse_endpoint(str(endpoint)) == endpoint


def test_a_host_alone_needs_no_brackets() -> None:
    assert parse_host("::") == parse_host("[::]") == "::"
    assert parse_host(EVERYWHERE) == EVERYWHERE
    with pytest.raises(EndpointError):
        parse_host("")


def test_a_port_alone() -> None:
    assert parse_port("9000") == 9000


@pytest.mark.parametrize(
    "host, loopback",
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::1%lo", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        (EVERYWHERE, False),
        ("::", False),
        ("192.0.2.7", False),
        ("::ffff:192.0.2.7", False),
        ("shop.example", False),
    ],
)
def test_loopback_is_this_machine_and_no_other(host: str, loopback: bool) -> None:
    assert is_loopback(parse_host(host)) is loopback
