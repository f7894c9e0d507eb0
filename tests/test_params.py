"""Networks: their parameters, the bounds on them, and what follows from them."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger import params
from node.ledger.block import genesis_block, network_id
from node.ledger.params import BUILT_IN, Parameters, ParametersError, rules_version, total_supply, validate
from tests.vectors.read import read

VECTORS = read("params.json")
NETWORKS = {network["name"]: network for network in VECTORS["networks"]}


def parameters_of(values: dict[str, Any]) -> Parameters:
    """Return the parameters that the vectors write down by name."""
    allocations = tuple((bytes.fromhex(key), amount) for key, amount in values["allocations"])
    members = tuple(map(bytes.fromhex, values["members"]))
    return Parameters(**{**values, "allocations": allocations, "members": members})


def changed(change: dict[str, Any]) -> Parameters:
    """Return the built-in network with some values changed."""
    return parameters_of(NETWORKS["built-in"]["parameters"] | change)


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_have_the_bytes_and_the_genesis_of_the_vectors(name: str) -> None:
    network = NETWORKS[name]
    parameters = parameters_of(network["parameters"])
    validate(parameters)
    assert parameters.encode().hex() == network["parameter_bytes"]
    genesis = genesis_block(parameters)
    assert genesis.raw.hex() == network["genesis_block"]
    assert network_id(parameters).hex() == network["network_id"]


def test_the_built_in_network_is_the_one_written_down() -> None:
    assert parameters_of(NETWORKS["built-in"]["parameters"]) == BUILT_IN
    assert [field.name for field in fields(Parameters)] == list(NETWORKS["built-in"]["parameters"])
    assert network_id(BUILT_IN).hex() == "ffc6d8ee1c244014680b6097e8360adc8ddaa653358aca628cf12b9e5a6b87f4"
    assert BUILT_IN.interval_ms == 15_000
    assert BUILT_IN.half_life_ms == 40 * 15_000
    assert BUILT_IN.easiest_bits == 0x1E03FFFF
    assert BUILT_IN.initial_reward == 50_00
    assert BUILT_IN.minimum_fee == 1
    assert BUILT_IN.maximum_block_bytes == 1_048_576
    assert BUILT_IN.drift_ms == 30_000
    assert BUILT_IN.lifetime_ms == 14 * 24 * 3_600_000


@pytest.mark.parametrize("field", [field.name for field in fields(Parameters)])
def test_a_network_that_differs_in_one_parameter_is_another_network(field: str) -> None:
    other: dict[str, Any] = {"allocations": ((bytes(32), 1),), "members": (bytes(32),)}
    value = getattr(BUILT_IN, field)
    default = value + "x" if isinstance(value, str) else value
    other.setdefault(field, default + 1 if isinstance(default, int) else default)
    assert network_id(replace(BUILT_IN, **{field: other[field]})) != network_id(BUILT_IN)


@pytest.mark.parametrize("case", VECTORS["bounds"], ids=lambda case: case["why"])
def test_what_is_out_of_bounds_is_refused_by_name(case: dict[str, Any]) -> None:
    parameters = changed(case["change"])
    if case["names"] is None:
        validate(parameters)
        return
    with pytest.raises(ParametersError) as caught:
        validate(parameters)
    assert str(caught.value).startswith(case["names"])


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"name": "\ud800"},
        {"symbol": b"BEAN"},
        {"prefix": None},
        {"decimals": 2.0},
        {"interval_ms": "15000"},
        {"genesis_bits": None},
        {"genesis_bits": "0x1e03ffff"},
        {"easiest_bits": 1.5},
        {"allocations": [["00" * 32, True]]},
        {"allocations": [["00" * 32, 1.0]]},
        {"allocations": [[f"{number:064x}", 1] for number in range(1_001)]},
    ],
)
def test_values_of_a_foreign_type_are_refused_and_crash_nothing(change: dict[str, Any]) -> None:
    with pytest.raises(ParametersError, match=next(iter(change))):
        validate(changed(change))


def test_a_thousand_allocations_are_the_most() -> None:
    most = tuple((number.to_bytes(32, "big"), 1) for number in range(1_000))
    validate(replace(BUILT_IN, allocations=most))
    with pytest.raises(ParametersError, match="at most 1000"):
        validate(replace(BUILT_IN, allocations=(*most, (b"\xff" * 32, 1))))


# ------------------------------------------------------------------------------------------------ rewards


@pytest.mark.parametrize("case", VECTORS["rewards"], ids=lambda case: case["name"])
def test_rewards_halve_as_the_vectors_say(case: dict[str, Any]) -> None:
    parameters = parameters_of(NETWORKS[case["name"]]["parameters"])
    for height, reward in case["rewards"]:
        assert parameters.reward(height) == reward, height


def test_a_reward_that_never_halves_stays() -> None:
    assert replace(BUILT_IN, halving_interval=0).reward(2**32 - 1) == 50_00


@given(st.integers(0, 2**20), st.integers(0, 40), st.integers(1, 300))
def test_the_supply_is_the_sum_of_all_rewards(reward: int, halving: int, last: int) -> None:
    parameters = replace(
        BUILT_IN, initial_reward=reward, halving_interval=halving, allocations=((bytes(32), 7),)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(params, "MAX_HEIGHT", last)
        assert total_supply(parameters) == 7 + sum(map(parameters.reward, range(1, last + 1)))


@given(st.integers(0, 2**53 - 1), st.integers(1, 2**32 - 1))
def test_rewards_never_grow(reward: int, halving: int) -> None:
    parameters = replace(BUILT_IN, initial_reward=reward, halving_interval=halving)
    heights = sorted({1, halving, min(halving + 1, 2**32 - 1), 2**32 - 1})
    assert all(parameters.reward(low) >= parameters.reward(high) >= 0 for low, high in pairwise(heights))


# ----------------------------------------------------------------------------------------------- upgrades


def test_rules_version_1_is_in_force_from_genesis_on() -> None:
    assert [rules_version(height) for height in (0, 1, 2**32 - 1)] == [1, 1, 1]


def test_an_upgrade_is_in_force_from_its_height_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(params, "RULES_VERSIONS", ((0, 1), (100, 2), (200, 5)))
    versions = [rules_version(height) for height in (0, 99, 100, 199, 200, 10**6)]
    assert versions == [1, 1, 2, 2, 5, 5]
