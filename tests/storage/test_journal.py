"""The journal: what was appended is there after any crash, and what is broken is cut off and told of."""

from __future__ import annotations

import errno
import os
import stat
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.storage.faults import BookFault, DiskFull
from node.storage.journal import Journal, _framed, _frames, broken_bytes

RAWS = [b"", b"one", bytes(40), b"\xff" * 17, b"last"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pending.journal"


def written(path: Path, raws: list[bytes]) -> bytes:
    journal = Journal(path)
    journal.append(raws)
    journal.close()
    return path.read_bytes()


def reread(path: Path) -> tuple[list[bytes], list[str]]:
    journal = Journal(path)
    try:
        return journal.read(), journal.notices
    finally:
        journal.close()


def test_what_was_appended_is_read_again_in_order(path: Path) -> None:
    written(path, RAWS[:2])
    written(path, RAWS[2:])
    assert reread(path) == (RAWS, [])


def test_an_empty_journal_holds_nothing_and_takes_more(path: Path) -> None:
    journal = Journal(path)
    journal.append(RAWS)
    journal.empty()
    assert journal.read() == []
    journal.append([b"after"])
    assert journal.read() == [b"after"]
    journal.close()
    assert reread(path) == ([b"after"], [])


def test_it_is_for_its_owner_alone(path: Path) -> None:
    written(path, RAWS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    raws, notices = reread(path)
    assert raws == RAWS
    assert "was open to others" in notices[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_tail_torn_at_any_byte_costs_its_own_entry_and_no_other(path: Path) -> None:
    content = written(path, RAWS)
    ends = [sum(8 + len(raw) for raw in RAWS[:count]) for count in range(len(RAWS) + 1)]
    for size in range(len(content)):
        path.write_bytes(content[:size])
        whole = max(count for count, end in enumerate(ends) if end <= size)
        raws, notices = reread(path)
        assert raws == RAWS[:whole]
        assert bool(notices) == any(content[ends[whole] : size])  # zeros are free room
        # It was cut off, so what is appended from now on is read again.
        written(path, [b"next"])
        assert reread(path) == ([*RAWS[:whole], b"next"], [])


def test_a_byte_changed_anywhere_costs_its_own_entry_and_no_other(path: Path) -> None:
    content = written(path, RAWS)
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        raws, notices = reread(path)
        assert len(raws) == len(RAWS) - 1
        assert [raw for raw in RAWS if raw in raws] == raws
        assert "were cut out, 4 entries are whole" in notices[0]


def test_zeros_stand_behind_the_entries_until_it_is_closed(path: Path) -> None:
    journal = Journal(path)
    journal.append(RAWS)
    grown = path.read_bytes()
    journal.append([b"more"])
    assert len(path.read_bytes()) == len(grown)
    journal.close()
    content = path.read_bytes()
    assert grown.rstrip(b"\0") + _framed([b"more"]) == content


def test_what_a_killed_node_leaves_is_whole_and_goes_on(path: Path) -> None:
    """The zeros are still there; an entry may end in zeros of its own."""
    raws = [*RAWS, b"ends in" + bytes(5)]
    content = written(path, raws)
    for free in (1, 7, 8, 9, 5000):
        path.write_bytes(content + bytes(free))
        assert broken_bytes(path.read_bytes()) == 0
        journal = Journal(path)
        assert (journal.read(), journal.notices) == (raws, [])
        journal.append([b"next"])
        assert journal.read() == [*raws, b"next"]
        journal.close()
        assert reread(path) == ([*raws, b"next"], [])


def test_an_entry_torn_before_zeros_costs_itself_and_no_other(path: Path) -> None:
    content = written(path, RAWS)
    after = 8 + len(RAWS[0]) + 8 + len(RAWS[1])
    for kept in range(after, len(content)):
        path.write_bytes(content[:kept] + bytes(len(content) - kept + 100))
        raws, _ = reread(path)
        assert raws in [RAWS[:count] for count in range(2, len(RAWS))]
        assert reread(path)[1] == []


def test_a_sector_that_was_not_written_costs_only_what_stood_in_it(path: Path) -> None:
    content = written(path, RAWS)
    middle = 8 + len(RAWS[0])
    gone = 8 + len(RAWS[1])
    path.write_bytes(content[:middle] + bytes(gone) + content[middle + gone :] + bytes(100))
    assert broken_bytes(path.read_bytes()) == gone
    raws, notices = reread(path)
    assert raws == [RAWS[0], *RAWS[2:]]
    assert f"{gone} broken bytes were cut out, 4 entries are whole" in notices[0]


def test_where_there_is_no_room_for_zeros_it_grows_as_it_is_used(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite

    def narrow(descriptor: int, content: bytes, at: int) -> int:
        if at + len(content) > 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, content, at)

    journal = Journal(path)
    monkeypatch.setattr(os, "pwrite", narrow)
    journal.append([bytes(20)])
    journal.append([b"two"])
    with pytest.raises(DiskFull):
        journal.append([bytes(200)])
    journal.append([b"three"])
    journal.close()
    assert reread(path) == ([bytes(20), b"two", b"three"], [])


@given(content=st.binary(max_size=200))
def test_any_bytes_open(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("journal") / "pending.journal"
    path.write_bytes(content)
    path.chmod(0o600)
    reread(path)
    assert reread(path)[1] == []


def test_rubbish_before_an_entry_is_passed_over_without_copying_what_it_claims(path: Path) -> None:
    """Each of its bytes could begin a frame of gigabytes: the rest of the file was copied for each."""
    content = b"\xff" * (1 << 19) + written(path, [b"one"])
    tracemalloc.start()
    try:
        found = list(_frames(content))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [b"one"]
    assert most < 1 << 16


def test_something_else_in_its_place_is_set_aside(path: Path) -> None:
    path.mkdir()
    raws, notices = reread(path)
    assert raws == []
    assert "pending.journal.bad-1" in notices[0]
    assert path.with_name("pending.journal.bad-1").is_dir()


def test_a_full_disk_is_named_and_leaves_the_journal_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(path)
    journal.append([b"before"])
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, content, at: real(descriptor, content[:5], at))
    with pytest.raises(DiskFull, match=r"the disk of .*pending\.journal is full: free some space"):
        journal.append([b"lost"])
    monkeypatch.undo()
    journal.append([b"after"])
    assert journal.read() == [b"before", b"after"]
    journal.close()
    assert reread(path) == ([b"before", b"after"], [])


def test_a_failing_disk_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(path)

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("node.storage.journal._sync", fail)
    with pytest.raises(BookFault, match="Input/output error"):
        journal.append([b"x"])
    with pytest.raises(BookFault, match="Input/output error"):
        journal.empty()
    journal.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BookFault, match=r"cannot write .*nowhere"):
        Journal(tmp_path / "nowhere" / "pending.journal")
