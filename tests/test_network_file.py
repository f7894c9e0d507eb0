"""Networks in files: what is written comes back exactly, and each slip has its line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.address import encode_address
from node.ledger.params import BUILT_IN, Parameters, ParametersError
from node.network_file import format_network, parse_network
from node.settings import ConfigError, read_file

KEY = bytes(range(32))
OTHER = bytes(reversed(range(32)))

SHOP = Parameters(
    name='Dexter\'s "shop" \\ caf\xe9',
    prefix="shop",
    symbol="CUP",
    decimals=3,
    interval_ms=90_500,
    half_life_ms=3_600_000,
    genesis_ms=1_800_000_000_123,
    genesis_bits=0x1E00FFFF,
    easiest_bits=0x1E03FFFF,
    initial_reward=12_345,
    halving_interval=1_000,
    allocations=((KEY, 1), (OTHER, 5_000)),
    minimum_fee=0,
    maximum_block_bytes=65_536,
    drift_ms=60_000,
    lifetime_ms=86_400_000,
    maturity=6,
)


def parsed(text: str, folder: Path) -> Parameters:
    (folder / "shop.toml").write_text(text, encoding="utf-8")
    return parse_network(read_file(folder / "shop.toml", "shop.toml").table("network"))


@pytest.mark.parametrize("parameters", [BUILT_IN, SHOP])
def test_what_is_written_comes_back_exactly(tmp_path: Path, parameters: Parameters) -> None:
    text = format_network(parameters, ["The book of the shop.", "", "Start with --config shop.toml"])
    assert text.startswith("# The book of the shop.\n#\n# Start with")
    assert parsed(text, tmp_path).encode() == parameters.encode()


@given(
    name=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=32).filter(
        lambda text: text == text.strip()
    ),
    decimals=st.integers(0, 8),
    amounts=st.dictionaries(st.binary(min_size=32, max_size=32), st.integers(1, 2**40), max_size=5),
    reward=st.integers(0, 2**20),
)
def test_any_network_comes_back_exactly(
    name: str,
    decimals: int,
    amounts: dict[bytes, int],
    reward: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    parameters = replace(
        SHOP, name=name, decimals=decimals, allocations=tuple(sorted(amounts.items())), initial_reward=reward
    )
    assert parsed(format_network(parameters), tmp_path_factory.getbasetemp()) == parameters


def test_people_can_read_what_is_written() -> None:
    text = format_network(SHOP)
    for line in (
        "decimals = 3",
        "# Being this much ahead of schedule (1 hour) doubles the work that a block takes.",
        "# The book begins at 2027-01-15 08:00:00 UTC.",
        "# How far ahead a time may be (1 minute): clocks that differ by more do not get along.",
        "# An entry that was not mined within 1 day is void.",
        "# A block about every 90500 milliseconds.",
        'genesis_bits = "0x1e00ffff"',
        'initial_reward = "12.345"',
        'minimum_fee = "0.000"',
        f'{encode_address("shop", KEY)} = "0.001"',
    ):
        assert line in text.splitlines()


def test_what_no_node_would_load_is_not_written() -> None:
    with pytest.raises(ParametersError):
        format_network(replace(SHOP, interval_ms=0))


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("decimals = 3", "decimals = 9", r"^shop\.toml:\d+: decimals = '9' cannot be used: .* from 0 to 8"),
        ("maturity = 6\n", "", r"^shop\.toml:3: \[network\] lacks maturity"),
        ("maturity = 6", "maturiti = 6", r"no 'maturiti' in \[network\]: did you mean \"maturity\""),
        ("maturity = 6", "maturity = 10001", r"^shop\.toml:32: maturity = 10001 is not between"),
        ('"12.345"', "12.345", r"initial_reward = '12\.345' cannot be used: write it in quotes"),
        ('"12.345"', '"12.3456"', r"initial_reward: '12\.3456' is finer than this currency"),
        ('"12.345"', '"-1"', r"initial_reward: '-1' has a sign"),
        ('"12.345"', '"9007199254740.991"', "pass 2"),
        ('"0x1e00ffff"', '"1e00ffff"', r"genesis_bits = '1e00ffff' cannot be used"),
        ('"0x1e00ffff"', '"0x1e04ffff"', r"^shop\.toml:\d+: genesis_bits is easier"),
        ('"0x1e00ffff"', '"0x00000000"', r"^shop\.toml:\d+: genesis_bits"),
        ("half_life_ms = 3600000", "half_life_ms = 1000", "half_life_ms is shorter"),
        ('prefix = "shop"', 'prefix = "bean"', r"^shop\.toml:\d+: \"shop1\.\.\.\" is an address of another"),
        ('prefix = "shop"', 'prefix = "SHOP"', r"^shop\.toml:\d+: "),
        ('= "0.001"', "= 1", r"^shop\.toml:\d+: .* write it in quotes"),
        ('= "0.001"', '= "0"', r"^shop\.toml:\d+: allocations: 0 is not"),
    ],
)
def test_a_slip_in_a_network_is_named_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = format_network(SHOP)
    assert old in text
    with pytest.raises(ConfigError, match=message) as raised:
        parsed(text.replace(old, new), tmp_path)
    assert raised.value.hint


def test_an_address_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    text = format_network(SHOP)
    twice = encode_address("shop", KEY).upper()
    with pytest.raises(ConfigError, match="twice"):
        parsed(text.replace("[network.allocations]", f'[network.allocations]\n{twice} = "1"'), tmp_path)


def test_a_typo_in_an_address_is_refused_with_its_line(tmp_path: Path) -> None:
    text = format_network(SHOP)
    address = encode_address("shop", OTHER)
    typo = address[:-1] + ("q" if address[-1] != "q" else "p")
    line = next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(address))
    with pytest.raises(ConfigError, match=rf"^shop\.toml:{line}: a typo"):
        parsed(text.replace(address, typo), tmp_path)
