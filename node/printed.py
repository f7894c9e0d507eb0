"""The statement as a page to print: one HTML document, whole in itself or for the page's strict rules.

Reads the template and the style sheet beside the page's others. Everything shown is escaped; what strangers
wrote has its invisible characters written out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Final

import jinja2

from node.ledger.address import encode_address
from node.ledger.amount import format_amount
from node.ledger.params import Parameters
from node.log_lines import escape
from node.statement import Month, Statement

_WEB: Final = Path(__file__).resolve().parent / "web"
_STYLE: Final = _WEB / "static" / "statement.css"
_ADDRESSES: Final = 4_096


@dataclass(frozen=True, slots=True)
class Seal:
    """Which book it was made from."""

    parameters: Parameters
    network_id: bytes
    height: int
    tip: bytes
    """Hash of the last block, 32 bytes."""
    tip_time_ms: int


def html(
    found: Statement,
    month: Month,
    seal: Seal,
    name_of: Callable[[str], str | None],
    zone: tzinfo | None,
    *,
    whole: bool,
) -> str:
    """Return the document; `whole` carries its style sheet in it, else it names `/static/statement.css`.

    `zone` is that of the times shown; None: that of this machine.
    """
    parameters = seal.parameters
    address_of = lru_cache(_ADDRESSES)(lambda key: encode_address(parameters.prefix, key))
    return _template().render(
        found=found,
        month=month,
        seal=seal,
        parameters=parameters,
        address_of=address_of,
        name_of=name_of,
        amount=lambda value: _amount(value, parameters.decimals),
        change=lambda value: ("+" if value > 0 else "") + _amount(value, parameters.decimals),
        moment=lambda time_ms: _moment(time_ms, zone),
        zone=_offsets(found, zone),
        is_over=seal.tip_time_ms >= found.span.to_ms,
        style=_STYLE.read_text(encoding="utf-8") if whole else None,
    )


@lru_cache(1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_WEB / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = escape
    environment.filters["short"] = lambda address: f"{address[:10]}…{address[-5:]}"
    return environment.get_template("statement.html")


def _amount(value: int, decimals: int) -> str:
    return format_amount(value, decimals).replace("-", "\N{MINUS SIGN}")


def _moment(time_ms: int, zone: tzinfo | None) -> str:
    found = _local(time_ms, zone)
    return f"{time_ms} ms" if found is None else f"{found:%Y-%m-%d %H:%M:%S}"


def _offsets(found: Statement, zone: tzinfo | None) -> str:
    """Return the offset from UTC of the times shown: two where the clocks were turned meanwhile."""
    moments = (_local(time_ms, zone) for time_ms in (found.span.from_ms, found.span.to_ms - 1))
    shown = dict.fromkeys(f"UTC{moment.isoformat()[-6:]}" for moment in moments if moment is not None)
    return ", then ".join(text.replace("UTC+00:00", "UTC") for text in shown)


def _local(time_ms: int, zone: tzinfo | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(time_ms // 1_000, UTC).astimezone(zone)
    except (ValueError, OverflowError, OSError):
        return None
