"""The node's side of the page: its process is watched, started again, heard, and ended."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from node import page
from node.config import Web
from node.listeners import CannotListen
from node.page import MAX_LINE, Page, arguments, refuse_taken_port, trouble
from tests.ports import free_port

pytestmark = pytest.mark.asyncio

READY = "import sys; print('ready', flush=True); sys.stdin.read()"


def program(text: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", text)


@contextmanager
def taken() -> Iterator[int]:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        yield port


def web(port: int | None = None, *, chosen: bool = True, names: tuple[str, ...] = ()) -> Web:
    return Web(is_on=True, host="127.0.0.1", port=port or free_port(), names=names, is_chosen=chosen)


class Told(logging.Handler):
    """What the log was told, and a way to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, str]] = []
        self._more = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, record.getMessage()))
        self._more.set()

    async def wait_for(self, text: str, times: int = 1) -> None:
        while sum(text in line for _, line in self.lines) < times:
            self._more.clear()
            await self._more.wait()


@pytest.fixture
def told() -> Iterator[Told]:
    handler = Told()
    page.log.addHandler(handler)
    before, page.log.level = page.log.level, logging.DEBUG
    yield handler
    page.log.level = before
    page.log.removeHandler(handler)


@asynccontextmanager
async def running(made: Page) -> AsyncIterator[None]:
    task = asyncio.create_task(made.run())
    try:
        yield
    finally:
        await made.close()
        await task


async def test_a_page_that_is_ready_is_told_of_with_its_address(tmp_path: Path, told: Told) -> None:
    made = Page(web(), tmp_path, command=program(READY))
    assert made.url is None
    async with running(made):
        await told.wait_for("the page is at http://127.0.0.1:")
        assert made.url is not None
        assert made.pid is not None
    assert (made.url, made.pid) == (None, None)
    assert [level for level, _ in told.lines] == [logging.INFO], "its end was asked for, and is no news"


async def test_a_page_that_dies_is_told_of_and_started_again(tmp_path: Path, told: Told) -> None:
    made = Page(web(), tmp_path, command=program("import sys; sys.exit(3)"))
    async with running(made):
        await told.wait_for("the page died (exit status 3); it starts again in 0.1 s")
        await told.wait_for("the page died (exit status 3); it starts again in 0.2 s")
        assert made.url is None


async def test_a_page_that_cannot_be_started_is_told_of(tmp_path: Path, told: Told) -> None:
    async with running(Page(web(), tmp_path, command=[str(tmp_path / "nothing")])):
        await told.wait_for("it could not be started")


async def test_what_it_says_on_standard_error_is_in_the_log_the_long_lines_cut(
    tmp_path: Path, told: Told
) -> None:
    text = "import sys; sys.stderr.write('one\\n' + 'x' * 100_000 + '\\ntwo\\n\\n\\xff half'); sys.exit(1)"
    async with running(Page(web(), tmp_path, command=program(text))):
        await told.wait_for("the page died")
    said = [line.removeprefix("page: ") for _, line in told.lines if line.startswith("page: ")][:4]
    assert [line[:6] for line in said] == ["one", "xxxxxx", "two", said[3][:6]]
    assert said[3].endswith("half")
    assert max(map(len, said)) == MAX_LINE


async def test_a_page_that_does_not_end_is_killed(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "END_GRACE_S", 0.01)
    deaf = "import signal, time; print('ready', flush=True); time.sleep(600)"
    async with running(Page(web(), tmp_path, command=program(deaf))):
        await told.wait_for("the page is at")


async def test_a_port_that_is_taken_is_waited_for(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "PORT_TAKEN_S", 0.01)
    with taken() as port:
        made = Page(web(port, chosen=False), tmp_path, command=program(READY))
        task = asyncio.create_task(made.run())
        await told.wait_for("there is no page")
        assert made.pid is None
    await told.wait_for("the page is at")
    await made.close()
    await task
    assert [line for _, line in told.lines if "no page" in line] == [
        f"there is no page: port {port} on 127.0.0.1 is taken by another program: give another --web-port"
    ]


async def test_a_page_that_waits_for_its_port_can_be_closed(tmp_path: Path, told: Told) -> None:
    with taken() as port:
        async with running(Page(web(port), tmp_path, command=program(READY))):
            await told.wait_for("there is no page")


async def test_a_page_that_never_ran_can_be_closed(tmp_path: Path) -> None:
    await Page(web(), tmp_path).close()


async def test_no_process_is_left_when_its_watch_is_cancelled(tmp_path: Path, told: Told) -> None:
    made = Page(web(), tmp_path, command=program(READY))
    task = asyncio.create_task(made.run())
    await told.wait_for("the page is at")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made.pid is None


async def test_the_process_is_told_where_to_listen_and_by_which_names(tmp_path: Path) -> None:
    given = arguments(web(9_999, names=("shop.lan", "book.lan")), tmp_path)
    assert given == (
        *("--data-dir", str(tmp_path), "--host", "127.0.0.1", "--port", "9999"),
        *("--name", "shop.lan", "--name", "book.lan", "--child"),
    )


async def test_a_port_is_tried_out_without_being_kept() -> None:
    free = web()
    assert [await trouble(free) for _ in range(2)] == [None, None]
    with taken() as port:
        said = await trouble(web(port))
        assert said is not None
        assert "--web-port" in said


@pytest.mark.parametrize(
    "make",
    [
        lambda port: Web(is_on=False, host="127.0.0.1", port=port, names=(), is_chosen=True),
        lambda port: web(port, chosen=False),
    ],
)
async def test_a_port_that_nobody_named_or_that_is_not_needed_is_no_reason_to_refuse(
    make: Callable[[int], Web],
) -> None:
    with taken() as port:
        await refuse_taken_port(make(port))


async def test_a_named_port_that_stays_taken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "CHOSEN_PORT_S", 0.0)
    with taken() as port, pytest.raises(CannotListen, match="give another --web-port"):
        await refuse_taken_port(web(port))


async def test_a_named_port_that_is_let_go_soon_is_taken() -> None:
    with taken() as port:
        refusing = asyncio.create_task(refuse_taken_port(web(port)))
        await asyncio.sleep(0)
    await refusing
