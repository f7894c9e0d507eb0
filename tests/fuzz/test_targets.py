"""Every fuzz target holds: on its seeds, on all that was ever found, and on bytes near those."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.found import FOUND, Found
from tests.fuzz.mutations import near
from tests.fuzz.targets import TARGETS

EXAMPLES = {"frames": 150, "block": 400, "entry": 300, "body": 200}
SLOW = {"file-journal": 25, "file-identity": 40, "file-settings": 80}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_states_what_holds_for_any_bytes(name: str) -> None:
    assert TARGETS[name].invariant.endswith(".")


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_on_its_seeds_and_on_nothing(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    assert seeds
    for data in (b"", *seeds):
        target.check(data)


@pytest.mark.parametrize("found", FOUND, ids=lambda found: f"{found.target}: {found.showed}")
def test_what_was_found_once_is_mended_for_good(found: Found) -> None:
    TARGETS[found.target].check(found.data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_on_bytes_near_its_seeds(name: str) -> None:
    target = TARGETS[name]
    seeds = [data for data in target.seeds() if len(data) <= target.longest]

    @settings(max_examples=EXAMPLES.get(name) or SLOW.get(name) or 120, deadline=None)
    @given(near(seeds))
    def holds(data: bytes) -> None:
        target.check(data)

    holds()


@settings(max_examples=400, deadline=None)
@given(st.binary(min_size=92, max_size=92))
def test_any_92_bytes_are_a_header_or_none(data: bytes) -> None:
    TARGETS["header"].check(data)


@pytest.mark.parametrize("name", [name for name in TARGETS if name.startswith("file-")])
def test_a_file_cut_off_at_any_byte_holds(name: str) -> None:
    target = TARGETS[name]
    shortest = min((data for data in target.seeds() if len(data) > 30), key=len, default=b"")
    step = 1 if name not in SLOW else max(1, len(shortest) // 60)
    for end in range(0, len(shortest), step):
        target.check(shortest[:end])
