"""The search box: a height, a hash, a txid, an address, a name or a payment link, else words of memos."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from node.answers import Json
from node.ledger.address import AddressError, decode_address
from node.query import Query
from node.storage.port import Place
from node.web.context import Context, context_of
from node.web.naming import hash_of, height_of, numbers_of
from node.web.rendering import page
from node.web.shared import shared_of

MEMOS: Final = 25
MAX_TYPED: Final = 256
"""Characters of what is searched for; what is longer is cut."""


class Hit(NamedTuple):
    """A thing whose name is exactly what was typed."""

    path: str
    what: str


async def search(request: Request) -> Response:
    """Lead to the one thing of that name, or list what fits."""
    context = context_of(request)
    typed = request.query_params.get("q", "").strip()[:MAX_TYPED]
    at = numbers_of(request.query_params.get("before"), 2)
    hits = await _exact(request, context, typed) if typed and at is None else []
    if len(hits) == 1:
        return RedirectResponse(hits[0].path, 303)
    before = Place(at[0], at[1]) if at else None
    memos, following = await _memos(context, typed, before)
    return page(
        request,
        "search.html",
        typed=typed,
        hits=hits,
        memos=memos,
        following=following,
        first=before is not None,
        progress=context.index.progress if context.index is not None else None,
    )


async def _exact(request: Request, context: Context, typed: str) -> list[Hit]:
    """Return all that have exactly this name."""
    hits = [*_account(context, typed), *_named(request, context, typed)]
    height, name = height_of(typed.replace(",", "")), hash_of(typed)
    if height is not None or name is not None:
        hits += await context.read(lambda query: _in_book(query, height, name))
    if name is not None and not hits:
        waiting = await shared_of(request).node.maybe("tx", txid=name.hex())
        if waiting is not None and waiting["status"] != "unknown":
            hits.append(Hit(f"/tx/{name.hex()}", "pending entry"))
    return hits


def _account(context: Context, typed: str) -> list[Hit]:
    """Return the account of an address, or of a payment link."""
    scheme, _, rest = typed.partition(":")
    address = rest.partition("?")[0] if scheme.lower() == "indelible" else typed
    try:
        decode_address(context.prefix, address)
    except AddressError:
        return []
    return [Hit(f"/account/{address.lower()}", "account")]


def _named(request: Request, context: Context, typed: str) -> list[Hit]:
    """Return the account of a contact; names are for viewers at this machine."""
    if context.contacts is None or not context.is_local(request):
        return []
    address = context.contacts.address_of(typed)
    return [] if address is None else [Hit(f"/account/{address}", f"account of {typed}")]


def _in_book(query: Query, height: int | None, name: bytes | None) -> list[Hit]:
    hits = []
    if height is not None and query.header(height) is not None:
        hits.append(Hit(f"/block/{height}", f"block {height:,}"))
    if name is not None:
        header = query.header(name)
        if header is not None:
            hits.append(Hit(f"/block/{name.hex()}", f"block {header.height:,}"))
        if query.tx(name)["status"] != "unknown":
            hits.append(Hit(f"/tx/{name.hex()}", "entry"))
    return hits


async def _memos(context: Context, typed: str, before: Place | None) -> tuple[list[Json], str | None]:
    """Return entries whose memos have the words, the newest first, and where the next ones begin."""
    if context.index is None or not typed:
        return [], None
    places = await asyncio.to_thread(context.index.index.find_memos, typed, MEMOS + 1, before)
    found = await context.read(lambda query: query.entries_at(places[:MEMOS]))
    last = places[MEMOS - 1] if len(places) > MEMOS else None
    following = f"{last.height}.{last.position}" if last is not None else None
    return found, following


ROUTES: Final = (Route("/search", search),)
