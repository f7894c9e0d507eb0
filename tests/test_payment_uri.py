"""Links to pay and to look at receipts: what is made is read back, and anything else is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.address import encode_address
from node.payment_uri import (
    MAX_URI,
    Payment,
    Scale,
    UriError,
    is_own,
    parse_payment,
    parse_receipt,
    payment_uri,
    receipt_uri,
)

NETWORK = bytes(range(32))
SCALE = Scale(NETWORK, "bean", 2)
KEY = b"\x07" * 32
ADDRESS = encode_address("bean", KEY)

CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
memos = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=CONTROLS), max_size=256)


def fits(memo: str) -> bool:
    return len(memo.encode()) <= 256


@given(
    st.binary(min_size=32, max_size=32),
    st.none() | st.integers(0, 2**53 - 1),
    memos.filter(fits),
    st.integers(0, 8),
    st.binary(min_size=32, max_size=32),
)
def test_a_link_that_was_made_is_read_back(
    key: bytes, amount: int | None, memo: str, decimals: int, network_id: bytes
) -> None:
    scale = Scale(network_id, "bean", decimals)
    text = payment_uri(Payment(key, amount, memo), scale)
    assert parse_payment(text, scale) == Payment(key, amount, memo)
    assert parse_payment("INDELIBLE:" + text[10:], scale) == Payment(key, amount, memo)
    assert is_own(text)
    assert len(text) <= MAX_URI
    assert text.isascii()


def test_a_link_reads_as_it_is_described() -> None:
    assert payment_uri(Payment(KEY, 1250, "two coffees & a bun"), SCALE) == (
        f"indelible:{ADDRESS}?amount=12.50&memo=two%20coffees%20%26%20a%20bun&network=0001020304050607"
    )
    assert payment_uri(Payment(KEY), SCALE) == f"indelible:{ADDRESS}?network=0001020304050607"
    assert parse_payment(f"indelible:{ADDRESS}", SCALE) == Payment(KEY)
    assert parse_payment(f"indelible:{ADDRESS.upper()}?memo=a+b", SCALE) == Payment(KEY, None, "a+b")


@pytest.mark.parametrize(
    "text, said",
    [
        (f"bitcoin:{ADDRESS}", "does not start with"),
        (f"indelible:{ADDRESS[:-1]}q", "a typo"),
        ("indelible:", "empty"),
        (f"indelible:{ADDRESS}?amount=1,5", "comma"),
        (f"indelible:{ADDRESS}?amount=-1", "sign"),
        (f"indelible:{ADDRESS}?amount=1.005", "finer"),
        (f"indelible:{ADDRESS}?amount=", "empty or badly escaped"),
        (f"indelible:{ADDRESS}?amount=1&amount=2", "doubled"),
        (f"indelible:{ADDRESS}?label=x", "unknown"),
        (f"indelible:{ADDRESS}?memo=%zz", "badly escaped"),
        (f"indelible:{ADDRESS}?memo=a b", "badly escaped"),
        (f"indelible:{ADDRESS}?memo=a#b", "badly escaped"),
        (f"indelible:{ADDRESS}?memo=a?b", "badly escaped"),
        (f"indelible:{ADDRESS}?memo=%FF", "UTF-8"),
        (f"indelible:{ADDRESS}?memo=%0A", "memo cannot stand"),
        (f"indelible:{ADDRESS}?memo={'x' * 257}", "memo cannot stand"),
        (f"indelible:{ADDRESS}?memo={'x' * 1_200}", "longer than"),
        (f"indelible:{ADDRESS}?network=ffffffffffffffff", "another network"),
        (f"indelible:{ADDRESS}?network=00", "another network"),
        (f"indelible:{ADDRESS}?memo=a&&network=0001020304050607", "unknown"),
    ],
)
def test_a_link_that_is_not_whole_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(UriError) as error:
        parse_payment(text, SCALE)
    assert said in str(error.value)
    assert error.value.hint


@pytest.mark.parametrize("memo", ["x" * 257, "two\nlines", "\ud800"])
def test_a_memo_that_no_entry_may_carry_makes_no_link(memo: str) -> None:
    with pytest.raises(UriError, match="memo"):
        payment_uri(Payment(KEY, 1, memo), SCALE)


@given(st.text(max_size=80))
def test_any_text_is_a_payment_or_a_named_error(text: str) -> None:
    for candidate in (text, f"indelible:{text}", f"indelible:{ADDRESS}?{text}"):
        try:
            payment = parse_payment(candidate, SCALE)
        except UriError:
            continue
        assert parse_payment(payment_uri(payment, SCALE), SCALE) == payment


def test_a_receipt_is_named_by_its_entry_and_its_tip() -> None:
    text = receipt_uri(b"\x01" * 32, b"\x02" * 32, NETWORK)
    assert text == f"indelible-receipt:{'01' * 32}?tip={'02' * 32}&network=0001020304050607"
    assert parse_receipt(text, NETWORK) == (b"\x01" * 32, b"\x02" * 32)
    assert is_own(text)
    for wrong in (
        text[:-1] + "f",
        text.replace("tip", "top"),
        text.replace("02", "0x", 1),
        "indelible-receipt:",
    ):
        with pytest.raises(UriError):
            parse_receipt(wrong, NETWORK)


@pytest.mark.parametrize("text", ["", "https://example.org", "indelible", "indelible:<b>", "indelible:a?b=c"])
def test_other_texts_are_not_our_own(text: str) -> None:
    assert not is_own(text)
