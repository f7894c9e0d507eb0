"""What people look at: pages over the book and the node. Routes that `app.py` joins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from node.web.rendering import render


async def home(request: Request) -> Response:
    """Show the first page."""
    return HTMLResponse(render(request, "base.html"))


ROUTES: Final[Sequence[Route]] = (Route("/", home),)
