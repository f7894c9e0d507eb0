"""Sockets that listen, and what a person hears when they cannot be opened."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from node.listeners import CannotListen, open_listeners
from tests.ports import free_port


@asynccontextmanager
async def listening(host: str, port: int = 0) -> AsyncIterator[list[tuple[str, int]]]:
    """Where one listens at a host: addresses and ports."""
    listeners = await open_listeners(host, port)
    try:
        yield [listener.getsockname()[:2] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    async def getaddrinfo(_: str, port: int, **__: int) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


def fail_with(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def create_server(*_: object, **__: object) -> socket.socket:
        raise OSError(number, "no")

    monkeypatch.setattr(socket, "create_server", create_server)


@pytest.mark.asyncio
async def test_any_free_port_is_found_for_0() -> None:
    async with listening("127.0.0.1") as places:
        [(host, port)] = places
        assert host == "127.0.0.1"
        with socket.create_connection((host, port)) as far:
            assert far.getpeername() == (host, port)


@pytest.mark.asyncio
async def test_all_addresses_of_a_name_have_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.1")
    async with listening("twice the same") as places:
        assert len(places) == 1
    monkeypatch.undo()
    async with listening("localhost") as places:
        assert len({port for _, port in places}) == 1


@pytest.mark.asyncio
async def test_an_address_that_is_not_here_does_not_matter_beside_one_that_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_to(monkeypatch, "192.0.2.1", "127.0.0.1")
    async with listening("half of it") as places:
        assert [host for host, _ in places] == ["127.0.0.1"]


@pytest.mark.asyncio
async def test_a_taken_port_is_named_with_what_to_do() -> None:
    port = free_port()
    async with listening("127.0.0.1", port):
        with pytest.raises(CannotListen) as caught:
            await open_listeners("127.0.0.1", port)
        with pytest.raises(CannotListen, match="give another --web-port"):
            await open_listeners("127.0.0.1", port, "--web-")
    assert caught.value.code == "port-taken"
    assert caught.value.message == f"port {port} on 127.0.0.1 is taken by another program"
    assert "--port" in caught.value.hint
    async with listening("127.0.0.1", port) as places:  # free again
        assert places == [("127.0.0.1", port)]


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["192.0.2.1", "x" * 64])
async def test_a_host_that_is_not_this_machine_is_refused(host: str) -> None:
    with pytest.raises(CannotListen, match=r"is no address.*check --host"):
        await open_listeners(host, 0)


@pytest.mark.asyncio
async def test_a_name_of_no_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch)
    with pytest.raises(CannotListen, match="has no address: check --host"):
        await open_listeners("nowhere", 0)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "number, says",
    [(errno.EACCES, "above 1023"), (errno.EMFILE, "port 80: Too many open files")],
    ids=["EACCES", "EMFILE"],
)
async def test_what_the_system_refuses_is_named(
    monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    fail_with(monkeypatch, number)
    with pytest.raises(CannotListen, match=says) as caught:
        await open_listeners("127.0.0.1", 80)
    assert caught.value.code == "cannot-listen"
