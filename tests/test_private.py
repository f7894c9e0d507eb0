"""Files for their owner alone: never overwritten, never half written, never open to others."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from node import private
from node.private import (
    PathError,
    create_private_file,
    expanded,
    make_private_folder,
    read_bounded,
    replace_private_file,
    sweep,
    tighten,
    writing_private_file,
)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    create_private_file(tmp_path / "key", b"one")
    assert (tmp_path / "key").read_bytes() == b"one"
    assert mode(tmp_path / "key") == 0o600
    assert names(tmp_path) == ["key"]


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    create_private_file(tmp_path / "key", b"one")
    with pytest.raises(FileExistsError):
        create_private_file(tmp_path / "key", b"two")
    assert (tmp_path / "key").read_bytes() == b"one"
    assert names(tmp_path) == ["key"]


@pytest.mark.parametrize("exists", [False, True])
def test_a_file_system_without_links_is_no_excuse_to_overwrite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    if exists:
        (tmp_path / "key").write_bytes(b"old")
        with pytest.raises(FileExistsError):
            create_private_file(tmp_path / "key", b"new")
    else:
        create_private_file(tmp_path / "key", b"new")
    assert (tmp_path / "key").read_bytes() == (b"old" if exists else b"new")
    assert names(tmp_path) == ["key"]


@pytest.mark.parametrize("write", [create_private_file, replace_private_file])
def test_a_full_disk_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], None]
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PathError, match=r"cannot write .*key .No space left"):
        write(tmp_path / "key", b"one")
    assert names(tmp_path) == []


def test_replacing_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    replace_private_file(tmp_path / "record", b"one")
    replace_private_file(tmp_path / "record", b"two")
    assert (tmp_path / "record").read_bytes() == b"two"
    assert mode(tmp_path / "record") == 0o600
    assert names(tmp_path) == ["record"]


def test_what_a_crash_left_of_a_file_is_swept_away_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        """Not caught by anyone, as a kill is not."""

    def die(*_: object) -> None:
        raise Died

    (tmp_path / ".hidden.tmp").write_text("not ours")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", die)
        with pytest.raises(Died):
            replace_private_file(tmp_path / "pending.dat", b"new")
    assert len(list(tmp_path.iterdir())) == 2
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".hidden.tmp"]


def test_a_folder_is_made_for_its_owner_alone_and_made_once(tmp_path: Path) -> None:
    assert make_private_folder(tmp_path / "a" / "b") is None
    assert mode(tmp_path / "a" / "b") == 0o700
    assert make_private_folder(tmp_path / "a" / "b") is None


def test_what_was_open_to_others_is_closed_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    told = make_private_folder(folder)
    assert told is not None
    assert "0755" in told
    assert str(folder) in told
    assert mode(folder) == 0o700


def test_what_cannot_be_closed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_bytes(b"")
    (tmp_path / "key").chmod(0o644)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    with pytest.raises(PathError, match=r"others can use .*0644"):
        tighten(tmp_path / "key", 0o600)

    def not_yours(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "chmod", not_yours)
    with pytest.raises(PathError, match="belong to you alone"):
        tighten(tmp_path / "key", 0o600)


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(PathError, match="is no folder"):
        make_private_folder(tmp_path / "x")
    with pytest.raises(PathError, match="cannot make the folder"):
        make_private_folder(tmp_path / "x" / "y")


def test_reading_is_bounded_and_waits_for_nobody(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"12345")
    assert read_bounded(tmp_path / "long", 5) == b"12345"
    with pytest.raises(PathError, match="longer than 4 bytes"):
        read_bounded(tmp_path / "long", 4)
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(PathError, match="no regular file"):
            read_bounded(tmp_path / name, 5)
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "absent", 5)
    with pytest.raises(PathError, match="cannot read"):
        read_bounded(tmp_path / "long" / "deeper", 5)


def test_the_errors_of_this_module_say_what_to_do_next(tmp_path: Path) -> None:
    error = private.trouble("write", tmp_path, OSError(errno.EROFS, os.strerror(errno.EROFS)))
    assert "Read-only file system" in error.message
    assert error.hint
    assert str(error) == f"{error.message}: {error.hint}"


def test_a_home_folder_stands_for_its_sign_and_that_of_nobody_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/dexter")
    assert expanded(Path("~/x")) == Path("/home/dexter/x")
    assert expanded(Path("x/~")) == Path("x/~")
    with pytest.raises(PathError, match="no home folder is known for '~nobody-here/x': write the whole path"):
        expanded(Path("~nobody-here/x"))


def test_a_streamed_file_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_bytes(b"old")
    with writing_private_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert names(tmp_path) == ["book.csv"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_streamed_file_that_is_broken_off_leaves_nothing(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def broken_off(file: BinaryIO) -> None:
        file.write(b"half")
        raise error

    path = tmp_path / "book.csv"
    path.write_bytes(b"old")
    with pytest.raises(error), writing_private_file(path) as file:
        broken_off(file)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["book.csv"]


def test_a_streamed_file_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none" / "book.csv", tmp_path / "folder"):
        with pytest.raises(PathError, match="cannot write"), writing_private_file(path) as file:
            file.write(b"new")
    assert names(tmp_path) == ["folder"]
