"""What pages keep between requests, beside the context: looks at the node, and the newest blocks read."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from starlette.requests import Request

from node.answers import Json
from node.query import Query
from node.web.context import Context
from node.web.glimpse import Glimpses
from node.web.recent import Recent

_CHUNK = 12
_MOST_CHUNKS = 5


@dataclass(frozen=True, slots=True)
class Shared:
    """One for each app; on one event loop, but for `recent`."""

    node: Glimpses
    secret: bytes
    """What marks the page's own cursors; lives as long as the index."""
    recent: Recent = field(default_factory=Recent)

    async def status(self) -> Json | None:
        """Return the node's status, None where it is away."""
        return await self.node.maybe("status")

    def newest_entries(self, query: Query, blocks: list[Json], limit: int) -> list[Json]:
        """Return the newest entries of the book, from `blocks` (its newest) on down, within bounds."""
        found: list[Json] = []
        for _ in range(_MOST_CHUNKS):
            for block in blocks:
                found += block["entries"]
            if len(found) >= limit or not blocks or blocks[-1]["height"] == 0:
                break
            blocks = self.recent.blocks(query, _CHUNK, blocks[-1]["height"])
        return found[:limit]


def make_shared(context: Context) -> Shared:
    """Return what the pages of an app over this context keep."""
    index = context.index
    secret = secrets.token_bytes(32) if index is None else index.index.secret()
    return Shared(Glimpses(context.call, lambda: context.events.last_id), secret)


def shared_of(request: Request) -> Shared:
    """Return what the app keeps that a request came to."""
    shared: Shared = request.app.state.shared
    return shared
