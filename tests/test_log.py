"""Lines reach standard error or the file, from any thread, and a target that fails holds nobody."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.config import Arguments, Config, LogFormat, LogLevel, load
from node.events import Level, Notice, Now
from node.log import MAX_QUEUED, Log, Sink, setup
from node.log_file import LogFile, open_log_file
from node.log_lines import as_text
from node.private import PathError

WHEN_MS = 1_795_363_384_567


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    root, asyncio_log = logging.getLogger(), logging.getLogger("asyncio")
    before = root.level, asyncio_log.level
    yield
    root.setLevel(before[0])
    asyncio_log.setLevel(before[1])


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that is not let run for a while still writes its last words."""
    monkeypatch.setattr("node.log.LAST_WORDS_S", 60.0)


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


class Stuck:
    """A target that takes nothing until it is let go, then fails or takes it."""

    def __init__(self, error: OSError | None = None) -> None:
        self.error = error
        self.lines: list[str] = []
        self.entered = threading.Event()
        self.let_go = threading.Event()

    def write(self, text: str) -> None:
        self.entered.set()
        assert self.let_go.wait(60)
        if self.error is not None:
            raise self.error
        self.lines.append(text)

    def close(self) -> None:
        pass


def clock() -> Now:
    return Now(WHEN_MS, 0)


def config(tmp_path: Path, **changes: object) -> Config:
    return replace(load(Arguments(data_dir=tmp_path / "data"), tmp_path), **changes)  # type: ignore[arg-type]  # fields by name


def told(settings: Config, *notices: Notice, stream: io.StringIO | None = None) -> str:
    """Return what standard error gets of these notices."""
    stream = stream or io.StringIO()
    lines = setup(settings, clock, stream)
    for notice in notices:
        lines.notice(notice)
    lines.close()
    return stream.getvalue()


def test_notices_go_to_standard_error_as_people_read_them(tmp_path: Path) -> None:
    text = told(config(tmp_path), Notice("a", "peer bob: hello"), Notice("b", "trouble", Level.WARNING))
    first, second = text.splitlines()
    assert first.endswith(" peer bob: hello")
    assert second.endswith(" WARNING trouble")


def test_the_json_format_has_a_line_for_programs(tmp_path: Path) -> None:
    text = told(config(tmp_path, log_format=LogFormat.JSON), Notice("a", "x\ny", fields={"height": 7}))
    assert json.loads(text) == {
        "time_ms": WHEN_MS,
        "kind": "a",
        "level": "info",
        "text": "x\ny",
        "fields": {"height": 7},
    }


def test_what_matters_less_than_asked_for_is_not_told(tmp_path: Path) -> None:
    notices = [Notice(level.name, level.name, level) for level in Level]
    text = told(config(tmp_path, log_level=LogLevel.WARNING), *notices)
    assert [line.split()[-1] for line in text.splitlines()] == ["WARNING", "ERROR"]


def test_a_terminal_gets_colours_unless_no_color_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31m" in told(config(tmp_path), Notice("a", "x", Level.ERROR), stream=Terminal())
    assert "\x1b" not in told(config(tmp_path), Notice("a", "x", Level.ERROR))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in told(config(tmp_path), Notice("a", "x", Level.ERROR), stream=Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in told(config(tmp_path), Notice("a", "x", Level.ERROR), stream=Terminal())


def test_records_of_the_standard_library_are_lines_too(tmp_path: Path) -> None:
    stream = io.StringIO()
    lines = setup(config(tmp_path, log_format=LogFormat.JSON), clock, stream)
    logging.getLogger("node.miner").warning("worker %d ended", 3)
    lines.close()
    logging.getLogger("node.miner").warning("nobody hears this")
    (line,) = stream.getvalue().splitlines()
    seen = json.loads(line)
    assert (seen["kind"], seen["level"], seen["text"]) == ("miner", "warning", "worker 3 ended")


def test_a_traceback_of_ours_goes_with_its_line(tmp_path: Path) -> None:
    stream = io.StringIO()
    lines = setup(config(tmp_path), clock, stream)
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("node.x").exception("it broke")
    lines.close()
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith(" ERROR it broke")
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1] == "    ValueError: boom"


def test_a_kind_that_floods_is_held_back_and_the_rest_announced_at_the_end(tmp_path: Path) -> None:
    flood = [Notice("block-connected", f"block {n}") for n in range(150)]
    said = told(config(tmp_path), *flood, Notice("other", "still heard")).splitlines()
    assert len(said) == 102
    assert said[-2].endswith(" still heard")
    assert said[-1].endswith(" block-connected: 50 more lines like this in the last 1 s")


def test_a_place_in_the_code_that_floods_is_named_by_file_and_line(tmp_path: Path) -> None:
    stream = io.StringIO()
    lines = setup(config(tmp_path), clock, stream)
    for number in range(101):
        logging.getLogger("node.x").warning("again %d", number)
    lines.close()
    assert "test_log.py:" in stream.getvalue().splitlines()[-1]


