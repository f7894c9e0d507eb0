"""What single fields of a finding look like to people."""

from __future__ import annotations

import pytest

from node.audit_findings import amount_of, readable, time_of


@pytest.mark.parametrize(
    "name, text, shown",
    [
        ("amount", "1250", "<1250>"),
        ("fee", "0", "<0>"),
        ("balance", "-3", "<-3>"),
        ("timestamp_ms", "1700000000000", "@1700000000000"),
        ("nonce", "1250", "1250"),
        ("memo", "1250", "1250"),
        ("amount", "ab12", "ab12"),
        ("timestamp_ms", "none", "none"),
        ("amount", "9" * 400, "9" * 400),
    ],
)
def test_only_amounts_and_times_are_rewritten(name: str, text: str, shown: str) -> None:
    assert readable(name, text, lambda value: f"<{value}>", lambda value: f"@{value}") == shown


def test_an_amount_is_no_time_and_nonsense_neither() -> None:
    assert (amount_of("amount", "7"), time_of("amount", "7")) == (7, None)
    assert (amount_of("timestamp_ms", "7"), time_of("timestamp_ms", "7")) == (None, 7)
    assert (amount_of("fee", "\u0663"), time_of("chain_time", "")) == (None, None)
