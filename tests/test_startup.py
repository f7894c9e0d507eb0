"""What a start checks before anything is opened: the folder remembers its network, and misses its book."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from node import config, startup
from node.config import Arguments, Config
from node.daemon import NodeHalted
from node.ledger.params import Parameters
from node.remembered import FILE_NAME as MEMORY_NAME
from node.startup import _check_book, _remember, run
from node.storage.faults import BookFault, Damaged, ForeignNetwork
from node.storage.sqlite import BOOK_NAME, SqliteBook, open_book
from tests.building import EASY


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return config.load(Arguments(data_dir=tmp_path), tmp_path)


def test_a_new_folder_is_told_its_network(tmp_path: Path, settings: Config) -> None:
    assert not _check_book(tmp_path, settings)
    _remember(tmp_path, settings)
    assert settings.parameters.name in (tmp_path / MEMORY_NAME).read_text()


def test_a_folder_with_its_book_is_passed_over_in_silence(tmp_path: Path, settings: Config) -> None:
    _remember(tmp_path, settings)
    (tmp_path / BOOK_NAME).write_bytes(b"a book")
    assert not _check_book(tmp_path, settings)


def test_a_folder_whose_book_is_gone_says_so(tmp_path: Path, settings: Config) -> None:
    _remember(tmp_path, settings)
    assert "is gone" in _check_book(tmp_path, settings)


def test_a_book_that_was_emptied_is_named_with_the_command_that_remakes_it(
    tmp_path: Path, settings: Config
) -> None:
    _remember(tmp_path, settings)
    (tmp_path / BOOK_NAME).write_bytes(b"")
    with pytest.raises(Damaged, match="rebuild"):
        _check_book(tmp_path, settings)


def test_a_first_start_that_was_cut_short_while_it_made_the_book_is_begun_again(
    tmp_path: Path, settings: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_half(path: Path, _parameters: Parameters) -> SqliteBook:
        path.touch(0o600)
        raise BookFault("killed", "start again")

    monkeypatch.setattr(startup, "open_book", make_half)
    with pytest.raises(BookFault, match="killed"):
        startup._open_and_run(settings, heal=False, auto=False)
    assert (tmp_path / BOOK_NAME).read_bytes() == b""
    assert not _check_book(tmp_path, settings)


def test_a_folder_of_another_network_is_refused_by_name_even_without_its_book(
    tmp_path: Path, settings: Config
) -> None:
    _remember(tmp_path, settings)
    with pytest.raises(ForeignNetwork, match=settings.parameters.name):
        _check_book(tmp_path, replace(settings, parameters=EASY))


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"x" * 300, b"00" * 32 + b" another\n"])
def test_a_damaged_memory_is_written_anew_as_the_book_says(
    tmp_path: Path, settings: Config, content: bytes
) -> None:
    open_book(tmp_path / BOOK_NAME, settings.parameters).close()
    _remember(tmp_path, settings)
    written = (tmp_path / MEMORY_NAME).read_bytes()
    (tmp_path / MEMORY_NAME).write_bytes(content)
    assert "was damaged" in _check_book(tmp_path, settings)
    assert (tmp_path / MEMORY_NAME).read_bytes() == written
    assert not _check_book(tmp_path, settings)


def test_a_damaged_memory_without_a_book_is_refused_with_what_to_do(tmp_path: Path, settings: Config) -> None:
    (tmp_path / MEMORY_NAME).write_bytes(b"")
    with pytest.raises(BookFault, match="is damaged: move it away"):
        _check_book(tmp_path, settings)


def test_what_halts_a_node_is_told_once_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def halt(_: Config, **__: object) -> int:
        raise NodeHalted("the disk is full", "free some space")

    monkeypatch.setattr("node.startup._open_and_run", halt)
    assert run(Arguments(data_dir=tmp_path, port=9_999)) == 1
    assert capsys.readouterr().err == "indelible: the disk is full. Free some space\n"
