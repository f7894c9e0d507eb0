"""Where things lie: data folders and the socket, found again by whoever looks."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.paths import (
    UnsupportedPlatform,
    choose_socket,
    default_data_dir,
    find_socket,
    forget_socket,
    prepare_data_dir,
    refuse_unsupported_platform,
    wallets_folder,
)
from node.private import PathError


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def short() -> Iterator[Path]:
    """Return a folder whose path is short enough for a socket, as tmp_path may not be."""
    with tempfile.TemporaryDirectory(prefix="i-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def long_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: Path) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    folder = tmp_path / ("long" * 20) / ("longer" * 10)
    prepare_data_dir(folder)
    return folder


def test_each_port_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_dir(9000).parts[-2:] == ("indelible", "9000")
    assert default_data_dir(9001) != default_data_dir(9000)
    assert not any(tmp_path.iterdir())


def test_the_data_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    assert prepare_data_dir(tmp_path / "a" / "9000") is None
    assert mode(tmp_path / "a" / "9000") == 0o700


def test_an_open_folder_of_a_node_is_closed(tmp_path: Path) -> None:
    wallets_folder(tmp_path / "node").mkdir(parents=True)
    (tmp_path / "node").chmod(0o755)
    told = prepare_data_dir(tmp_path / "node")
    assert told is not None
    assert "was open to others" in told
    assert mode(tmp_path / "node") == 0o700


def test_an_open_folder_with_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "letter.txt").write_text("hello")
    with pytest.raises(PathError, match=r"holds other things.*chmod 700"):
        prepare_data_dir(folder)
    assert mode(folder) == 0o755


def test_the_socket_lies_in_the_data_folder(short: Path) -> None:
    assert find_socket(short) == short / "node.sock"
    assert choose_socket(short) == short / "node.sock"
    assert find_socket(short) == short / "node.sock"
    assert not (short / "node.sock.path").exists()


def test_a_path_too_long_for_a_socket_is_replaced_by_a_short_private_one(long_dir: Path, short: Path) -> None:
    assert find_socket(long_dir) is None
    chosen = choose_socket(long_dir)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(chosen))
    assert chosen.parent.parent == short
    assert mode(chosen.parent) == 0o700
    assert find_socket(long_dir) == chosen
    assert choose_socket(long_dir) == chosen

    forget_socket(long_dir)
    assert not any(short.iterdir())
    assert find_socket(long_dir) is None
    forget_socket(long_dir)


def test_what_someone_put_in_the_place_of_the_socket_is_left_alone(short: Path) -> None:
    (short / "node.sock").write_text("a letter")
    forget_socket(short)
    assert (short / "node.sock").read_text() == "a letter"


def test_a_short_folder_that_others_can_enter_is_not_used_again(long_dir: Path) -> None:
    first = choose_socket(long_dir)
    first.parent.chmod(0o755)
    second = choose_socket(long_dir)
    assert second != first
    assert find_socket(long_dir) == second


def test_a_short_folder_that_was_cleaned_away_is_made_anew(long_dir: Path) -> None:
    first = choose_socket(long_dir)
    first.parent.rmdir()
    assert choose_socket(long_dir).parent.is_dir()


def test_a_copied_data_folder_does_not_take_the_socket_of_the_original(long_dir: Path) -> None:
    original = choose_socket(long_dir)
    copy = long_dir.with_name(long_dir.name[::-1])
    shutil.copytree(long_dir, copy)
    assert find_socket(copy) is None
    assert choose_socket(copy) != original
    assert find_socket(long_dir) == original


@pytest.mark.parametrize("record", [b"", b"\xff", b"/etc/passwd", b"node.sock"])
def test_a_damaged_record_is_not_followed(long_dir: Path, record: bytes) -> None:
    (long_dir / "node.sock.path").write_bytes(record)
    assert find_socket(long_dir) is None
    assert choose_socket(long_dir) == find_socket(long_dir)


def test_a_record_with_a_byte_that_no_path_holds_is_not_followed(long_dir: Path) -> None:
    folder = choose_socket(long_dir).parent
    (long_dir / "node.sock.path").write_bytes(bytes(folder) + b"\0/node.sock")
    assert find_socket(long_dir) is None
    forget_socket(long_dir)
    assert choose_socket(long_dir) == find_socket(long_dir)


def test_no_short_place_at_all_is_named(long_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.paths.MAX_SOCKET_PATH", 10)
    with pytest.raises(PathError, match=r"too long for a socket.*TMPDIR"):
        choose_socket(long_dir)


def test_windows_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedPlatform, match="does not run on Windows"):
        refuse_unsupported_platform("win32")
    refuse_unsupported_platform("linux")
    refuse_unsupported_platform("darwin")
