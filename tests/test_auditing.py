"""The audit in the background, with workers of the test's own making: whatever they do, the node goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node import auditing
from node.auditing import COMMAND, BackgroundAudit, order
from node.log_lines import finding_line
from node.storage.sqlite import BOOK_NAME
from tests.storage.filling import PARAMETERS, filled_book, sample_chain

Json = dict[str, Any]
BAD: Json = {
    "height": 3,
    "block": "ab",
    "position": 1,
    "txid": "aa",
    "found_txid": "bb",
    "rule": "entries-root",
    "detail": "it was changed",
    "fields": [
        {"name": "amount", "said": "900", "proof": "100"},
        {"name": "memo", "said": "x", "proof": None},
    ],
}


def program(text: str) -> Sequence[str]:
    return (sys.executable, "-c", text)


class Watched:
    """An audit that is stopped after its first reading, or attempt."""

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self.told: list[Sequence[Json]] = []
        self.audit = BackgroundAudit(folder, PARAMETERS, 1, self.told.append, command=command)

    async def read_once(self) -> str | None:
        """Return why a reading came to no end, None where it did."""
        return await self.audit._read()


def test_what_a_worker_finds_is_told_and_stands_in_the_summary(tmp_path: Path) -> None:
    async def run() -> Watched:
        lines = [{"at": 1, "of": 4}, {"height": 4, "blocks": 5, "found": [BAD]}]
        said = [json.dumps(one) for one in lines]
        text = f"import sys; sys.stdin.readline(); [print(one) for one in {said!r}]"
        watched = Watched(tmp_path, program(text))
        assert await watched.read_once() is None
        return watched

    watched = asyncio.run(run())
    assert watched.told == [[BAD]]
    summary = watched.audit.summary()
    expected = {"state": "", "height": 4, "percent": 100, "last_ms": 0, "findings": 1, "first_bad": BAD}
    assert summary | {"last_ms": 0, "state": ""} == expected


@pytest.mark.parametrize(
    "text,why",
    [
        ("import sys; sys.exit('no disk')", "exit status 1: no disk"),
        ("print('no json')", "exit status 0"),
        ("import os; os.kill(os.getpid(), 9)", "exit status -9"),
    ],
)
def test_a_worker_that_dies_is_told_of_and_nothing_else(tmp_path: Path, text: str, why: str) -> None:
    async def run() -> tuple[str | None, Watched]:
        watched = Watched(tmp_path, program(text))
        return await watched.read_once(), watched

    said, watched = asyncio.run(run())
    assert said == why
    assert watched.told == []


def test_a_worker_whose_line_is_too_long_comes_to_its_end_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "_LINE_BYTES", 1 << 12)

    async def run() -> str | None:
        return await Watched(tmp_path, program("print('x' * (1 << 20))")).read_once()

    assert asyncio.run(run()) == "exit status 0"


def test_a_program_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    async def run() -> str | None:
        return await Watched(tmp_path, (str(tmp_path / "none"),)).read_once()

    assert "could not be started" in str(asyncio.run(run()))


def test_closing_ends_a_worker_in_the_middle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> int:
        watched = Watched(tmp_path, program("import time; time.sleep(600)"))
        running = asyncio.create_task(watched.audit.run())
        while watched.audit._process is None:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
        pid = watched.audit._process.pid
        await watched.audit.close()
        await running
        return pid

    with caplog.at_level(logging.WARNING):
        pid = asyncio.run(run())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert caplog.messages == []


def test_a_reading_that_is_asked_for_comes_at_once_but_not_again_within_a_minute(tmp_path: Path) -> None:
    async def run() -> list[Sequence[Json]]:
        said = json.dumps({"height": 4, "blocks": 5, "found": [BAD]})
        read, told = asyncio.Event(), []

        def note(found: Sequence[Json]) -> None:
            told.append(found)
            read.set()

        command = program(f"import sys; sys.stdin.readline(); print({said!r})")
        audit = BackgroundAudit(tmp_path, PARAMETERS, 86_400, note, command=command)
        running = asyncio.create_task(audit.run())
        audit.soon()
        await read.wait()
        audit.soon()
        assert not audit._wanted.is_set()
        await audit.close()
        await running
        return told

    assert asyncio.run(run()) == [[BAD]]


def test_none_is_asked_for_while_a_reading_goes_on_or_soon_after_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1_000.0
    monkeypatch.setattr(auditing, "time", SimpleNamespace(monotonic=lambda: now_s))

    async def run() -> list[bool]:
        nonlocal now_s
        audit = BackgroundAudit(tmp_path, PARAMETERS, 86_400, lambda _: None)
        is_reading, goes_on = asyncio.Event(), asyncio.Event()

        async def read() -> None:
            is_reading.set()
            await goes_on.wait()

        monkeypatch.setattr(audit, "_read", read)
        running = asyncio.create_task(audit.run())
        audit.soon()
        await is_reading.wait()
        now_s += 3_600
        audit.soon()
        heard = [audit._wanted.is_set()]
        goes_on.set()
        while audit.summary()["state"] == "running":  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
        for passes_s in (59, 1):
            now_s += passes_s
            audit.soon()
            heard.append(audit._wanted.is_set())
        await audit.close()
        await running
        return heard

    assert asyncio.run(run()) == [False, False, True]


def test_off_reads_nothing(tmp_path: Path) -> None:
    async def run() -> Json:
        audit = BackgroundAudit(tmp_path, PARAMETERS, 0, lambda _: None)
        await audit.run()
        return audit.summary()

    assert asyncio.run(run())["state"] == "off"


def test_the_worker_itself_names_an_edit(tmp_path: Path) -> None:
    path = filled_book(tmp_path, *sample_chain(4))
    with contextlib.closing(sqlite3.connect(path)) as book, book:
        book.execute("UPDATE accounts SET balance = balance + 7 WHERE key = (SELECT min(key) FROM accounts)")
    assert path.name == BOOK_NAME

    async def run() -> Watched:
        watched = Watched(tmp_path, COMMAND)
        assert await watched.read_once() is None
        return watched

    (found,) = asyncio.run(run()).audit.found
    assert found["rule"] == "account-row"
    assert [field["name"] for field in found["fields"]] == ["account", "balance"]


def test_a_long_value_in_an_edited_copy_does_not_keep_the_worker_from_naming_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "_LINE_BYTES", 1 << 16)
    path = filled_book(tmp_path, *sample_chain(2))
    with contextlib.closing(sqlite3.connect(path)) as book, book:
        book.execute("INSERT INTO named VALUES ('last_reorg', zeroblob(200000))")

    async def run() -> Watched:
        watched = Watched(tmp_path, COMMAND)
        assert await watched.read_once() is None
        return watched

    (found,) = asyncio.run(run()).audit.found
    assert found["rule"] == "named-row"
    assert found["fields"][0]["said"].startswith("0000")
    assert found["fields"][0]["said"].endswith("… (400000 characters)")


def test_the_worker_leaves_in_good_order_while_its_node_goes_on(tmp_path: Path) -> None:
    filled_book(tmp_path, *sample_chain(2))
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(order(tmp_path, PARAMETERS))
        worker.stdin.flush()
        assert json.loads(worker.stdout.readlines()[-1])["found"] == []
        assert worker.wait() == 0


def test_a_finding_reads_as_one_line() -> None:
    assert finding_line(BAD) == (
        "audit: block 3, entry 1: entries-root: it was changed (amount says 900, proven is 100; memo says x)"
    )
    whole = BAD | {"height": None, "position": None, "fields": []}
    assert finding_line(whole) == "audit: the book: entries-root: it was changed"
