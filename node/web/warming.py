"""What the first page shows, read before anybody asks: at the start of the page, and after each block."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from node.query import BookDamaged, Query
from node.storage.port import StorageFault
from node.web.books import TooBusy
from node.web.context import Context
from node.web.hub import TooManyBrowsers
from node.web.rendering import ENVIRONMENT
from node.web.shared import Shared

BLOCKS: Final = 12
"""Of the first page's strip."""
TEMPLATE: Final = "home.html"


async def keep_warm(context: Context, shared: Shared) -> None:
    """Read the newest blocks now, and whenever there is another, until events end."""
    ENVIRONMENT.get_template(TEMPLATE)
    with suppress(TooManyBrowsers):  # the end; or browsers have all places, and read it themselves
        while True:
            subscription = context.events.subscribe()
            try:
                await _read(context, shared)
                async for event in subscription:
                    if event["kind"] in ("block-connected", "reorganisation"):
                        await _read(context, shared)
            finally:
                subscription.close()


async def _read(context: Context, shared: Shared) -> None:
    def newest(query: Query) -> None:
        shared.recent.blocks(query, BLOCKS)

    with suppress(BookDamaged, StorageFault, TooBusy):  # whoever asks is told
        await context.read(newest)
