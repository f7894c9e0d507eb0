"""Names typed by people: what they are, or that they are none; and cursors that nobody else can make up."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.query import After
from node.web.answers import WebError
from node.web.naming import after_of, block_name, cursor, hash_of, height_of, key_of, numbers_of, txid_of

KEY, SECRET = bytes(32), b"secret" * 5
CURSORS = st.builds(
    After,
    st.integers(0, 2**32 - 1),
    st.integers(0, 10**6),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**53 - 1),
)


@given(CURSORS)
def test_a_cursor_comes_back_as_it_was(after: After) -> None:
    assert after_of(cursor(after, KEY, SECRET), KEY, SECRET) == after


@given(CURSORS, st.integers(0, 60), st.sampled_from("0123456789abcdef."))
def test_a_cursor_that_was_changed_is_none(after: After, place: int, sign: str) -> None:
    text = cursor(after, KEY, SECRET)
    forged = text[:place] + sign + text[place + 1 :]
    if forged != text:
        assert after_of(forged, KEY, SECRET) is None


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_refused_by_name(text: str) -> None:
    assert after_of(text, KEY, SECRET) is None
    assert numbers_of(text, 2) is None or text.count(".") == 1
    height = height_of(text)
    assert height is None or 0 <= height < 2**32
    assert hash_of(text) is None or len(text) == 64
    for read in (block_name, txid_of, lambda name: key_of(name, "bean")):
        with suppress(WebError):
            read(text)


@pytest.mark.parametrize("text", ["٣", "1" * 11, "4294967296", "-1", "1.0", " 1", ""])
def test_what_is_no_height(text: str) -> None:
    assert height_of(text) is None
