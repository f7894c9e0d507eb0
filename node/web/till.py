"""What the counter's pages show, gathered: takings, payments with verdicts, requests and what pays them.

Asks the book and the node through the context; keeps the file of requests, on a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import Final

from node import days, requests
from node.answers import Json
from node.asked import Request, match, wanted
from node.corrected import newest_first
from node.ledger.address import decode_address
from node.ledger.codec import MAX_UINT
from node.query import Query
from node.takings import Span, takings, within
from node.web.context import Context

LAST_PAYMENTS: Final = 8
"""Shown with a verdict each."""
LISTED_REQUESTS: Final = 8
MAX_ITEMS: Final = 5_000
"""Of a history in one look: a busier day is told in part."""
_PAGE: Final = 1_000
_PAGES: Final = 8
"""Of pending entries, in one look."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day of one account."""

    date: date
    address: str
    taken: Json
    """As `takings` has it."""
    pending: Json
    payments: list[Json]
    """The last ones that came in, pending ones first, with `settled`."""
    is_whole: bool


async def waiting_for(context: Context, address: str) -> list[Json]:
    """Return the pending entries of an address. Raises NodeRefused."""
    found: dict[str, Json] = {}
    for number in range(_PAGES):
        page = await context.call("pending", limit=_PAGE, offset=number * _PAGE)
        found |= {entry["txid"]: entry for entry in page}
        if len(page) < _PAGE:
            break
    return [entry for entry in found.values() if address in (entry["sender"], entry["recipient"])]


async def history_within(context: Context, address: str, span: Span) -> list[Json]:
    """Return what the book has of an address in a span, newest first, at most MAX_ITEMS."""
    key = decode_address(context.prefix, address)

    def read(query: Query) -> list[Json]:
        return list(islice(within(newest_first(query, key), span), MAX_ITEMS))

    return await context.read(read)


async def day_of(context: Context, address: str, day: date) -> Day:
    """Return a day of an account. Raises NodeRefused, BookDamaged, StorageFault, TooBusy."""
    pending = await waiting_for(context, address)
    items = await history_within(context, address, days.span_of(day))
    there = {item["txid"] for item in items}
    pending = [entry for entry in pending if entry["txid"] not in there]
    came = [entry for entry in pending if entry["recipient"] == address]
    came.sort(key=lambda entry: (-entry["timestamp_ms"], entry["txid"]))
    came += [item for item in items if item["direction"] == "in"]
    shown = await asyncio.gather(*(told(context, entry["txid"]) for entry in came[:LAST_PAYMENTS]))
    return Day(
        date=day,
        address=address,
        taken=takings(address, items),
        pending=takings(address, pending),
        payments=[entry for entry in shown if entry["recipient"] is not None],
        is_whole=len(items) < MAX_ITEMS,
    )


async def told(context: Context, txid: str) -> Json:
    """Return an entry with its verdict. Raises NodeRefused."""
    found: Json = await context.call("tx", txid=txid)
    return found


async def matched(context: Context, now_ms: int) -> list[Request]:
    """Look for what pays the kept requests, keep that, and return them, the oldest first.

    Raises RequestsError, PathError beside what questions raise.
    """
    before = await asyncio.to_thread(requests.read, context.data_dir)
    looked_for = wanted(before)
    if not looked_for:
        return before
    entries = await _entries_for(context, looked_for)
    names = {request.name for request in before}

    def found(now: list[Request]) -> list[Request]:
        known = match([one for one in now if one.name in names], entries, now_ms)
        by_name = {one.name: one for one in known}
        return [by_name.get(one.name, one) for one in now]

    after = await asyncio.to_thread(requests.change, context.data_dir, found)
    settled = {one.name: one.paid_by for one in after if not one.is_final and await _is_settled(context, one)}

    def final(now: list[Request]) -> list[Request]:
        return [
            replace(one, is_final=True) if one.paid_by and settled.get(one.name) == one.paid_by else one
            for one in now
        ]

    return await asyncio.to_thread(requests.change, context.data_dir, final) if settled else after


async def paying(context: Context, asked: Request, now_ms: int) -> Request:
    """Return a request that is not kept, with what pays it; what pays a kept one does not."""
    kept = await asyncio.to_thread(requests.read, context.data_dir)
    entries = await _entries_for(context, wanted([asked]))
    used = [replace(one, is_final=True) for one in kept if one.paid_by is not None]
    return match([*used, asked], entries, now_ms)[-1]


async def _entries_for(context: Context, looked_for: Mapping[str, int]) -> list[Json]:
    """Return what may pay requests to these addresses, from these times on; each entry once."""
    found: dict[str, Json] = {}
    for address, since_ms in looked_for.items():
        waiting: Iterable[Json] = await waiting_for(context, address)
        found |= {entry["txid"]: entry for entry in waiting}
        items = await history_within(context, address, Span(max(0, since_ms), MAX_UINT))
        found |= {item["txid"]: item for item in items}
    return list(found.values())


async def _is_settled(context: Context, request: Request) -> bool:
    if request.paid_by is None:
        return False
    return bool((await told(context, request.paid_by))["settled"]["verdict"] == "yes")
