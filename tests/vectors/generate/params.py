"""Networks: parameter bytes, genesis, ids, rewards; and parameters that are refused. Touches nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.vectors.generate.book import DAY, NETWORKS, Network, genesis, reward_at
from tests.vectors.generate.keys import key
from tests.vectors.generate.merkle import mth

ABOUT = (
    "`networks`: parameters by name in their order of encoding (bits are numbers, allocations [key, "
    "amount]), the parameter bytes, genesis and what follows from it. `rewards`: [height, reward]. "
    "`bounds`: the built-in network with other values; `names` is the parameter at fault, null where all "
    "are right. Bytes are hex, amounts in smallest units, times in milliseconds."
)
MAX = 2**53 - 1
ANN, BOB = sorted([key("ann").public.hex(), key("bob").public.hex()])


def make() -> dict[str, object]:
    """Return the whole file."""
    return {
        "about": ABOUT,
        "networks": [_network(name, network) for name, network in NETWORKS.items()],
        "rewards": [_rewards(name, network) for name, network in NETWORKS.items()],
        "bounds": [{"why": why, "names": names, "change": change} for why, names, change in _bounds()],
    }


def _network(name: str, network: Network) -> dict[str, object]:
    made = genesis(name)
    return {
        "name": name,
        "parameters": dict(network),
        "parameter_bytes": made.coinbase.hex(),
        "entries_root": mth([made.coinbase]).hex(),
        "history_root": mth([]).hex(),
        "body_root": made.header[40:72].hex(),
        "header": made.header.hex(),
        "genesis_block": made.raw.hex(),
        "network_id": made.hash.hex(),
    }


def _rewards(name: str, network: Network) -> dict[str, object]:
    every = network["halving_interval"]
    heights = {1, 2, 3, every, every + 1, 2 * every + 1, 12 * every, 13 * every + 1, 64 * every + 1}
    rows = [
        [height, reward_at(network, height)] for height in sorted(heights | {2**32 - 1}) if height < 2**32
    ]
    return {"name": name, "rewards": rows}


Case = tuple[str, str | None, dict[str, Any]]


def _bounds() -> Iterator[Case]:
    yield "as it is", None, {}
    yield from _text_bounds()
    for field, least, most in (
        ("decimals", 0, 8),
        ("genesis_ms", 1_577_836_800_000, 4_102_444_800_000),
        ("halving_interval", 1, 2**32 - 1),
        ("minimum_fee", 0, MAX),
        ("maximum_block_bytes", 4_096, 33_554_432),
        ("drift_ms", 1_000, 7_200_000),
        ("lifetime_ms", 60_000, 3_650 * DAY),
        ("maturity", 0, 10_000),
    ):
        # A reward of 1 keeps the supply out of the way of long halving intervals.
        for value in (least, most):
            yield f"{field} at a bound", None, {"initial_reward": 1, field: value}
    yield "the shortest interval and half-life", None, {"interval_ms": 100, "half_life_ms": 1_000}
    yield "the longest interval and half-life", None, {"interval_ms": DAY, "half_life_ms": 365 * DAY}
    for field, value in (
        ("decimals", 9),
        ("decimals", True),
        ("maturity", -1),
        ("interval_ms", 99),
        ("interval_ms", DAY + 1),
        ("half_life_ms", 999),
        ("half_life_ms", 365 * DAY + 1),
        ("genesis_ms", 1_577_836_799_999),
        ("genesis_ms", 4_102_444_800_001),
        ("halving_interval", 2**32),
        ("minimum_fee", MAX + 1),
        ("initial_reward", MAX + 1),
        ("maximum_block_bytes", 4_095),
        ("maximum_block_bytes", 33_554_433),
        ("drift_ms", 999),
        ("drift_ms", 7_200_001),
        ("lifetime_ms", 59_999),
        ("lifetime_ms", 3_650 * DAY + 1),
        ("maturity", 10_001),
    ):
        yield f"{field} out of bounds", field, {"initial_reward": 1, field: value}
    yield "a half-life shorter than the interval", "half_life_ms", {"half_life_ms": 14_999}
    yield "a lifetime no longer than the drift", "lifetime_ms", {"lifetime_ms": 60_000, "drift_ms": 60_000}
    yield from _target_bounds()
    yield from _supply_bounds()
    yield "members", "members", {"members": [ANN]}
    yield "a quorum without members", "members", {"quorum": 1}


def _text_bounds() -> Iterator[Case]:
    yield "the longest name", None, {"name": "n" * 32}
    yield "a name beyond ASCII", None, {"name": "\u2615" * 32}
    yield "an empty name", "name", {"name": ""}
    yield "a name too long", "name", {"name": "n" * 33}
    yield "a space behind the name", "name", {"name": "shop "}
    yield "a control character in the name", "name", {"name": "a\tb"}
    yield "a no-break space ahead of the name is a character", None, {"name": "\u00a0shop"}
    yield "the longest symbol", None, {"symbol": "S" * 8}
    yield "an empty symbol", "symbol", {"symbol": ""}
    yield "a symbol too long", "symbol", {"symbol": "S" * 9}
    yield "the longest prefix", None, {"prefix": "p" * 16}
    for prefix in ("", "p" * 17, "Bean", "bean1", "b-n", "b\u00e9an", "bean\n"):
        yield "a prefix that no address can have", "prefix", {"prefix": prefix}


def _target_bounds() -> Iterator[Case]:
    yield "genesis harder than the easiest", None, {"genesis_bits": 0x1D00FFFF}
    yield "genesis easier than the easiest", "genesis_bits", {"genesis_bits": 0x1F00FFFF}
    yield "the easiest target of all", None, {"easiest_bits": 0x2100FFFF}
    yield "the hardest target of all", None, {"genesis_bits": 0x01010000}
    for why, bits in (
        ("zero", 0),
        ("negative", 0x1E83FFFF),
        ("above 2^256 - 1", 0x22000100),
        ("not its shortest form", 0x1F0000FF),
        ("33 bits", 2**32 + 0x1E03FFFF),
    ):
        yield f"bits: {why}", "genesis_bits", {"genesis_bits": bits}
        yield f"bits: {why}", "easiest_bits", {"easiest_bits": bits}


def _supply_bounds() -> Iterator[Case]:
    """What can exist up to height 2^32 - 1 must not pass 2^53 - 1."""
    yield "two allocations", None, {"allocations": [[ANN, 1], [BOB, 2]]}
    yield "allocations out of order", "allocations", {"allocations": [[BOB, 1], [ANN, 2]]}
    yield "an allocation twice", "allocations", {"allocations": [[ANN, 1], [ANN, 2]]}
    yield "an allocation of nothing", "allocations", {"allocations": [[ANN, 0]]}
    yield "an allocation to a short key", "allocations", {"allocations": [[ANN[2:], 1]]}
    alone: dict[str, Any] = {"initial_reward": 0}
    yield "all there can be, at genesis", None, {**alone, "allocations": [[ANN, MAX]]}
    yield "one more than there can be", "allocations", {**alone, "allocations": [[ANN, MAX], [BOB, 1]]}
    never: dict[str, Any] = {"halving_interval": 0}
    most = MAX // (2**32 - 1)
    rest = MAX - most * (2**32 - 1)
    yield "a reward for ever, the most", None, {**never, "initial_reward": most}
    yield "a reward for ever, too much", "allocations", {**never, "initial_reward": most + 1}
    full: dict[str, Any] = {**never, "initial_reward": most}
    if rest:
        yield "a reward for ever and the rest at genesis", None, {**full, "allocations": [[ANN, rest]]}
    yield "a reward for ever and one too many", "allocations", {**full, "allocations": [[ANN, rest + 1]]}
    # 2^32 (2^20 + 2^19 + ...) would pass; the last height cuts the first era short by one block.
    yield "one era without end", None, {"halving_interval": 2**32 - 1, "initial_reward": most}
    yield (
        "halving from 2^31, whole rewards",
        "allocations",
        {"halving_interval": 2**31, "initial_reward": 2**22},
    )
