"""Quick looks at the running node for pages: each answer serves all who look within a moment.

Asyncio. However many browsers come back at once after a block, the node is asked once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from node.web.local_socket import NodeRefused

FRESH_S: Final = 0.25
"""How old an answer may be."""

Call = Callable[..., Awaitable[Any]]


class Glimpses:
    """Answers of methods that take no parameters, or few; all on one event loop."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._asked: dict[tuple[str, tuple[tuple[str, object], ...]], tuple[float, asyncio.Task[Any]]] = {}

    async def get(self, method: str, /, **params: object) -> Any:  # noqa: ANN401 - JSON
        """Return the method's result, at most FRESH_S old. Raises NodeRefused."""
        now = asyncio.get_running_loop().time()
        name = (method, tuple(sorted(params.items())))
        asked = self._asked.get(name)
        if asked is None or now - asked[0] > FRESH_S:
            self._asked = {key: other for key, other in self._asked.items() if now - other[0] <= FRESH_S}
            task = asyncio.create_task(_call(self._call, method, params))
            self._asked[name] = asked = (now, task)
        # One who leaves must not take the answer away from the others.
        result = await asyncio.shield(asked[1])
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
