"""Pages over the running node: its peers, branches, plots, log and health."""

from __future__ import annotations

import asyncio
import shutil
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from node.answers import Json
from node.storage.page_index import HOUR_MS, PageIndex
from node.web import pictures, series
from node.web.context import Context, context_of
from node.web.naming import key_of
from node.web.rendering import page
from node.web.shared import shared_of

TIPS: Final = 30
"""Ends of branches, the last to arrive."""
LOG_LINES: Final = 200
MENDED: Final = 40
"""Changes by the last healing that are shown; the report has all."""
PLOTTED_BLOCKS: Final = 500
PLOTTED_HOURS: Final = 14 * 24
PLOTTED_DAYS: Final = 400
_DAYS_FROM: Final = 4 * 24
_HOURS_FROM: Final = 8
"""Hours that a book is old when its plots begin as days, or as hours."""
_UTMOST_OFFSET: Final = 14
"""Hours that a zone is from UTC at most."""
_LEVELS: Final = {"info": 0, "warning": 1, "error": 2}


async def peers(request: Request) -> Response:
    """Show the peers around this node."""
    shared = shared_of(request)
    found = await shared.node.get("peers")
    if not context_of(request).is_local(request):
        found = [_for_all(number, peer) for number, peer in enumerate(found, 1)]
    status = await shared.node.get("status")
    return page(
        request,
        "peers.html",
        peers=found,
        status=status,
        dots=pictures.peer_dots(found, status["height"]),
        drawn=pictures.MAX_DRAWN,
    )


def _for_all(number: int, peer: Json) -> Json:
    """Return a peer as viewers on other machines see it: who and where it is, is for the owner."""
    private = {"name": f"peer {number}", "address": f"peer {number}", "node_id": str(number)}
    return peer | private | {"bytes_in": None, "bytes_out": None}


async def tips(request: Request) -> Response:
    """Show the tree of blocks near the ends of branches, and the last reorganisation."""
    context, shared = context_of(request), shared_of(request)
    found = await context.read(lambda query: query.tips(TIPS))
    status = await shared.status()
    return page(
        request,
        "tips.html",
        tips=found,
        tree=pictures.block_tree(found),
        words=pictures.WORDS,
        reorg=(status or {}).get("last_reorg"),
        limit=TIPS,
    )


async def plots(request: Request) -> Response:
    """Show the frame of the plots; a script draws them from `plots_data`."""
    context, shared = context_of(request), shared_of(request)
    address = request.query_params.get("account")
    if address is None and context.is_local(request):
        address = ((await shared.status()) or {}).get("address")
    if address is not None:
        key_of(address, context.prefix)
    by = "day" if context.index is None else await asyncio.to_thread(_fitting, context.index.index)
    return page(
        request,
        "plots.html",
        account=address,
        by=by,
        progress=context.index.progress if context.index is not None else None,
    )


async def plots_data(request: Request) -> Response:
    """Return the series of the plots as JSON: by day, hour or block."""
    context = context_of(request)
    asked = request.query_params
    key = key_of(asked["account"], context.prefix) if asked.get("account") else None
    if context.index is None:
        found = series.of_blocks(())
    else:
        by, offset = asked.get("by", "day"), _offset(asked.get("offset", "0"))
        found = await asyncio.to_thread(_plotted, context.index.index, by, key, offset)
    return JSONResponse(found._asdict(), headers={"Cache-Control": "no-store"})


def _fitting(index: PageIndex) -> str:
    """Return what one point should stand for, so that a young book is more than a dot."""
    hours, newest = index.hours(0, 1), index.newest()
    age = newest[0].time_ms // HOUR_MS - hours[0].hour if hours and newest else 0
    return "day" if age >= _DAYS_FROM else "hour" if age >= _HOURS_FROM else "block"


def _plotted(index: PageIndex, by: str, key: bytes | None, offset: int) -> series.Plotted:
    newest = index.newest(PLOTTED_BLOCKS if by == "block" else 1)
    if by == "block" or not newest:
        return series.of_blocks(newest)
    length, limit = (1, PLOTTED_HOURS) if by == "hour" else (24, PLOTTED_DAYS * 24)
    last = newest[0].time_ms // 1_000 // series.HOUR_S
    first = ((last + offset) // length + 1) * length - offset - limit
    taken = index.takings(key, first, limit) if key is not None else []
    return series.of_hours(index.hours(first, limit), taken, length, offset)


def _offset(text: str) -> int:
    """Return how many whole hours the reader's zone is ahead of UTC."""
    try:
        hours = int(text)
    except ValueError:
        return 0
    return max(-_UTMOST_OFFSET, min(_UTMOST_OFFSET, hours))


async def log(request: Request) -> Response:
    """Show what happened lately; a script adds what happens."""
    context = context_of(request)
    level = request.query_params.get("level", "info")
    least = _LEVELS.get(level, 0)
    lines = [event for event in context.events.recent() if _LEVELS.get(event["level"], 0) >= least]
    return page(
        request,
        "log.html",
        lines=lines[-LOG_LINES:][::-1],
        level=level if level in _LEVELS else "info",
        connected=context.events.connected,
    )


async def health(request: Request) -> Response:
    """Show how the node is, what its audit found, and the last reorganisation."""
    context, shared = context_of(request), shared_of(request)
    is_local = context.is_local(request)
    status, info, audit, disk = await asyncio.gather(
        shared.status(),
        shared.node.maybe("info"),
        shared.node.maybe("audit"),
        asyncio.to_thread(_disk, context),
    )
    return page(
        request,
        "health.html",
        status=status,
        info=info,
        audit=audit if is_local else None,
        shown_changes=MENDED,
        disk=disk,
        progress=context.index.progress if context.index is not None else None,
    )


def _disk(context: Context) -> Json:
    """Return bytes free beside the book, and of the book's own files."""
    files = {path.name: path.stat().st_size for path in sorted(context.data_dir.glob("*.sqlite*"))}
    return {"free": shutil.disk_usage(context.data_dir).free, "files": files}


ROUTES: Final = (
    Route("/peers", peers),
    Route("/tips", tips),
    Route("/plots", plots),
    Route("/plots/data", plots_data),
    Route("/log", log),
    Route("/health", health),
)
