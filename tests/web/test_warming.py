"""The first page is read before anybody asks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest.mock import patch

import pytest

from node.answers import Json
from node.query import Query
from node.web.recent import Recent
from node.web.shared import make_shared
from node.web.warming import BLOCKS, keep_warm
from tests.web.site import site

EVENT: Json = {"time_ms": 5, "kind": "", "level": "info", "text": "", "fields": {}}


@pytest.mark.asyncio
async def test_the_newest_blocks_are_read_at_the_start_and_after_each_block(tmp_path: Path) -> None:
    loop, read = asyncio.get_running_loop(), asyncio.Semaphore(0)
    asked: list[int] = []

    def blocks(_: Recent, _query: Query, limit: int, before: int | None = None) -> list[Json]:
        assert before is None
        asked.append(limit)
        loop.call_soon_threadsafe(read.release)
        return []

    with site(tmp_path, 1) as made, patch.object(Recent, "blocks", blocks):
        warming = asyncio.create_task(keep_warm(made.context, make_shared(made.context)))
        await read.acquire()
        for kind in ("entry-pending", "block-connected", "peer-connected", "reorganisation"):
            made.context.events.publish(EVENT | {"kind": kind})
        await read.acquire()
        await read.acquire()
        made.context.events.end()
        await warming
    assert asked == [BLOCKS] * 3
