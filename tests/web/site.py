"""A page over a real book on disk and a fake node's socket, and a browser's or a program's way to ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
from starlette.applications import Starlette

from node.contacts import Contacts
from node.ledger.address import encode_address
from node.ledger.entry import Entry
from node.paths import contacts_file
from node.query import Query
from node.storage.page_index import NAME as INDEX_NAME
from node.storage.page_index import PageIndex
from node.storage.sqlite import BOOK_NAME
from node.web.app import create_app
from node.web.books import Books
from node.web.context import Context
from node.web.hub import Hub
from node.web.index import Indexer, step
from node.web.local_socket import LocalSocket
from node.web.security import Hosts
from tests.building import Built, ChainBuilder, Key
from tests.fake_node import FakeNode, Served, served
from tests.memory_book import MemoryBook
from tests.storage.filling import ANN, PARAMETERS, filled_book, sample_chain

HOST: Final = "127.0.0.1:10000"
HERE: Final = ("127.0.0.1", 50_000)
ELSEWHERE: Final = ("192.0.2.9", 50_000)


@dataclass(frozen=True, slots=True)
class Site:
    """An app and what it shows."""

    app: Starlette
    context: Context
    chain: ChainBuilder
    blocks: list[Built]
    node: FakeNode
    served: Served

    @property
    def tip(self) -> Built:
        return self.blocks[-1]

    def pay(self, to: Key, amount: int, memo: str = "") -> Entry:
        """Return a signed entry of Ann's that the node would take."""
        nonce = sum(1 for entry in self.node.entries.values() if entry.sender == ANN.public)
        used = self.node.book.account(ANN.public).nonce
        return self.chain.entry(ANN, to, amount, memo=memo, nonce=used + nonce)

    def wait(self, to: Key, amount: int, memo: str = "") -> Entry:
        """Have an entry of Ann's pending."""
        entry = self.pay(to, amount, memo)
        self.node.entries[entry.sender, entry.nonce] = entry
        return entry


def address(owner: Key) -> str:
    return encode_address(PARAMETERS.prefix, owner.public)


@contextmanager
def site(
    folder: Path, blocks: int = 6, entries: int = 3, hosts: Hosts | None = None, *, indexed: bool = False
) -> Iterator[Site]:
    """Make a site in a folder; the node answers on its socket until the end of the block."""
    folder.mkdir(mode=0o700, exist_ok=True)
    chain, built, book = _laid(blocks, entries)
    (folder / BOOK_NAME).write_bytes(book)
    node = FakeNode(chain, built[-1], folder)
    books = Books(folder / BOOK_NAME, PARAMETERS)
    with served(node) as serving:
        context = Context(
            parameters=PARAMETERS,
            network_id=chain.network_id,
            data_dir=folder,
            books=books,
            socket=LocalSocket(folder),
            events=Hub(folder),
            hosts=hosts or Hosts("127.0.0.1", 10_000),
            contacts=Contacts(contacts_file(folder), PARAMETERS.prefix),
            index=_indexed(folder, chain, built[-1], books) if indexed else None,
        )
        try:
            yield Site(create_app(context, _died), context, chain, built, node, serving)
        finally:
            context.books.close()


def _died(error: BaseException) -> None:
    raise AssertionError("a part of the page died") from error


def _indexed(folder: Path, chain: ChainBuilder, tip: Built, books: Books) -> Indexer:
    """Return the page's index, up to the tip."""
    indexer = Indexer(PageIndex(folder / INDEX_NAME, chain.network_id), books)
    query = Query(MemoryBook(chain, tip), PARAMETERS)
    while not indexer.progress.complete:
        indexer.progress = step(indexer.index, query)
    return indexer


@cache
def _laid(blocks: int, entries: int) -> tuple[ChainBuilder, list[Built], bytes]:
    """Return a chain and the file of its book, made once."""
    chain, built = sample_chain(blocks, entries)
    with TemporaryDirectory() as folder:
        return chain, built, filled_book(Path(folder), chain, built).read_bytes()


@asynccontextmanager
async def visitor(
    made: Site, client: tuple[str, int] = HERE, host: str = HOST
) -> AsyncIterator[httpx.AsyncClient]:
    """Visit the site from an address; whoever leaves hangs up its end of the local socket."""
    transport = httpx.ASGITransport(made.app, client=client)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as visiting:
        yield visiting
    await made.context.socket.close()
