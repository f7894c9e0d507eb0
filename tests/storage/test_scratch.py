"""Accounts on the side: a plain dict's behaviour, whatever is in memory and whatever is on disk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.state import ABSENT, Account
from node.storage import scratch as module
from node.storage.port import StorageFault
from node.storage.scratch import SpillingScratch

KEYS = [bytes([number]) * 32 for number in range(12)]
BELOW = {KEYS[0]: Account(5, 0), KEYS[1]: Account(2**53 - 1, 7)}

steps = st.lists(
    st.tuples(
        st.sampled_from(["write", "keep"]),
        st.sampled_from(KEYS),
        st.builds(Account, st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1)),
    ),
    max_size=40,
)


@given(steps=steps, bound=st.integers(1, 14))
def test_it_behaves_as_a_dict_over_what_is_below(steps: list[tuple[str, bytes, Account]], bound: int) -> None:
    scratch = SpillingScratch(lambda key: BELOW.get(key, ABSENT), bound)
    model: dict[bytes, Account] = {}
    for step, key, account in steps:
        if step == "write":
            scratch[key] = account
            model[key] = account
        else:
            scratch.keep(key, account)
            model.setdefault(key, account)
        assert scratch.held(key) == model[key]
    for key in KEYS:
        assert scratch.held(key) == model.get(key)
        assert scratch[key] == model.get(key, BELOW.get(key, ABSENT))
    assert sorted(scratch.items()) == sorted(model.items())
    assert len(scratch) == len(model)
    assert dict(scratch.items()) == model
    scratch.close()


def test_absent_is_held_like_any_other() -> None:
    scratch = SpillingScratch(lambda _: Account(1, 1), bound=1)
    for key in KEYS:
        scratch[key] = ABSENT
    assert scratch[KEYS[0]] == ABSENT
    scratch.close()


def test_many_are_listed_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 2)
    scratch = SpillingScratch(lambda _: ABSENT, bound=3)
    for number, key in enumerate(KEYS):
        scratch[key] = Account(number, 0)
    assert {key: balance for key, (balance, _) in scratch.items()} == {
        key: number for number, key in enumerate(KEYS)
    }
    scratch.close()


def test_a_failing_temporary_disk_is_this_machines_fault() -> None:
    scratch = SpillingScratch(lambda _: ABSENT, bound=1)
    for key in KEYS:
        scratch[key] = Account(1, 1)
    assert scratch._spilled is not None
    scratch._spilled.execute("DROP TABLE accounts")
    with pytest.raises(StorageFault, match="TMPDIR"):
        scratch.held(KEYS[0])
    with pytest.raises(StorageFault, match="TMPDIR"):
        len(scratch)
    scratch.close()
