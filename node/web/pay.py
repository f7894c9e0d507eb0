"""Paying from the page, and checking receipts: routes that `app.py` joins. No key comes here.

The browser encodes and signs. It needs two answers besides the page itself: what the next entry of an address
must say, and what became of an entry. Both are asked of the node, which knows what is pending.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from node.web import check
from node.web.context import context_of
from node.web.local_socket import NodeRefused
from node.web.rendering import page

REFUSED: Final = 400
AWAY: Final = 503
_AWAY_CODES: Final = ("no-node", "node-slow", "stopping")


async def pay(request: Request) -> Response:
    """Show the page on which people pay; the query string is read by its script."""
    context = context_of(request)
    contacts = context.contacts.items() if context.contacts and context.is_local(request) else []
    return page(request, "pay.html", contacts=contacts, parameters=context.parameters)


async def account(request: Request) -> Response:
    """Answer the confirmed and pending balance of an address, and the nonce of its next entry."""
    return await _told(request, "balance", address=request.path_params["address"])


async def entry(request: Request) -> Response:
    """Answer what became of an entry: its status, place and confirmations, and whether it is settled."""
    return await _told(request, "tx", txid=request.path_params["txid"])


async def _told(request: Request, method: str, **params: object) -> Response:
    """Return the node's answer as JSON, or its refusal as `{code, message, hint}`."""
    headers = {"Cache-Control": "no-store"}
    try:
        answer: Any = await context_of(request).call(method, **params)
    except NodeRefused as refused:
        away = refused.code in _AWAY_CODES
        body = {"code": refused.code, "message": refused.message, "hint": refused.hint}
        return JSONResponse(body, AWAY if away else REFUSED, headers)
    return JSONResponse(answer, headers=headers)


ROUTES: Final[Sequence[Route]] = (
    Route("/pay", pay),
    Route("/pay/account/{address}", account),
    Route("/pay/entry/{txid}", entry),
    *check.ROUTES,
)
