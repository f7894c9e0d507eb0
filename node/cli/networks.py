"""Commands about settings: network new, config. They work without a node."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, Final

import click

from node.cli.errors import CommandError, refusals
from node.cli.invocation import Invocation, pass_invocation
from node.cli.named import address_or_text
from node.cli.new_file import refuse_taken, write_new
from node.cli.offline import configuration
from node.cli.options import Command, Group, examples
from node.cli.signing import read_amount
from node.ledger import difficulty
from node.ledger.address import AddressError, decode_address
from node.ledger.block import network_id
from node.ledger.params import Parameters, ParametersError, validate
from node.network_file import format_network

Json = dict[str, Any]

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_INTERVAL_MS: Final = 15_000
_MEASURE_S: Final = 0.5
"""Of each of two measurements."""
_HALF_LIFE: Final = 40
"""Block intervals."""
_REWARD: Final = 50
_HALVING: Final = 2_000_000
_HALVING_OF_FINE_COINS: Final = 500_000
"""With 8 decimals, all rewards together would pass 2^53 - 1 otherwise."""
_FREE_PORT: Final = 9100
"""For the hint: the folders of 9000 and 9001 may hold the book for trying out."""


@click.group(cls=Group)
def network() -> None:
    """Make a network of one's own."""


@network.command(
    epilog=examples(
        "network new shop --symbol CUP",
        "network new shop --allocate bean1...=1000 --min-fee 0.05",
    )
)
@click.argument("name")
@click.option("--symbol", default="COIN", show_default=True, help="Of the currency; 1 to 8 characters.")
@click.option("--decimals", type=click.IntRange(0, 8), default=2, show_default=True, help="Behind the point.")
@click.option("--min-fee", metavar="AMOUNT", help="The least fee of an entry; the smallest unit without.")
@click.option(
    "--allocate",
    "allocations",
    multiple=True,
    metavar="ADDRESS=AMOUNT",
    help="Who has how much at the start; may be repeated.",
)
@click.option("--prefix", help="What addresses start with; the symbol's letters without.")
@pass_invocation
def new(
    invocation: Invocation,
    name: str,
    symbol: str,
    decimals: int,
    min_fee: str | None,
    allocations: tuple[str, ...],
    prefix: str | None,
) -> None:
    """Write NAME.toml: a new network, for you and your friends to start nodes with.

    Takes a second to measure this machine, so that it finds a block about every 15 seconds; where blocks come
    slower, they get easier, down to what a machine like this one does without a C compiler.
    """
    path = _free_path(name)
    minimum_fee = 1 if min_fee is None else read_amount(min_fee, decimals)
    holders = _holders(invocation, allocations, decimals)
    first, easiest = _measured_bits()
    parameters = Parameters(
        name=name,
        prefix=prefix or _prefix_of(symbol, name),
        symbol=symbol,
        decimals=decimals,
        interval_ms=_INTERVAL_MS,
        half_life_ms=_HALF_LIFE * _INTERVAL_MS,
        genesis_ms=time.time_ns() // 1_000_000,
        genesis_bits=first,
        easiest_bits=easiest,
        initial_reward=_REWARD * 10**decimals,
        halving_interval=_HALVING if decimals < 8 else _HALVING_OF_FINE_COINS,
        allocations=holders,
        minimum_fee=minimum_fee,
        maximum_block_bytes=1 << 20,
        drift_ms=30_000,
        lifetime_ms=14 * 86_400_000,
        maturity=0,
    )
    try:
        validate(parameters)
    except ParametersError as error:
        raise CommandError("bad-network", str(error), "see `network new --help`") from None
    start = f"python -m node --config {path.name} --port {_FREE_PORT}"
    comments = (
        f"The network {name}. Give this file to your friends: there is no key in it.",
        f"Start: {start}",
    )
    write_new(path, format_network(parameters, comments).encode())
    identity = network_id(parameters).hex()
    answer = {"name": name, "file": str(path), "network_id": identity}
    said = (
        f"wrote {path}",
        f"network id {identity}",
        f"start a node: {start}",
        "give the file to your friends: there is no key in it",
    )
    invocation.answer(answer, lambda: click.echo("\n".join(said)))


def _free_path(name: str) -> Path:
    if not _NAME.fullmatch(name):
        hint = "use 1 to 32 of a-z, A-Z, 0-9, _ and -"
        raise CommandError("bad-name", f"{name[:40]!a} cannot be a network's name", hint)
    path = Path(f"{name}.toml").absolute()
    refuse_taken(path)
    return path


def _holders(
    invocation: Invocation, allocations: tuple[str, ...], decimals: int
) -> tuple[tuple[bytes, int], ...]:
    """Return (key, amount), keys ascending; of a contact, or of an address of any network: the key counts."""
    found: dict[bytes, int] = {}
    for text in allocations:
        address, equals, amount = text.rpartition("=")
        if not equals:
            raise CommandError(
                "bad-allocation", f"{text[:80]!a} is not ADDRESS=AMOUNT", "write bean1...=1000"
            )
        named = address_or_text(invocation, address)
        with refusals(AddressError):
            key = decode_address(named.lower().rpartition("1")[0], named)
        if key in found:
            raise CommandError("bad-allocation", f"{address} is named twice", "add its amounts up")
        found[key] = read_amount(amount, decimals)
        if found[key] == 0:
            raise CommandError("bad-allocation", f"{address} would get nothing", "leave it out")
    return tuple(sorted(found.items()))


def _prefix_of(symbol: str, name: str) -> str:
    """Return the letters of the symbol, else of the name, as an address starts with them."""
    for text in (symbol, name):
        letters = "".join(re.findall("[a-z]", text.lower()))[:16]
        if letters:
            return letters
    return "coin"


def _measured_bits() -> tuple[int, int]:
    """Return the compact targets whose blocks take about one interval: of this machine, and without C.

    The second is the easiest of the network for good. Were it made for C, a friend's machine that has no
    compiler would take twenty times the interval for each block that it mines alone; made for Python, the
    difficulty can fall that far, and rises by itself where machines are faster.
    """
    from node.miner import measure_hashrate  # noqa: PLC0415 - only `network new` needs it
    from node.pow import KERNELS  # noqa: PLC0415 - the same

    slowest = _hashes(measure_hashrate(_MEASURE_S, KERNELS[-1]))
    here = slowest if len(KERNELS) == 1 else max(slowest, _hashes(measure_hashrate(_MEASURE_S)))
    first, easiest = (difficulty.target_to_bits(difficulty.LARGEST_TARGET // n) for n in (here, slowest))
    return first, easiest


def _hashes(rate: int) -> int:
    return max(1, rate * _INTERVAL_MS // 1_000)


@click.command(cls=Command)
@pass_invocation
def config(invocation: Invocation) -> None:
    """Show each setting and where it came from: of the running node, else as one would start."""
    client = invocation.client_if_running()
    if client is not None:
        found: list[Json] = client.call("config")
    else:
        settings = configuration(invocation).settings
        found = [{"name": each.name, "value": each.value, "origin": each.origin} for each in settings]
    invocation.answer(found, lambda: _show(found))


def _show(found: list[Json]) -> None:
    from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it

    columns = [show.Column("setting"), show.Column("value", flexible=True), show.Column("from")]
    rows = [(each["name"], _shown(each["value"]), each["origin"]) for each in found]
    show.table(columns, rows, "no settings")


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
