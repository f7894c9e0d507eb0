"""Bounds on what is asked at a time and in a time: pure ASGI, behind the guard. Reads the clock.

Viewers at this machine are not counted by time, but all together are bounded: beyond it an answer says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.web.answers import WebError, error_response
from node.web.buckets import Buckets, client_of
from node.web.viewers import is_local

RATE: Final = 20.0
"""Requests a second of one client elsewhere, in the long run."""
BURST: Final = 200
"""At once: a page with all that belongs to it, several times."""
MAX_AT_ONCE: Final = 128
"""Requests under way, streams of events not among them; those have a bound of their own."""
MAX_BODY: Final = 1 << 16
"""Bytes of a request's body."""
STREAMS: Final = ("/events",)


class Limits:
    """The middleware."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        rate: float = RATE,
        burst: int = BURST,
        at_once: int = MAX_AT_ONCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._buckets = Buckets(rate, burst)
        self._at_once = at_once
        self._under_way = 0
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused is not None:
            await error_response(refused, scope["path"])(scope, receive, send)
            return
        bounded = _bounded(receive)
        if scope["path"] in STREAMS:
            await self._app(scope, bounded, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, bounded, send)
        finally:
            self._under_way -= 1

    def _refusal(self, scope: Scope) -> WebError | None:
        if not is_local(scope):
            address = scope["client"][0] if scope.get("client") else ""
            wait = self._buckets.take(client_of(address), self._clock())
            if wait:
                after = {"Retry-After": str(math.ceil(wait))}
                return WebError(429, "too-many-requests", "you ask too often", "wait a moment", after)
        if self._under_way >= self._at_once:
            return WebError(
                503, "busy", "too many ask at once", "ask again in a moment", {"Retry-After": "1"}
            )
        return None


def _bounded(receive: Receive) -> Receive:
    """Return a receiver that raises WebError(413) when a body goes on for too long."""
    taken = 0

    async def receive_bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY:
            raise WebError(413, "too-large", "the request is too long", "send less", {"Connection": "close"})
        return message

    return receive_bounded
