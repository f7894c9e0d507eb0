"""What is written and in which order, and the thread that does it: groups, the journal first, faults."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from node.disk import PEERS_NAME, PENDING_NAME, DiskWriter, FolderWriter, Write
from node.events import Persist, SavePeers, SavePending
from node.private import PathError
from node.storage.journal import Journal
from node.storage.port import Batch, Connected, StorageFault

WAIT_S = 60.0


class SlowBook:
    """A writer that notes its commits, and waits inside the first one until it may go on."""

    def __init__(self, *, held: bool = False, fault: Exception | None = None) -> None:
        self.commits: list[list[int]] = []
        self.entered = threading.Event()
        self.may_go_on = threading.Event()
        self._fault = fault
        if not held:
            self.may_go_on.set()

    def commit(self, batches: Iterable[Batch]) -> None:
        self.entered.set()
        assert self.may_go_on.wait(WAIT_S)
        if self._fault is not None:
            raise self._fault
        self.commits.append([batch.number for batch in batches])


class Desk:
    """A disk writer with what it told."""

    def __init__(self, folder: Path, book: SlowBook, hold_s: float = 0.0) -> None:
        self.journal = Journal(folder / "pending.journal")
        self.durable: list[int] = []
        self.faults: list[BaseException] = []
        self.failed = threading.Event()
        self.disk = DiskWriter(book, self.journal, folder, self.durable.append, self._fail, hold_s)

    def _fail(self, error: BaseException) -> None:
        self.faults.append(error)
        self.failed.set()

    def write(self, *writes: Write) -> None:
        for write in writes:
            self.disk.put(write)


def book_batch(number: int) -> Persist:
    return Persist(Batch(number, values={"n": bytes([number])}))


def journal_batch(number: int, *raws: bytes) -> Persist:
    return Persist(Batch(number, journal=list(raws)))


def test_what_gathers_during_a_commit_goes_into_the_next_as_one(tmp_path: Path) -> None:
    book = SlowBook(held=True)
    desk = Desk(tmp_path, book)
    desk.disk.start()
    desk.write(book_batch(1))
    assert book.entered.wait(WAIT_S)
    desk.write(book_batch(2), book_batch(3), book_batch(4))
    book.may_go_on.set()
    desk.disk.close()
    assert book.commits == [[1], [2, 3, 4]]
    assert desk.durable == [1, 4]


def followed(number: int, entries: int = 0) -> Persist:
    block = Connected(None, None, b"", [None] * entries)  # type: ignore[arg-type, list-item]  # nobody looks
    return Persist(Batch(number, connected=[block], followed=True))


def test_a_block_waits_for_those_that_follow_it(tmp_path: Path) -> None:
    book = SlowBook()
    desk = Desk(tmp_path, book, WAIT_S)
    desk.disk.start()
    desk.write(followed(1), followed(2), book_batch(3))
    assert book.entered.wait(WAIT_S)
    desk.disk.close()
    assert book.commits == [[1, 2, 3]]


def test_a_block_that_waits_is_written_at_the_end(tmp_path: Path) -> None:
    book = SlowBook()
    desk = Desk(tmp_path, book, WAIT_S)
    desk.disk.start()
    desk.write(followed(1))
    desk.disk.close()
    assert book.commits == [[1]]


def test_a_block_does_not_wait_for_ever(tmp_path: Path) -> None:
    book = SlowBook()
    desk = Desk(tmp_path, book, 0.001)
    desk.disk.start()
    desk.write(followed(1))
    assert book.entered.wait(WAIT_S)
    desk.disk.close()
    assert book.commits == [[1]]


def test_enough_for_one_transaction_waits_for_nothing(tmp_path: Path) -> None:
    book = SlowBook()
    desk = Desk(tmp_path, book, WAIT_S)
    desk.disk.start()
    desk.write(followed(1, entries=16_400))
    assert book.entered.wait(WAIT_S)
    desk.write(book_batch(2))
    desk.disk.close()
    assert book.commits == [[1], [2]]


def test_entries_are_in_the_journal_before_their_batch_is_told_durable(tmp_path: Path) -> None:
    desk = Desk(tmp_path, SlowBook())
    desk.write(journal_batch(1, b"one", b"two"), journal_batch(2, b"three"))
    desk.disk.start()
    desk.disk.close()
    assert desk.durable == [2]
    assert desk.journal.read() == [b"one", b"two", b"three"]


def test_a_batch_of_the_journal_alone_does_not_trouble_the_book(tmp_path: Path) -> None:
    book = SlowBook()
    desk = Desk(tmp_path, book)
    desk.write(journal_batch(1, b"one"))
    desk.disk.start()
    desk.disk.close()
    assert book.commits == []


def test_saving_the_pending_entries_empties_the_journal_and_keeps_what_came_after(tmp_path: Path) -> None:
    desk = Desk(tmp_path, SlowBook())
    desk.write(journal_batch(1, b"old"), SavePending(b"all of it"), journal_batch(2, b"new"))
    desk.disk.start()
    desk.disk.close()
    assert (tmp_path / PENDING_NAME).read_bytes() == b"all of it"
    assert desk.journal.read() == [b"new"]


def test_the_peer_book_is_written_beside_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, SlowBook())
    desk.write(SavePeers(b"peers"))
    desk.disk.start()
    desk.disk.close()
    assert (tmp_path / PEERS_NAME).read_bytes() == b"peers"


@pytest.mark.parametrize("fault", [StorageFault("the disk is full"), RuntimeError("a bug of ours")])
def test_a_fault_is_handed_over_and_nothing_is_told_durable(tmp_path: Path, fault: Exception) -> None:
    desk = Desk(tmp_path, SlowBook(fault=fault))
    desk.disk.start()
    desk.write(book_batch(1))
    assert desk.failed.wait(WAIT_S)
    desk.disk.close()
    assert desk.faults == [fault]
    assert desk.durable == []


class Steps:
    """A book, a journal and files that only note what is asked of them, and fail at one step."""

    def __init__(self, fails_at: str = "") -> None:
        self.done: list[str] = []
        self._fails_at = fails_at

    def _do(self, step: str) -> None:
        if step == self._fails_at:
            raise StorageFault("no more")
        self.done.append(step)

    def commit(self, batches: Iterable[Batch]) -> None:
        self._do(f"commit {[batch.number for batch in batches]}")

    def append(self, raws: Iterable[bytes]) -> None:
        self._do(f"journal {b' '.join(raws).decode()}")

    def empty(self) -> None:
        self._do("empty")

    def replace(self, path: Path, content: bytes) -> None:
        self._do(f"{path.name} {content.decode()}")

    def write(self, *writes: Write) -> None:
        folder = FolderWriter(self, self, Path("folder"), self.replace)
        folder.write(writes, lambda number: self.done.append(f"durable {number}"))


MIXED: tuple[Write, ...] = (
    Persist(Batch(1, journal=[b"one"], values={"n": b"1"})),
    Persist(Batch(2, journal=[b"two"])),
    Persist(Batch(3, values={"n": b"3"})),
    SavePending(b"all"),
    SavePeers(b"known"),
    journal_batch(4, b"four"),
)
IN_ORDER = [
    "journal one two",
    "commit [1, 3]",
    "durable 3",
    f"{PENDING_NAME} all",
    "empty",
    f"{PEERS_NAME} known",
    "journal four",
    "durable 4",
]


def test_all_is_written_in_order_without_a_thread() -> None:
    steps = Steps()
    steps.write(*MIXED)
    assert steps.done == IN_ORDER


@pytest.mark.parametrize("step", [step for step in IN_ORDER if not step.startswith("durable")])
def test_nothing_follows_a_step_that_failed(step: str) -> None:
    steps = Steps(step)
    with pytest.raises(StorageFault):
        steps.write(*MIXED)
    assert steps.done == IN_ORDER[: IN_ORDER.index(step)]


def test_a_file_that_cannot_be_replaced_is_a_storage_fault(tmp_path: Path) -> None:
    def replace(path: Path, _content: bytes) -> None:
        raise PathError(f"cannot write {path.name}", "look at its disk")

    steps = Steps()
    with pytest.raises(StorageFault, match=r"cannot write pending\.dat: look at its disk"):
        FolderWriter(steps, steps, tmp_path, replace).write([SavePending(b"all")], lambda _: None)
    assert steps.done == []