def test_what_was_held_back_is_announced_when_its_window_is_over_though_nothing_else_is_said() -> None:
    class Written(list[str]):
        def write(self, text: str) -> None:
            self.append(text)
            if "more lines" in text:
                announced.set()

        def close(self) -> None:
            pass

    announced, now, target = threading.Event(), [0], Written()
    lines = Log([Sink(target, as_text, only_loud=False)], clock=lambda: Now(WHEN_MS, now[0]))
    lines.start()
    for _ in range(105):
        lines.notice(Notice("a", "x"))
    now[0] = 10_000
    lines.notice(Notice("b", "time has passed"))
    assert announced.wait(60)
    lines.close()
    assert sum("a: 5 more lines like this in the last 10 s" in line for line in target) == 1


def test_a_log_file_is_its_owners_alone_and_takes_all_lines(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    seen = told(config(tmp_path, log_file=path), Notice("a", "one"), Notice("b", "two", Level.ERROR))
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["one", "two"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [line.split()[-1] for line in seen.splitlines()] == ["two"], "errors are told beside the file too"


def test_the_start_is_told_on_standard_error_even_where_there_is_a_file(tmp_path: Path) -> None:
    path, stream = tmp_path / "node.log", io.StringIO()
    lines = setup(config(tmp_path, log_file=path, log_level=LogLevel.ERROR), clock, stream)
    lines.announce([Notice("start", "listens on 127.0.0.1:9000")])
    lines.warn("the wallet has no backup")
    lines.close()
    assert stream.getvalue() == path.read_text()
    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == ["127.0.0.1:9000", "backup"]


def test_a_log_file_that_was_open_to_others_is_closed_to_them_and_its_owner_told(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    path.write_text("older\n")
    path.chmod(0o644)
    assert "was open to others" in told(config(tmp_path, log_file=path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith("older\n")


def test_a_full_log_file_is_moved_aside_and_the_oldest_given_up(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    file, _ = open_log_file(path, max_bytes=100)
    for number in range(20):
        file.write(f"{number:02} 100 % " + "x" * 40)
    file.close()
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == ["node.log", "node.log.1", "node.log.2", "node.log.3"]
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names} == {0o600}
    assert path.read_text().startswith("19 100 % xxx")
    assert all((tmp_path / name).stat().st_size <= 100 for name in names)


def test_two_processes_do_not_share_a_log_file(tmp_path: Path) -> None:
    first, _ = open_log_file(tmp_path / "node.log")
    with pytest.raises(
        PathError, match=r"another process writes its log to .*: name another file with --log-file"
    ):
        open_log_file(tmp_path / "node.log")
    first.close()
    again, _ = open_log_file(tmp_path / "node.log")
    again.close()


def test_a_log_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing" / "node.log", Path("/dev/null")):
        with pytest.raises(PathError, match="cannot write the log to"):
            open_log_file(path)
    assert stat.S_IMODE(Path("/dev/null").stat().st_mode) == 0o666


def test_a_log_that_cannot_be_written_is_told_of_elsewhere_once_and_the_gap_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, stream = tmp_path / "node.log", io.StringIO()
    full, taken = [True], threading.Event()
    write = LogFile.write

    def unsteady(file: LogFile, text: str) -> None:
        if full[0]:
            taken.set()
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, text)

    monkeypatch.setattr(LogFile, "write", unsteady)
    lines = setup(config(tmp_path, log_file=path), clock, stream)
    lines.notice(Notice("a", "lost"))
    assert taken.wait(60)
    lines.notice(Notice("a", "lost or not"))
    lines.close()
    assert stream.getvalue().count("No space left on device") == 1

    full[0] = False
    stream = io.StringIO()
    sink = Sink(open_log_file(path)[0], as_text, only_loud=False, lost=2)
    lines = Log([sink], clock=clock)
    lines.start()
    lines.notice(Notice("a", "back"))
    lines.close()
    assert [line.split(" ", 3)[-1] for line in path.read_text().splitlines()] == [
        "2 lines of the log were lost here: they could not be written",
        "back",
    ]


def test_a_closed_standard_error_ends_nothing(tmp_path: Path) -> None:
    stream = io.StringIO()
    lines = setup(config(tmp_path), clock, stream)
    stream.close()
    lines.notice(Notice("a", "x"))
    lines.close()


def test_a_terminal_that_is_held_does_not_hold_the_node_and_what_was_lost_is_counted() -> None:
    target = Stuck()
    lines = Log([Sink(target, as_text, only_loud=False)], clock=clock)
    lines.start()
    lines.announce([Notice("a", "first")])
    assert target.entered.wait(60)
    lines.announce(Notice("a", str(n)) for n in range(MAX_QUEUED + 5))
    target.let_go.set()
    lines.close()
    assert any(
        line.endswith("5 lines of the log were lost: they came faster than they could be written")
        for line in target.lines
    )


def test_lines_from_many_threads_stay_whole(tmp_path: Path) -> None:
    stream = io.StringIO()
    lines = setup(config(tmp_path), clock, stream)

    def say(name: int) -> None:
        for number in range(50):
            lines.notice(Notice(f"kind {name}", f"<{name} {number}>"))

    threads = [threading.Thread(target=say, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines.close()
    said = [line.split(" ", 2)[2] for line in stream.getvalue().splitlines()]
    assert sorted(said) == sorted(f"<{name} {number}>" for name in range(4) for number in range(50))
