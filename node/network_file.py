"""The `[network]` table: a network's parameters as people read them and hand them to friends.

Opens no file itself, and looks at no clock. What `format_network` writes is a complete settings file without
any secret; what `parse_network` reads from it are the very same parameters: the same genesis, and so the
same network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Final, TypeVar

from node.ledger import codec
from node.ledger.address import AddressError, decode_address, encode_address
from node.ledger.amount import format_amount, parse_amount
from node.ledger.params import Parameters, ParametersError, validate
from node.settings import Table

T = TypeVar("T")

_ALLOCATIONS: Final = "allocations"
_LATER: Final = ("members", "quorum")
"""Kept for co-signatures; no file has them yet."""
KEYS: Final = tuple(field.name for field in fields(Parameters) if field.name not in _LATER)
"""Of the table, in the order of the parameters."""

_MAX_DECIMALS: Final = 8
"""Checked before amounts are read with it; `params.validate` holds all the other bounds."""
_BITS: Final = re.compile(r"0x[0-9a-f]{8}")
_FIELD_OF_ERROR: Final = re.compile(r"[a-z_]+")


_TEMPLATE: Final = """\
# Every value of [network] is part of the network's identity: a node with another one cannot connect.
# Amounts are in {symbol}, times in milliseconds.
[network]
name = {name}
# An address starts with it, followed by a 1.
prefix = {prefix}
symbol = {quoted_symbol}
# Digits behind the point of an amount.
decimals = {decimals}
# A block about every {interval}.
interval_ms = {interval_ms}
# Being this much ahead of schedule ({half_life}) doubles the work that a block takes.
half_life_ms = {half_life_ms}
# The book begins at {genesis} UTC.
genesis_ms = {genesis_ms}
# The first difficulty and the easiest there can be (compact targets, as in Bitcoin).
genesis_bits = "{genesis_bits}"
easiest_bits = "{easiest_bits}"
# What whoever mines a block gets besides its fees; 0 is nothing.
initial_reward = "{initial_reward}"
# Blocks after which the reward halves; 0 is never.
halving_interval = {halving_interval}
# The least fee of an entry.
minimum_fee = "{minimum_fee}"
# The most that a block may take.
maximum_block_bytes = {maximum_block_bytes}
# How far ahead a time may be ({drift}): clocks that differ by more do not get along.
drift_ms = {drift_ms}
# An entry that was not mined within {lifetime} is void.
lifetime_ms = {lifetime_ms}
# Blocks until a reward can be spent; 0 is at once.
maturity = {maturity}

# Who owns what at the start: ADDRESS = "AMOUNT".
[network.allocations]
{allocations}
# This node's own settings; each has a default.
[node]
# host = "0.0.0.0"  # listen to other machines too, not only to this one

