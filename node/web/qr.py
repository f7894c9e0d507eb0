"""QR codes for the page: `/qr?text=...` gives an SVG of a link of our own schemes, and of nothing else.

Anything else would make this machine vouch for a stranger's link.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from node import qr
from node.payment_uri import is_own

_FOR_A_DAY: Final = {"Cache-Control": "private, max-age=86400, immutable"}
"""The same text has the same code for ever."""


async def code(request: Request) -> Response:
    """Return the code of `text`, or 400 where it is no payment or receipt link, or too long a one."""
    text = request.query_params.get("text", "")
    if not is_own(text):
        return PlainTextResponse("a QR code is made of indelible: and indelible-receipt: links alone\n", 400)
    return Response(qr.svg(text), media_type="image/svg+xml", headers=_FOR_A_DAY)


ROUTES: Final[Sequence[Route]] = (Route("/qr", code),)
"""Joined by `app.py`."""
