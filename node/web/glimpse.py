"""Quick looks at the running node for pages: each answer serves all who look within a moment.

Asyncio. However many browsers come back at once after a block, the node is asked once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from node.web.local_socket import NodeRefused

FRESH_S: Final = 0.25
"""How old an answer may be."""

Call = Callable[..., Awaitable[Any]]


class _Asked(NamedTuple):
    """One question."""

    at: float
    """When, by the loop's clock; seconds."""
    latest: object
    answer: asyncio.Task[Any]


class Glimpses:
    """Answers of methods that take no parameters, or few; all on one event loop."""

    def __init__(self, call: Call, latest: Callable[[], object]) -> None:
        """`latest()` is another value once something has happened: what was answered before is old then."""
        self._call = call
        self._latest = latest
        self._asked: dict[tuple[str, tuple[tuple[str, object], ...]], _Asked] = {}

    async def get(self, method: str, /, **params: object) -> Any:  # noqa: ANN401 - JSON
        """Return the method's result, at most FRESH_S old, with all that has happened. Raises NodeRefused."""
        now, latest = asyncio.get_running_loop().time(), self._latest()
        name = (method, tuple(sorted(params.items())))
        asked = self._asked.get(name)
        if asked is None or now - asked.at > FRESH_S or asked.latest != latest:
            self._asked = {key: other for key, other in self._asked.items() if now - other.at <= FRESH_S}
            task = asyncio.create_task(_call(self._call, method, params))
            self._asked[name] = asked = _Asked(now, latest, task)
        # One who leaves must not take the answer away from the others.
        result = await asyncio.shield(asked.answer)
        if isinstance(result, NodeRefused):
            raise result
        return result

    async def maybe(self, method: str, /, **params: object) -> Any | None:  # noqa: ANN401 - JSON
        """Return the method's result, None where the node is away or does not say."""
        try:
            return await self.get(method, **params)
        except NodeRefused:
            return None


async def _call(call: Call, method: str, params: dict[str, object]) -> Any:  # noqa: ANN401 - JSON
    """Return the result, or the refusal as a value: nobody may be left who waits for the task's exception."""
    try:
        return await call(method, **params)
    except NodeRefused as refused:
        return refused
