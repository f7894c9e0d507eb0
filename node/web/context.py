"""What every page and every answer of the API is made from: the book, the node, its events, names.

Made once by `app.create_app`'s caller, and found at `request.app.state.context`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from starlette.requests import Request

from node.answers import Json
from node.ledger.params import Parameters
from node.query import Query
from node.storage.reading import ReadOnlyBook
from node.web import viewers
from node.web.books import Books
from node.web.hub import Hub
from node.web.index import Indexer
from node.web.kept import KEPT_LEAVES, Kept
from node.web.local_socket import LocalSocket
from node.web.security import Hosts

T = TypeVar("T")


class Names(Protocol):
    """The owner's names for addresses."""

    def name_of(self, address: str) -> str | None:
        """Return the name of an address."""

    def address_of(self, name: str) -> str | None:
        """Return the address of a name."""

    def items(self) -> list[tuple[str, str]]:
        """Return all names with their addresses."""


@dataclass(frozen=True, slots=True)
class Context:
    """The page's means; shared by all requests, on one event loop."""

    parameters: Parameters
    network_id: bytes
    data_dir: Path
    books: Books
    socket: LocalSocket
    events: Hub
    hosts: Hosts
    """What the page may be asked for by."""
    contacts: Names | None = None
    """The owner's names; for viewers on this machine only."""
    index: Indexer | None = None
    """The page's own index beside the book."""
    kept: Kept[Json] = field(default_factory=Kept)
    """What was read once and cannot change."""
    kept_leaves: Kept[bytes] = field(default_factory=lambda: Kept(KEPT_LEAVES))
    """Txids of blocks, 32 bytes each in one string: made from bytes that were hashed."""

    @property
    def prefix(self) -> str:
        """Of addresses."""
        return self.parameters.prefix

    @property
    def symbol(self) -> str:
        """Of the currency."""
        return self.parameters.symbol

    @property
    def decimals(self) -> int:
        """Digits behind the point of amounts."""
        return self.parameters.decimals

    def is_local(self, request: Request) -> bool:
        """Tell whether the viewer sits at this machine; what names or leads to people is for them alone."""
        return viewers.is_local(request.scope)

    async def read(self, question: Callable[[Query], T]) -> T:
        """Return the answer of the book, on a thread. Raises NotFound, BookDamaged, StorageFault, TooBusy."""
        return await self.books.ask(question)

    async def read_book(self, question: Callable[[ReadOnlyBook], T]) -> T:
        """Ask the storage itself, for what is no question of `Query`."""
        return await self.books.ask_book(question)

    async def call(self, method: str, /, **params: object) -> Any:  # noqa: ANN401 - JSON
        """Return a method's result from the running node. Raises NodeRefused."""
        return await self.socket.call(method, **params)


def context_of(request: Request) -> Context:
    """Return the context of the app that a request came to."""
    context: Context = request.app.state.context
    return context
