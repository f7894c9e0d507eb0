"""Compression, with ETags that stay true: what is packed is another representation. Pure ASGI.

Server-sent events are not packed: they would wait for each other.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEAST: Final = 1_024
"""Bytes that are worth packing."""
LEVEL: Final = 6
_PACKED: Final = ".gz"
"""At the end of the tag of what is packed."""


class Packing:
    """The middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = GZipMiddleware(app, minimum_size=LEAST, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = _known(scope)

        async def send_tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                tag = headers.get("etag", "")
                packed = headers.get("content-encoding") == "gzip"
                unchanged = message["status"] == 304 and f'{tag[:-1]}{_PACKED}"' in asked
                if tag and (packed or unchanged):
                    headers["etag"] = f'{tag[:-1]}{_PACKED}"'
            await send(message)

        await self._app(scope, receive, send_tagged)


def _known(scope: Scope) -> str:
    """Return the tags that the browser has; the app is told of them as it made them."""
    headers = MutableHeaders(scope=scope)
    asked = headers.get("if-none-match", "")
    if _PACKED in asked:
        headers["if-none-match"] = asked.replace(f'{_PACKED}"', '"')
    return asked
