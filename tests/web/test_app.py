"""The page's background: what dies there ends the page, and all is closed at the end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from node.web.app import create_app
from node.web.hub import Hub
from node.web.index import Indexer
from tests.ports import free_port
from tests.sources import ROOT
from tests.storage.filling import filled_book, sample_chain
from tests.web.site import site

DYING = """
import sys
import node.web.{module}
from node.web.__main__ import main

async def die(*_):
    raise ZeroDivisionError("a bug")

node.web.{module}.{name} = die
sys.exit(main(sys.argv[1:]))
"""


def bug(*_: object) -> None:
    raise ZeroDivisionError


@pytest.mark.asyncio
@pytest.mark.parametrize("where", [(Hub, "_listen"), (Indexer, "_advance")], ids=["events", "index"])
async def test_a_task_that_dies_is_told_of_and_all_is_closed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[type, str]
) -> None:
    with site(tmp_path, 1, indexed=True) as made:
        deaths: asyncio.Queue[BaseException] = asyncio.Queue()
        closed: list[str] = []
        monkeypatch.setattr(*where, bug)
        monkeypatch.setattr(made.context.books, "close", lambda: closed.append("books"))

        async def close() -> None:
            closed.append("socket")

        monkeypatch.setattr(made.context.socket, "close", close)
        app = create_app(made.context, deaths.put_nowait)
        async with app.router.lifespan_context(app):
            death = await deaths.get()
        monkeypatch.undo()
    found = death.exceptions if isinstance(death, BaseExceptionGroup) else (death,)
    assert [type(one) for one in found] == [ZeroDivisionError]
    assert closed == ["socket", "books"]
    assert deaths.empty()


@pytest.mark.asyncio
async def test_a_page_that_ends_in_good_order_tells_of_no_death(tmp_path: Path) -> None:
    with site(tmp_path, 1, indexed=True) as made:
        deaths: list[BaseException] = []
        app = create_app(made.context, deaths.append)
        async with app.router.lifespan_context(app):
            while not made.context.events.connected:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0)
    assert deaths == []


@pytest.mark.parametrize("module, name", [("hub", "Hub.run"), ("index", "Indexer.run"), ("app", "keep_warm")])
def test_a_page_whose_background_dies_ends_with_a_status_that_is_not_0_and_says_why(
    tmp_path: Path, module: str, name: str
) -> None:
    filled_book(tmp_path, *sample_chain(1))
    flags = ["--data-dir", str(tmp_path), "--port", str(free_port())]
    done = subprocess.run(
        [sys.executable, "-c", DYING.format(module=module, name=name), *flags],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 1
    assert "a part of the page died" in done.stderr
    assert "ZeroDivisionError: a bug" in done.stderr
