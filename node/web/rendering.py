"""Templates to text: one Jinja2 environment over `templates/`, which escapes all it is given. Reads files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import jinja2
from starlette.requests import Request

from node import __version__
from node.web.context import context_of

FOLDER: Final = Path(__file__).resolve().parent
TEMPLATES: Final = FOLDER / "templates"
STATIC: Final = FOLDER / "static"

ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
"""Filters and globals are added by those who need them."""


def render(request: Request, template: str, **values: object) -> str:
    """Return a page; every template also has `request`, `context`, `local`, `version`."""
    context = context_of(request)
    return ENVIRONMENT.get_template(template).render(
        request=request, context=context, local=context.is_local(request), version=__version__, **values
    )
