"""What a correction looks like, and whose counts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.corrections import Reference, correcting_memo, counts, reference_of

TXID = "9f" * 32


@pytest.mark.parametrize(
    "memo, expected",
    [
        (f"corrects {TXID}", Reference(TXID, "")),
        (f"corrects {TXID} charged twice", Reference(TXID, "charged twice")),
        (f"corrects {TXID} ", Reference(TXID, "")),
        (f"corrects {TXID}  two blanks", Reference(TXID, " two blanks")),
        (f"Corrects {TXID}", None),
        (f"corrects  {TXID}", None),
        (f" corrects {TXID}", None),
        (f"corrects {TXID.upper()}", None),
        (f"corrects {TXID}x", None),
        (f"corrects {TXID[:-1]}", None),
        (f"corrects {TXID},charged twice", None),
        ("corrects the price", None),
        ("", None),
        (None, None),
    ],
)
def test_a_memo_is_a_reference_in_one_form_only(memo: str | None, expected: Reference | None) -> None:
    assert reference_of(memo) == expected


@given(text=st.text(max_size=40))
def test_what_is_written_is_read_again(text: str) -> None:
    assert reference_of(correcting_memo(TXID, text)) == Reference(TXID, text)


def entry(sender: str | None, recipient: str, memo: str = f"corrects {TXID}") -> dict[str, Any]:
    return {"txid": "aa" * 32, "sender": sender, "recipient": recipient, "memo": memo}


@pytest.mark.parametrize(
    "correction, expected",
    [
        (entry("shop", "ann"), True),
        (entry("ann", "shop"), True),
        (entry("ann", "ann"), False),
        (entry("ann", "bob"), False),
        (entry("bob", "ann"), False),
        (entry("bob", "bob"), False),
        (entry(None, "ann"), False),
        (entry("shop", "ann", f"corrects {'00' * 32}"), False),
        (entry("shop", "ann", "sorry"), False),
    ],
)
def test_a_correction_counts_between_the_two_parties_alone(
    correction: dict[str, Any], *, expected: bool
) -> None:
    assert counts(correction, entry("ann", "shop", "coffee") | {"txid": TXID}) is expected


def test_a_reward_is_nobodys_to_correct_and_a_payment_to_oneself_is_ones_own() -> None:
    reward = entry(None, "ann", "") | {"txid": TXID}
    assert not counts(entry("ann", "ann"), reward)
    own = entry("ann", "ann", "") | {"txid": TXID}
    assert counts(entry("ann", "ann"), own)
