"""The book as the page reads it: handles that are kept, and opened anew when their file is another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.query import NotFound, Query
from node.storage.faults import NotABook
from node.storage.reading import ReadOnlyBook, open_read_only
from node.web import books as books_module
from node.web.books import READERS, Books, TooBusy
from tests.storage.filling import PARAMETERS, filled_book, sample_chain

pytestmark = pytest.mark.asyncio


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return filled_book(tmp_path, *sample_chain(3, 1))


@pytest.fixture
def books(book: Path) -> Iterator[Books]:
    made = Books(book, PARAMETERS)
    yield made
    made.close()


def height(query: Query) -> int:
    (tip,) = query.headers(1)
    return tip.height


async def test_questions_are_answered_at_once_and_their_errors_come_back(books: Books) -> None:
    assert await asyncio.gather(*(books.ask(height) for _ in range(20))) == [3] * 20
    with pytest.raises(NotFound):
        await books.ask(lambda query: query.block(9))
    assert await books.ask(height) == 3


async def test_a_handle_is_opened_once_for_each_thread(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def opening(path: Path) -> ReadOnlyBook:
        opened.append(path)
        return open_read_only(path)

    monkeypatch.setattr(books_module, "open_read_only", opening)
    for _ in range(3):
        await asyncio.gather(*(books.ask(height) for _ in range(50)))
    assert 1 <= len(opened) <= READERS


async def test_a_book_that_was_put_in_the_place_of_another_is_read(
    books: Books, book: Path, tmp_path: Path
) -> None:
    assert await books.ask(height) == 3
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    filled_book(elsewhere, *sample_chain(5, 1)).replace(book)
    assert await books.ask(height) == 5
    await asyncio.to_thread(book.unlink)
    with pytest.raises(NotABook):
        await books.ask(height)


async def test_more_questions_than_are_taken_are_refused(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books_module, "MAX_QUEUED", 2)
    go = threading.Event()
    waiting = [asyncio.create_task(books.ask(lambda _: go.wait(60))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooBusy):
        await books.ask(height)
    go.set()
    await asyncio.gather(*waiting)
    assert await books.ask(height) == 3
