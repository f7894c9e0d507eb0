"""/events: what happens at the node, as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Final

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from node.web.context import context_of
from node.web.hub import Subscription, TooManyBrowsers

HEARTBEAT_S: Final = 15.0
SEND_S: Final = 10.0
"""A browser that takes nothing for so long is dropped."""
RETRY_MS: Final = 1_000
"""After which a browser connects again."""


async def events(request: Request) -> Response:
    """Stream events: unnamed messages, each one JSON object with an id to come back with."""
    hub = context_of(request).events
    try:
        subscription = hub.subscribe(request.headers.get("last-event-id"))
    except TooManyBrowsers:
        return PlainTextResponse("too many pages are open\n", 503, {"Retry-After": "10"})
    return EventSourceResponse(_lines(subscription), ping=HEARTBEAT_S, send_timeout=SEND_S)


async def _lines(subscription: Subscription) -> AsyncIterator[ServerSentEvent]:
    try:
        async for event in subscription:
            yield ServerSentEvent(json.dumps(event), id=event["id"], retry=RETRY_MS)
    finally:
        subscription.close()
