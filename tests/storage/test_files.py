"""The lock of a data folder and the space left on its disk."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from node.storage.faults import BookFault, InUse
from node.storage.files import FolderLock, free_bytes, holder


def test_a_second_node_is_refused_by_name(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        with pytest.raises(InUse) as caught:
            FolderLock(tmp_path)
        assert caught.value.message == f"{tmp_path} is in use by another node (process {os.getpid()})"
        assert "--data-dir" in caught.value.hint


def test_a_lock_that_was_given_back_can_be_taken(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        pass
    lock = FolderLock(tmp_path)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()


def test_it_goes_when_its_process_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from node.storage.files import FolderLock\n"
        "lock = FolderLock(Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(InUse, match=f"process {holder.pid}"):
            FolderLock(tmp_path)
        holder.kill()
    FolderLock(tmp_path).release()


def test_children_do_not_inherit_it(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    code = "print('here', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        lock.release()
        FolderLock(tmp_path).release()
        child.communicate(b"\n")


def test_its_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600


def test_a_lock_file_of_any_content_is_taken_and_named(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"\xff" * 100)
    with FolderLock(tmp_path):
        (tmp_path / "lock").write_bytes(b"\xff" * 100)
        with pytest.raises(InUse, match="process unknown"):
            FolderLock(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BookFault, match="cannot open"):
        FolderLock(tmp_path / "nowhere")
    with pytest.raises(BookFault, match="cannot look at the disk"):
        free_bytes(tmp_path / "nowhere")


def test_the_space_left_is_told(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0


def test_who_has_a_folder_is_told_without_touching_its_lock(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with FolderLock(tmp_path):
        assert holder(tmp_path) == os.getpid()
    (tmp_path / "lock").write_bytes(b"rubbish")
    assert holder(tmp_path) is None
