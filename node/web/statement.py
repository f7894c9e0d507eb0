"""A month of an account as a page to print: `/statement/{address}?month=2026-11`.

For viewers on this machine: it reads all that the account ever did, and shows the owner's names. One is made
at a time, so that statements never take all the threads that read the book.
"""

from __future__ import annotations

from asyncio import Semaphore
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from node.ledger.address import AddressError, decode_address
from node.postings import postings
from node.printed import Seal, html
from node.statement import Month, StatementRefused, read_month, statement
from node.storage.reading import ReadOnlyBook
from node.web.answers import WebError
from node.web.books import TooBusy
from node.web.context import Context, context_of

MAX_WAITING: Final = 8
"""Who asks for a statement while one is made."""


class _Desk:
    """Makes one statement after the other."""

    def __init__(self) -> None:
        self._turn = Semaphore(1)
        self._waiting = 0

    async def answer(self, request: Request) -> Response:
        """Return the page. Raises WebError, TooBusy, BookDamaged, StorageFault."""
        context = context_of(request)
        if not context.is_local(request):
            raise WebError(403, "not-here", "statements are for viewers on this machine", "ask its owner")
        zone = _zone(request.query_params.get("zone"))
        month = _month(request.query_params.get("month"), zone)
        key = _key(request.path_params["address"], context.prefix)
        if self._waiting >= MAX_WAITING:
            raise TooBusy
        self._waiting += 1
        try:
            async with self._turn:
                page = await context.read_book(lambda book: _made(book, context, key, month, zone))
        except StatementRefused as error:
            raise WebError(400, error.code, error.message, error.hint) from None
        finally:
            self._waiting -= 1
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})


def _made(book: ReadOnlyBook, context: Context, key: bytes, month: Month, zone: tzinfo | None) -> str:
    span = month.span(zone)
    found = statement(key, span, postings(book, context.parameters, key, span))
    tip = book.tip()
    seal = Seal(context.parameters, context.network_id, tip.height, tip.hash, tip.header.timestamp_ms)
    name_of = context.contacts.name_of if context.contacts is not None else lambda _address: None
    return html(found, month, seal, name_of, zone, whole=False)


def _key(address: str, prefix: str) -> bytes:
    try:
        return decode_address(prefix, address)
    except AddressError as error:
        raise WebError(400, error.code, error.message, error.hint) from None


def _month(text: str | None, zone: tzinfo | None) -> Month:
    if not text:
        now = datetime.now(UTC).astimezone(zone)
        return Month(now.year, now.month)
    try:
        return read_month(text)
    except StatementRefused as error:
        raise WebError(400, error.code, error.message, error.hint) from None


def _zone(name: str | None) -> tzinfo | None:
    """Return a zone by its name (Europe/Berlin), None for that of this machine."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise WebError(
            400, "bad-zone", f"{name[:40]!a} is no time zone", "write it as Europe/Berlin"
        ) from None


ROUTES: Final[Sequence[Route]] = (Route("/statement/{address}", _Desk().answer),)
"""Joined by `app.py`."""
