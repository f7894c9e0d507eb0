"""Templates to text: one Jinja2 environment over `templates/`, which escapes all it is given. Reads files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from node import __version__, audit_findings
from node.ledger.params import BUILT_IN
from node.web import showing
from node.web.context import Context, context_of
from node.web.security import LOCAL_ONLY

FOLDER: Final = Path(__file__).resolve().parent
TEMPLATES: Final = FOLDER / "templates"
STATIC: Final = FOLDER / "static"

TABS: Final = (
    ("/", "Book"),
    ("/counter", "Counter"),
    ("/pay", "Pay"),
    ("/accounts", "Accounts"),
    ("/pending", "Pending"),
    ("/peers", "Peers"),
    ("/tips", "Branches"),
    ("/plots", "Plots"),
    ("/log", "Log"),
    ("/health", "Health"),
)
"""What every page leads to, in order of use at a counter; those without a route are left out."""

_UNDER: Final = {"block": "/", "tx": "/", "account": "/accounts", "request": "/counter"}
"""The tab of pages that have none of their own, by the first part of their path."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the frame of every page shows."""

    network: str
    network_id: str
    symbol: str
    decimals: int
    trying_out: bool
    """On the built-in network, whose coins are worth nothing."""
    tabs: tuple[tuple[str, str], ...]
    tab: str
    """Path of the one that this page is under; "" for none."""


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for filter_ in (
        *(showing.visible, showing.short, showing.short_hash, showing.short_address, showing.utc),
        *(showing.iso, showing.exact, showing.span, showing.size, showing.rate),
    ):
        environment.filters[filter_.__name__] = filter_
    environment.filters["amount"] = _amount
    environment.filters["change"] = _change
    environment.filters["counted"] = showing.count
    environment.tests["amount_field"] = lambda text, name: audit_findings.amount_of(name, text) is not None
    environment.tests["time_field"] = lambda text, name: audit_findings.time_of(name, text) is not None
    return environment


@jinja2.pass_context
def _amount(values: jinja2.runtime.Context, value: int) -> str:
    return showing.amount(value, values["site"].decimals)


@jinja2.pass_context
def _change(values: jinja2.runtime.Context, value: int) -> str:
    return showing.change(value, values["site"].decimals)


ENVIRONMENT: Final = _environment()
"""Templates show values by the filters of `showing`, and by the macros of show.html."""


def render(request: Request, template: str, /, **values: object) -> str:
    """Return a page; every template also has `request`, `context`, `local`, `version`, `site`.

    And two functions: `name_of(address)` is the owner's name for it, None where there is none or the viewer
    is elsewhere; `has(path)` tells whether the app has a route of this path.
    """
    context = context_of(request)
    local = context.is_local(request)
    paths = frozenset(getattr(route, "path", "") for route in request.app.routes)
    names = context.contacts if local else None
    return ENVIRONMENT.get_template(template).render(
        request=request,
        context=context,
        local=local,
        version=__version__,
        site=_site(request, context, paths, local=local),
        has=paths.__contains__,
        name_of=names.name_of if names is not None else _no_name,
        **values,
    )


def page(request: Request, template: str, code: int = 200, /, **values: object) -> HTMLResponse:
    """Return a page as an answer (`code` is HTTP's) that browsers ask for anew each time."""
    return HTMLResponse(render(request, template, **values), code, {"Cache-Control": "no-store"})


def _no_name(_address: str) -> None:
    return None


def _site(request: Request, context: Context, paths: frozenset[str], *, local: bool) -> Site:
    shown = paths if local else paths.difference(LOCAL_ONLY)
    at = request.url.path
    first = at.split("/", 2)[1]
    tab = _UNDER.get(first, f"/{first}")
    return Site(
        network=context.parameters.name,
        network_id=context.network_id.hex(),
        symbol=context.symbol,
        decimals=context.decimals,
        trying_out=context.parameters == BUILT_IN,
        tabs=tuple(found for found in TABS if found[0] in shown),
        tab=tab,
    )
