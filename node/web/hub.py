"""Events for browsers: one subscription at the node, passed on to all who look, each with a bounded queue.

Asyncio, and the local socket. A browser that does not keep up is told so and dropped; it can come back, and
say by the id of the last event it saw from where to go on.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from node.web.local_socket import NodeRefused, connect, line_of, messages

Event = dict[str, Any]
"""`id`, `time_ms`, `kind`, `level`, `text`, `fields`; see docs/page.md."""

KEPT: Final = 512
"""Events kept for browsers that come back."""

MAX_UNREAD: Final = 256
"""Events that a browser has not been sent yet; beyond it, it is dropped."""

MAX_BROWSERS: Final = 64
"""Subscriptions at a time."""

LEVEL: Final = "info"
"""The least that an event must matter."""

FIRST_RETRY_S: Final = 0.2
LAST_RETRY_S: Final = 5.0


class TooManyBrowsers(Exception):
    """As many subscriptions are open as the page takes."""


class Hub:
    """The events of one node. All on one event loop."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        # Ids of another run of the page are told from this run's: what they follow is not known here.
        self._run = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._browsers: dict[Subscription, None] = {}
        self._has_ended = False
        self.connected = False
        """Whether the node is there now."""

    def subscribe(self, last_id: str | None = None, most: int = MAX_BROWSERS) -> Subscription:
        """Return the events from now on, or those after `last_id` first; iterate it, then `close` it.

        Where events after `last_id` are no longer known, the first event is of the kind `missed`. Raises
        TooManyBrowsers where there are `most` already.
        """
        if self._has_ended or len(self._browsers) >= most:
            raise TooManyBrowsers
        subscription = Subscription(self._browsers)
        for event in self._since(last_id) if last_id else ():
            subscription.put(event)
        self._browsers[subscription] = None
        return subscription

    def end(self) -> None:
        """End every subscription, in good order, and take no more."""
        self._has_ended = True
        for browser in list(self._browsers):
            browser.close()

    @property
    def last_id(self) -> str:
        """Id of the last event; one of none, where there was none yet."""
        return self._kept[-1]["id"] if self._kept else f"{self._run}-0"

    def recent(self) -> list[Event]:
        """Return the events that are kept, the oldest first."""
        return list(self._kept)

    def publish(self, event: Event) -> None:
        """Pass an event on to all; its `id` is given here."""
        numbered = {"id": f"{self._run}-{next(self._numbers)}", **event}
        self._kept.append(numbered)
        for browser in list(self._browsers):
            browser.put(numbered)

    async def run(self) -> None:
        """Listen to the node, for ever: when it goes away, until it is back."""
        wait_s = FIRST_RETRY_S
        while True:
            try:
                async for event in self._listen():
                    wait_s = FIRST_RETRY_S
                    self.publish(event)
            except NodeRefused:
                pass
            if self.connected:
                self.connected = False
                self.publish(_own("node-away", "warning", "the node is not running"))
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LAST_RETRY_S)

    async def _listen(self) -> AsyncIterator[Event]:
        reader, writer = await connect(self._data_dir)
        try:
            writer.write(line_of("subscribe", 1, {"level": LEVEL}))
            async for message in messages(reader):
                if message.get("id") == 1:
                    self.connected = True
                    yield _own("node-here", "info", "the node is running")
                elif message.get("method") == "event":
                    yield message["params"]
                elif message.get("method") == "closed":
                    return
        finally:
            writer.close()

    def _since(self, last_id: str) -> list[Event]:
        if last_id == self.last_id:
            return []
        ids = [event["id"] for event in self._kept]
        if last_id in ids:
            return list(itertools.islice(self._kept, ids.index(last_id) + 1, None))
        return [{"id": self.last_id, **_own("missed", "info", "some events were missed: look again")}]


class Subscription:
    """One browser's events: an async iterator that ends when it is closed or too slow."""

    def __init__(self, among: dict[Subscription, None]) -> None:
        self._among = among
        self._unread: deque[Event] = deque()
        self._there_is = asyncio.Event()
        self._ended = False

    def put(self, event: Event) -> None:
        """Take an event in; when too many are unread, the last one says so and no more come."""
        if self._ended:
            return
        if len(self._unread) >= MAX_UNREAD:
            self._unread.clear()
            event = {"id": event["id"], **_own("too-slow", "warning", "this browser did not keep up")}
            self.close()
        self._unread.append(event)
        self._there_is.set()

    def close(self) -> None:
        """Take no more events; what is unread can still be read."""
        self._ended = True
        self._among.pop(self, None)
        self._there_is.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        while not self._unread:
            if self._ended:
                raise StopAsyncIteration
            self._there_is.clear()
            await self._there_is.wait()
        return self._unread.popleft()


def _own(kind: str, level: str, text: str) -> Event:
    """Return an event of the page's own."""
    return {"time_ms": time.time_ns() // 1_000_000, "kind": kind, "level": level, "text": text, "fields": {}}
