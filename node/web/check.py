"""/check: the page that checks receipts, as one file that can be saved and works without any network.

Reads templates, styles and scripts, once. Styles and scripts stand inside, each allowed by its hash, in the
header of the answer and in the file itself: nothing else of it can run, and it can ask nobody for anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.web.answers import tagged
from node.web.joined import joined
from node.web.rendering import ENVIRONMENT, STATIC

_STYLES: Final = ("indelible.css", "pay.css")


class CheckPage(NamedTuple):
    """The page, and the policy that it is served under."""

    body: bytes
    policy: str


@cache
def check_page() -> CheckPage:
    """Return the page, made of its parts the first time."""
    script = joined(STATIC / "js" / "check.js")
    style = "".join((STATIC / name).read_text(encoding="utf-8") for name in _STYLES)
    policy = (
        f"default-src 'none'; script-src {_source(script)}; style-src {_source(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    template = ENVIRONMENT.get_template("check.html")
    text = template.render(policy=policy, script=script, style=style)
    # Framing cannot be forbidden from inside a page.
    return CheckPage(text.encode(), f"{policy}; frame-ancestors 'none'")


def _source(text: str) -> str:
    """Return what allows just this text (Content Security Policy Level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


async def check(request: Request) -> Response:
    """Show the page."""
    page = check_page()
    headers = {"Content-Security-Policy": page.policy}
    return tagged(request, page.body, "text/html; charset=utf-8", headers=headers)


ROUTES: Final[Sequence[Route]] = (Route("/check", check),)
