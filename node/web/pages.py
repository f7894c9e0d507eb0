"""What people look at: pages over the book and the node. Routes that `app.py` joins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.routing import Route

from node.web import pages_book, pages_node, pages_search

ROUTES: Final[Sequence[Route]] = (*pages_book.ROUTES, *pages_node.ROUTES, *pages_search.ROUTES)