# Nodes to connect to: such a table for each.
# [[peers]]
# name = "shop"               # what the log calls it
# address = "192.0.2.7:9000"  # HOST:PORT; an IPv6 address as "[2001:db8::7]:9000"
"""


def parse_network(table: Table) -> Parameters:
    """Return the parameters of a complete `[network]` table; ConfigError names key, file and line."""
    table.refuse_unknown(KEYS)
    decimals = _needed(table, "decimals", table.integer("decimals", 0, _MAX_DECIMALS))
    prefix = _needed(table, "prefix", table.text("prefix"))
    parameters = Parameters(
        name=_needed(table, "name", table.text("name")),
        prefix=prefix,
        symbol=_needed(table, "symbol", table.text("symbol")),
        decimals=decimals,
        interval_ms=_integer(table, "interval_ms"),
        half_life_ms=_integer(table, "half_life_ms"),
        genesis_ms=_integer(table, "genesis_ms"),
        genesis_bits=_bits(table, "genesis_bits"),
        easiest_bits=_bits(table, "easiest_bits"),
        initial_reward=_amount(table, "initial_reward", decimals),
        halving_interval=_integer(table, "halving_interval"),
        allocations=_allocations(table.table(_ALLOCATIONS), prefix, decimals),
        minimum_fee=_amount(table, "minimum_fee", decimals),
        maximum_block_bytes=_integer(table, "maximum_block_bytes"),
        drift_ms=_integer(table, "drift_ms"),
        lifetime_ms=_integer(table, "lifetime_ms"),
        maturity=_integer(table, "maturity"),
    )
    try:
        validate(parameters)
    except ParametersError as error:
        named = _FIELD_OF_ERROR.match(str(error))
        key = named[0] if named and named[0] in KEYS else None
        raise table.mistake(key, str(error), "get the network's file again from whoever made it") from None
    return parameters


def format_network(parameters: Parameters, comments: Iterable[str] = ()) -> str:
    """Return a complete settings file of the network; `comments` are lines for its head.

    Raises ParametersError for parameters that no node would load.
    """
    validate(parameters)
    decimals = parameters.decimals
    values = written(parameters) | {
        "name": _quoted(parameters.name),
        "prefix": _quoted(parameters.prefix),
        "quoted_symbol": _quoted(parameters.symbol),
        "interval": _span(parameters.interval_ms),
        "half_life": _span(parameters.half_life_ms),
        "genesis": f"{datetime.fromtimestamp(parameters.genesis_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}",
        "drift": _span(parameters.drift_ms),
        "lifetime": _span(parameters.lifetime_ms),
        "allocations": "".join(
            f'{encode_address(parameters.prefix, key)} = "{format_amount(amount, decimals)}"\n'
            for key, amount in parameters.allocations
        ),
    }
    head = "".join(f"{f'# {line}'.rstrip()}\n" for line in comments)
    return (head + "\n" if head else "") + _TEMPLATE.format(**values)


def written(parameters: Parameters) -> dict[str, str | int]:
    """Return each key of the table with its value as it stands in a file; of allocations, their number."""
    values: dict[str, str | int] = {key: getattr(parameters, key) for key in KEYS}
    for key in ("initial_reward", "minimum_fee"):
        values[key] = format_amount(getattr(parameters, key), parameters.decimals)
    for key in ("genesis_bits", "easiest_bits"):
        values[key] = f"{getattr(parameters, key):#010x}"
    values[_ALLOCATIONS] = len(parameters.allocations)
    return values


def _quoted(text: str) -> str:
    """Return a TOML basic string; the text has no control characters (`codec.is_text`)."""
    return json.dumps(text, ensure_ascii=False)


def _span(milliseconds: int) -> str:
    """Return a duration in the largest unit that it is a whole number of: `15 seconds`, `14 days`."""
    for unit, length in (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000)):
        if milliseconds % length == 0:
            count = milliseconds // length
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{milliseconds} milliseconds"


def _needed(table: Table, key: str, value: T | None) -> T:
    if value is None:
        hint = "a network's table is complete, as `network new` writes it: get the file again"
        raise table.mistake(None, f"[network] lacks {key}", hint)
    return value


def _integer(table: Table, key: str) -> int:
    return _needed(table, key, table.integer(key, 0, codec.MAX_UINT))


def _amount(table: Table, key: str, decimals: int) -> int:
    return _needed(table, key, table.read(key, lambda text: parse_amount(text, decimals)))


def _bits(table: Table, key: str) -> int:
    text = _needed(table, key, table.text(key))
    if not _BITS.fullmatch(text):
        raise table.mistake(key, f"{key} = {text[:40]!a} cannot be used", 'write it as "0x1e03ffff"')
    return int(text, 16)


def _allocations(table: Table, prefix: str, decimals: int) -> tuple[tuple[bytes, int], ...]:
    """Return (key, amount), keys ascending, as genesis has them."""
    found: dict[bytes, int] = {}
    for address in table.values:
        try:
            key = decode_address(prefix, address)
        except AddressError as error:
            raise table.mistake(address, error.message, error.hint) from None
        if key in found:  # once in lower and once in upper case
            raise table.mistake(address, "the address stands here twice", "add its amounts up")
        found[key] = _amount(table, address, decimals)
    return tuple(sorted(found.items()))
