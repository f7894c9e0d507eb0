"""The counter: routes that `app.py` joins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.routing import Route

ROUTES: Final[Sequence[Route]] = ()
