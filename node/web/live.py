"""/events: what happens at the node, as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Final

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import AppStatus
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from node.web.context import context_of
from node.web.hub import MAX_BROWSERS, Event, Hub, Subscription

HEARTBEAT_S: Final = 15.0
SEND_S: Final = 10.0
"""A browser that takes nothing for so long is dropped."""
RETRY_MS: Final = 1_000
"""After which a browser connects again."""


MAX_ELSEWHERE: Final = MAX_BROWSERS // 2
"""Beyond it, only browsers at this machine get a stream."""

PUBLIC: Final = frozenset(
    (
        *("block-connected", "reorganisation", "entry-pending", "entry-expired", "entry-conflicted"),
        *("entry-dropped", "node-here", "node-away", "missed", "too-slow"),
    )
)
"""Kinds that viewers on other machines are told of; the others are about people and this machine."""
PUBLIC_FIELDS: Final = ("height", "hash", "entries", "txid", "undone", "fork")


class Seen:
    """Notes the last event before a request is answered, as `request.state.seen`.

    The page that is made says so, and its stream goes on from there: what happens while it is made and on its
    way to the browser is not lost on it.
    """

    def __init__(self, app: ASGIApp, events: Hub) -> None:
        self._app = app
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request as ever."""
        if scope["type"] == "http":
            scope.setdefault("state", {})["seen"] = self._events.last_id
        await self._app(scope, receive, send)


def keep_streams_to_the_end() -> None:
    """Have streams end when the hub ends, and not be cut off before that, as the library would."""
    AppStatus.enable_automatic_graceful_drain = False


async def events(request: Request) -> Response:
    """Stream events: unnamed messages, each one JSON object with an id to come back with."""
    context = context_of(request)
    if request.method == "HEAD":
        return EventSourceResponse(iter(()))
    is_local = context.is_local(request)
    most = MAX_BROWSERS if is_local else MAX_ELSEWHERE
    seen = request.headers.get("last-event-id") or request.query_params.get("after")
    lines = _lines(context.events.subscribe(seen, most), is_local=is_local)
    return EventSourceResponse(lines, ping=HEARTBEAT_S, send_timeout=SEND_S)


async def _lines(subscription: Subscription, *, is_local: bool) -> AsyncIterator[ServerSentEvent]:
    try:
        async for event in subscription:
            shown = event if is_local else for_all(event)
            if shown is not None:
                yield ServerSentEvent(json.dumps(shown), id=event["id"], retry=RETRY_MS)
    finally:
        subscription.close()


def for_all(event: Event) -> Event | None:
    """Return an event without what is this machine's alone; None where nothing is left."""
    if event["kind"] not in PUBLIC:
        return None
    fields = {name: event["fields"][name] for name in PUBLIC_FIELDS if name in event["fields"]}
    return event | {"text": "", "fields": fields}
