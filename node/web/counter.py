"""The counter's pages: a day's takings, and payment requests with their QR code; routes for `app.py`.

/counter is for viewers at this machine alone, and so is making a request that is kept. /request shows what
anybody may show: an address, an amount and a memo, and whether that was paid.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from datetime import date
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from node import days, requests
from node.asked import LOOKED_FOR_MS, Request
from node.ledger import signature
from node.ledger.address import decode_address, encode_address
from node.ledger.amount import AmountError, format_amount, parse_amount
from node.payment_uri import Payment, Scale, UriError, payment_uri
from node.private import PathError
from node.requests import RequestsError
from node.web import till
from node.web.answers import WebError
from node.web.context import Context, context_of
from node.web.naming import key_of, numbers_of
from node.web.rendering import page

OPEN_MS: Final = 3_600_000
"""A request made on the page is open for an hour."""
_FIELDS: Final = 4
"""Of the form."""


async def counter(request: HttpRequest) -> Response:
    """Show a day's takings, the last payments, and the requests."""
    context, query = context_of(request), request.query_params
    own = (await context.call("info"))["address"]
    address = _account(context, query.get("account")) or own
    day = await till.day_of(context, address, _day(query.get("date")))
    now_ms, trouble = _now_ms(), None
    kept: list[Request] = []
    try:
        kept = await till.matched(context, now_ms)
    except (RequestsError, PathError) as error:
        trouble = error
    listed = kept[::-1][: till.LISTED_REQUESTS]
    shown = page(
        request,
        "counter.html",
        day=day,
        own=own,
        is_today=day.date == days.today(),
        requests=[(one, one.state(now_ms)) for one in listed],
        trouble=trouble,
    )
    # Under `no-referrer` browsers send a form from "null", which could be any page: `security` refuses that.
    shown.headers["Referrer-Policy"] = "same-origin"
    return shown


def _account(context: Context, text: str | None) -> str | None:
    """Return the address of this text or contact; None where nobody was named. Raises WebError."""
    if not text:
        return None
    known = context.contacts.address_of(text) if context.contacts is not None else None
    return known or encode_address(context.prefix, key_of(text, context.prefix))


async def make(request: HttpRequest) -> Response:
    """Keep a new request to be paid, and lead to its page."""
    context = context_of(request)
    body = (await request.body()).decode("utf-8", "replace")
    try:
        form = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError:
        raise WebError(400, "bad-name", "this is not what the form sends", "go back to the counter") from None
    to = form.get("to") or (await context.call("info"))["address"]
    name, now_ms = secrets.token_hex(4), _now_ms()
    asked = _asked(context, to, form.get("amount", ""), form.get("memo") or f"request {name}", now_ms, name)
    try:
        await asyncio.to_thread(requests.change, context.data_dir, lambda before: [*before, asked])
    except (RequestsError, PathError) as error:
        raise WebError(503, "request-not-kept", error.message, error.hint) from None
    return RedirectResponse(f"/request?id={name}", 303)


async def show(request: HttpRequest) -> Response:
    """Show a request with its code: waiting, paid, or over."""
    context, query = context_of(request), request.query_params
    name, now_ms = query.get("id"), _now_ms()
    if name is None:
        since = numbers_of(query.get("since"), 1)
        asked = _typed(context, query, now_ms if since is None else min(since[0], now_ms))
        if since is None:  # from now on its address says when it was made, however often it is looked at
            return RedirectResponse(f"/request?{_again(context, asked)}&since={now_ms}", 303)
        if now_ms <= asked.expires_ms + LOOKED_FOR_MS:
            asked = await till.paying(context, asked, now_ms)
    elif context.is_local(request):
        asked = await _kept(context, name, now_ms)
    else:
        raise WebError(403, "local-only", "this is shown on its own machine alone", "use that machine")
    paid = None if asked.paid_by is None else await till.told(context, asked.paid_by)
    return page(
        request,
        "request.html",
        asked=asked,
        state=asked.state(now_ms),
        paid=paid,
        uri=_uri(context, asked),
        is_kept=name is not None,
        again=_again(context, asked),
    )


def _typed(context: Context, query: QueryParams, made_ms: int) -> Request:
    return _asked(context, query.get("to", ""), query.get("amount", ""), query.get("memo", ""), made_ms)


def _again(context: Context, asked: Request) -> str:
    """Return the query string that asks for the same, here and on the page for paying."""
    amount = format_amount(asked.amount, context.decimals)
    return urlencode({"to": asked.address, "amount": amount, "memo": asked.memo})


async def _kept(context: Context, name: str, now_ms: int) -> Request:
    try:
        kept = await till.matched(context, now_ms)
    except (RequestsError, PathError) as error:
        raise WebError(400, "bad-name", error.message, error.hint) from None
    found = next((one for one in kept if one.name == name), None)
    if found is None:
        raise WebError(400, "bad-name", "there is no such request", "make a new one at the counter")
    return found


def _asked(
    context: Context, to: str, amount: str, memo: str, made_ms: int, name: str = "00000000"
) -> Request:
    """Return a request of what was typed or stands in a link. Raises WebError."""
    key = key_of(to, context.prefix)
    if not signature.is_payable_point(key):
        raise WebError(
            400, "bad-name", "nobody can have the key of this address", "ask its owner for the address again"
        )
    try:
        value = parse_amount(amount, context.decimals)
    except AmountError as error:
        raise WebError(400, "bad-name", error.message, error.hint) from None
    if value == 0:
        raise WebError(400, "bad-name", "a request for nothing is paid by anything", "name an amount")
    asked = Request(name, encode_address(context.prefix, key), value, memo, made_ms, made_ms + OPEN_MS)
    try:
        _uri(context, asked)
    except UriError as error:
        raise WebError(400, "bad-name", error.message, error.hint) from None
    return asked


def _uri(context: Context, asked: Request) -> str:
    scale = Scale(context.network_id, context.prefix, context.decimals)
    return payment_uri(
        Payment(decode_address(context.prefix, asked.address), asked.amount, asked.memo), scale
    )


def _day(text: str | None) -> date:
    if not text:
        return days.today()
    try:
        found = date.fromisoformat(text)
        days.span_of(found)
    except (ValueError, OverflowError):
        raise WebError(400, "bad-name", "this is no date", "write it as 2026-11-22") from None
    return found


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _wrong(message: str, hint: str) -> WebError:
    return WebError(400, "bad-name", message, hint)


ROUTES: Final[Sequence[Route]] = (
    Route("/counter", counter),
    Route("/counter/request", make, methods=["POST"]),
    Route("/request", show),
)
