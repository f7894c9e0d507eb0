"""How a daemon ends: what is saved where it, or its machine, failed in the middle, and who asked for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node import config, daemon, identity, log, paths, wallet
from node.config import Arguments, MiningMode
from node.core import Core
from node.daemon import Daemon, NodeHalted
from node.disk import PENDING_NAME
from node.events import Effect, Event, Halt, Now, Shutdown, Tick
from node.startup import JOURNAL_NAME
from node.storage.journal import Journal
from node.storage.sqlite import BOOK_NAME, open_book

KEPT = b"typed here, and not saved elsewhere"


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Callable[[], Daemon]]:
    """Yield what makes a daemon of a folder, on any port, without a page."""
    settings = config.load(Arguments(data_dir=folder, mine=MiningMode.OFF, web=False), folder)
    settings = replace(settings, port=0, peers=(), discovery=False, audit_s=0)
    with contextlib.ExitStack() as stack:
        purse = wallet.ensure(paths.wallets_folder(folder))
        own = identity.load_or_create(folder)
        book = open_book(folder / BOOK_NAME, settings.parameters)
        stack.callback(book.close)
        journal = Journal(folder / JOURNAL_NAME)
        stack.callback(journal.close)
        journal.append([KEPT])
        lines = log.setup(settings)
        stack.callback(lines.close)
        socket = folder / "s"
        yield lambda: Daemon(settings, purse, own, book, journal, socket, lines)


def run(folder: Path, then: Callable[[Daemon], None] = lambda _: None) -> Daemon:
    """Run a daemon to its end; `then` is called once it has started."""

    async def live(make: Callable[[], Daemon]) -> Daemon:
        made = make()
        begin = made._start

        async def start() -> None:
            await begin()
            then(made)

        made._start = start  # type: ignore[method-assign]  # the one moment that nobody else is told of
        await made.run()
        return made

    with opened(folder) as make:
        return asyncio.run(live(make))


class Stepped:
    """The events that a core was handed, which fails at the first Tick."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail: Callable[[], list[Effect]]) -> None:
        self.events: list[type[Event]] = []
        step = Core.step

        def failing(core: Core, event: Event, now: Now) -> list[Effect]:
            self.events.append(type(event))
            return fail() if isinstance(event, Tick) else step(core, event, now)

        monkeypatch.setattr(Core, "step", failing)


def journalled(folder: Path) -> list[bytes]:
    journal = Journal(folder / JOURNAL_NAME)
    try:
        return journal.read()
    finally:
        journal.close()


def test_a_core_that_died_in_the_middle_is_asked_for_nothing_more_and_the_journal_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> list[Effect]:
        raise ZeroDivisionError

    stepped = Stepped(monkeypatch, fail)
    with pytest.raises(ExceptionGroup) as caught:
        run(tmp_path)
    assert caught.group_contains(ZeroDivisionError)
    assert stepped.events == [Tick]
    assert journalled(tmp_path) == [KEPT]
    assert not (tmp_path / PENDING_NAME).exists()
    assert "stopped by a fault" in capsys.readouterr().err


def test_a_core_that_its_machine_failed_is_asked_for_nothing_more_and_the_journal_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped = Stepped(monkeypatch, lambda: [Halt("the disk is on fire", "put it out")])

    def more(node: Daemon) -> None:
        node.post(Tick())
        node.post(Shutdown())

    with pytest.raises(ExceptionGroup) as caught:
        run(tmp_path, more)
    assert caught.group_contains(NodeHalted, match="the disk is on fire")
    assert stepped.events == [Tick]
    assert journalled(tmp_path) == [KEPT]


def test_what_is_pending_is_saved_by_a_stop(tmp_path: Path) -> None:
    node = run(tmp_path, Daemon.stop)
    assert not node.wants_healing
    assert journalled(tmp_path) == []
    assert (tmp_path / PENDING_NAME).exists()


def test_a_daemon_that_is_to_be_mended_says_so_when_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "ANSWER_FIRST_S", 0.0)
    said: list[Any] = []
    assert run(tmp_path, lambda node: said.append(node.heal())).wants_healing
    assert said == [{"healing": True}]


@pytest.mark.parametrize("stop_first", [True, False])
def test_who_asks_for_the_end_gets_no_other_node_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, stop_first: bool
) -> None:
    monkeypatch.setattr(daemon, "ANSWER_FIRST_S", 0.0)

    def both(node: Daemon) -> None:
        first, second = (node.stop, node.heal) if stop_first else (node.heal, node.stop)
        first()
        second()

    assert not run(tmp_path, both).wants_healing


def test_a_signal_while_it_stops_to_be_mended_ends_it_for_good(tmp_path: Path) -> None:
    def begun(node: Daemon) -> None:
        node.heal()
        node._begin_to_stop()
        os.kill(os.getpid(), signal.SIGTERM)

    assert not run(tmp_path, begun).wants_healing
