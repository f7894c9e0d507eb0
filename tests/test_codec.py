"""Canonical msgpack: one sequence of bytes for one value, read whole or part by part."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.ledger import codec
from node.ledger.codec import NotCanonical, Reader
from tests.vectors.generate.packing import Value, array_as, binary, pack, text, text_as, uint

LARGEST = 2**53 - 1

CANONICAL: list[tuple[object, str]] = [
    (0, "00"),
    (127, "7f"),
    (128, "cc80"),
    (255, "ccff"),
    (256, "cd0100"),
    (65_535, "cdffff"),
    (65_536, "ce00010000"),
    (2**32 - 1, "ceffffffff"),
    (2**32, "cf0000000100000000"),
    (LARGEST, "cf001fffffffffffff"),
    (b"", "c400"),
    (b"\x01\x02", "c4020102"),
    ("", "a0"),
    ("\u00e9", "a2c3a9"),
    ((), "90"),
    ((1, (b"\x00", "x")), "920192c40100a178"),
]

values = st.recursive(
    st.integers(0, LARGEST) | st.binary(max_size=300) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=20),
    max_leaves=30,
)


def tuples(value: object) -> object:
    """Return the value with its lists as tuples, as they are decoded."""
    return tuple(map(tuples, value)) if isinstance(value, list) else value


@pytest.mark.parametrize("value, encoded", CANONICAL)
def test_a_value_has_one_encoding_both_ways(value: object, encoded: str) -> None:
    assert codec.encode(value).hex() == encoded
    assert codec.decode(bytes.fromhex(encoded)) == value


@given(values)
def test_values_are_written_as_the_format_says_and_read_back(value: Value) -> None:
    raw = codec.encode(value)
    assert raw == pack(value)
    assert codec.decode(raw) == tuples(value)


@pytest.mark.parametrize("length", [0, 1, 31, 32, 255, 256, 65_535, 65_536])
def test_lengths_take_the_shortest_form_on_both_sides_of_each_step(length: int) -> None:
    for value in (bytes(length), "m" * length):
        assert codec.encode(value) == pack(value)
        assert codec.decode(pack(value)) == value


@pytest.mark.parametrize("count", [15, 16, 1_024])
def test_arrays_take_the_shortest_form_too(count: int) -> None:
    assert codec.decode(pack([0] * count)) == (0,) * count


@pytest.mark.parametrize(
    "raw",
    [
        uint(0, 1),
        uint(127, 1),
        uint(255, 2),
        uint(65_535, 4),
        uint(2**32 - 1, 8),
        b"\xd0\x01",
        b"\xd1\x01\x00",
        binary(b"a", 2),
        binary(b"a" * 256, 4),
        text_as(b"a", 1),
        text_as(b"a" * 32, 2),
        text_as(b"a" * 256, 4),
        array_as(1, 2) + b"\x00",
        array_as(16, 4) + bytes(16),
        b"\x91" + uint(1, 8),
        b"\xca\x00\x00\x00\x00",
    ],
)
def test_a_longer_form_than_needed_is_refused(raw: bytes) -> None:
    with pytest.raises(NotCanonical, match="shortest"):
        codec.decode(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc1",
        b"\x91",
        b"\xa2a",
        b"\xc4\x02a",
        b"\xcd\x01",
        b"\x00\x00",
        b"\x81\xa1a\x01",
        b"\xde\x00\x01\xa1a\x01",
        b"\xd4\x05\x00",
        b"\xc7\x02\x05ab",
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xc7\x0c\xff" + b"\xff" * 12,
        b"\xa1\x80",
        text(b"\xed\xa0\x80"),
        text(b"\xc0\xaf"),
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x05",
        b"\x91" * 100_000,
    ],
)
def test_what_is_no_value_of_ours_is_refused(raw: bytes) -> None:
    with pytest.raises(NotCanonical):
        codec.decode(raw)


@pytest.mark.parametrize("raw", [b"\xc0", b"\xc2", b"\xc3", b"\xcb\x3f\xf0" + bytes(6), b"\xff", b"\x80"])
def test_types_that_no_record_names_are_left_to_the_record(raw: bytes) -> None:
    value = codec.decode(raw)
    assert not codec.is_uint(value)
    assert not codec.is_text(value)
    assert type(value) not in {bytes, tuple}


def test_an_array_that_claims_more_than_expected_is_refused_before_it_is_there() -> None:
    with pytest.raises(NotCanonical, match="1025"):
        codec.decode(pack([0] * 1_025))
    assert len(codec.decode(pack([0] * 1_025), longest_array=2_000)) == 1_025


@given(st.binary(max_size=200) | values.map(pack))
@example(b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01")
def test_any_bytes_give_a_value_with_these_bytes_or_a_named_error(raw: bytes) -> None:
    try:
        value = codec.decode(raw)
    except NotCanonical:
        return
    assert codec.encode(value) == raw


# ------------------------------------------------------------------------------------------------- types


@pytest.mark.parametrize("value", [0, 1, LARGEST])
def test_a_number_up_to_2_to_53_is_an_integer(value: int) -> None:
    assert codec.is_uint(value)


@pytest.mark.parametrize("value", [-1, LARGEST + 1, True, False, 1.0, None, "1", b"\x01"])
def test_a_boolean_and_everything_else_is_no_integer(value: object) -> None:
    assert not codec.is_uint(value)


def test_bin_is_bytes_of_one_length() -> None:
    assert codec.is_bin(bytes(32), 32)
    for value in (bytes(31), bytes(33), "a" * 32, bytearray(32), None):
        assert not codec.is_bin(value, 32)


@pytest.mark.parametrize(
    "value", ["", "m" * 256, "\u00e9" * 128, "\u2615" * 85, "\U0001f600" * 64, " ~", "\u00a0", "\ufffe"]
)
def test_up_to_256_bytes_of_utf_8_are_text(value: str) -> None:
    assert codec.is_text(value)


@pytest.mark.parametrize(
    "value",
    [
        *("m" * 257, "\u00e9" * 129, "\u2615" * 86, "\U0001f600" * 65),
        *(chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))),
        *("a\x00", "\ud800", "\udfff", "m" * 100 + "\udc80", b"text", None, 7),
    ],
)
def test_longer_ones_control_characters_and_half_surrogates_are_not(value: object) -> None:
    assert not codec.is_text(value)


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=300))
def test_text_is_judged_by_code_points_alone(value: str) -> None:
    points = [ord(character) for character in value]
    fits = all(0x20 <= p <= 0x7E or 0xA0 <= p < 0xD800 or p >= 0xE000 for p in points)
    assert codec.is_text(value) == (fits and len(value.encode("utf-8", "surrogatepass")) <= 256)


# ---------------------------------------------------------------------------------------- part by part


def test_a_reader_walks_along_the_parts() -> None:
    raw = pack([7, b"abc", [1, b"x", "y"], [b"1", b"2"]])
    reader = Reader(raw)
    assert reader.array() == 4
    assert reader.uint() == 7
    assert reader.bin() == b"abc"
    assert reader.flat_array() == pack([1, b"x", "y"])
    assert reader.bins() == [b"1", b"2"]
    reader.end()


@given(st.lists(st.binary(max_size=300) | st.integers(0, 9)), st.integers(0, 20), st.binary(max_size=4))
def test_an_array_of_bin_is_read_at_once_as_it_is_one_by_one(
    parts: list[bytes | int], cut: int, more: bytes
) -> None:
    whole = codec.encode(parts) + more
    raw = whole[: max(1, len(whole) - cut)]

    def outcome(read: Callable[[Reader], list[bytes]]) -> tuple[object, ...]:
        reader = Reader(raw)
        try:
            found = read(reader)
            reader.end()
        except NotCanonical:
            return ()
        return (found,)

    assert outcome(Reader.bins) == outcome(lambda one: [one.bin() for _ in range(one.array())])


@pytest.mark.parametrize(
    "raw, ask",
    [
        (b"", Reader.array),
        (b"\xc0", Reader.uint),
        (b"\xc3", Reader.uint),
        (b"\x80", Reader.uint),
        (b"\xff", Reader.uint),
        (b"\xd0\x01", Reader.uint),
        (b"\xca" + bytes(4), Reader.uint),
        (b"\x80", Reader.array),
        (b"\xd4\x05\x00", Reader.bin),
        (text(b"a"), Reader.bin),
        (b"\x01", Reader.array),
        (b"\x90", Reader.uint),
        (uint(127, 1), Reader.uint),
        (uint(255, 2), Reader.uint),
        (uint(65_535, 4), Reader.uint),
        (uint(2**32 - 1, 8), Reader.uint),
        (uint(2**53, 8), Reader.uint),
        (binary(bytes(255), 2), Reader.bin),
        (binary(bytes(65_535), 4), Reader.bin),
        (array_as(15, 2), Reader.array),
        (array_as(65_535, 4), Reader.array),
        (b"\xc4\x02a", Reader.bin),
        (b"\xc6\xff\xff\xff\xff", Reader.bin),
        (b"\xcd\x01", Reader.uint),
        (array_as(2**32 - 1, 4) + binary(b"a", 1), Reader.bins),
        (b"\x91" + binary(bytes(255), 2), Reader.bins),
        (b"\x91" + binary(bytes(65_535), 4), Reader.bins),
        (b"\x91" + binary(bytes(300), 2)[:-1], Reader.bins),
        (b"\x91\xc5\x01", Reader.bins),
        (b"\x91\x90", Reader.flat_array),
        (b"\x91\xc0", Reader.flat_array),
        (b"\x92\x01", Reader.flat_array),
        (b"\x91" + text_as(b"a", 1), Reader.flat_array),
        (b"\x91" + text_as(bytes(255), 2), Reader.flat_array),
        (b"\x91" + text_as(bytes(65_535), 4), Reader.flat_array),
        (array_as(2**32 - 1, 4) + b"\x00", Reader.flat_array),
    ],
)
def test_a_reader_refuses_what_is_not_what_it_was_asked_for(
    raw: bytes, ask: Callable[[Reader], object]
) -> None:
    with pytest.raises(NotCanonical):
        ask(Reader(raw))


def test_a_reader_knows_whether_something_is_left() -> None:
    reader = Reader(b"\x01\x02")
    assert reader.uint() == 1
    with pytest.raises(NotCanonical, match="1 bytes left over"):
        reader.end()


def test_an_integer_may_be_bounded_further() -> None:
    assert Reader(pack(2**32 - 1)).uint(2**32 - 1) == 2**32 - 1
    with pytest.raises(NotCanonical, match="above"):
        Reader(pack(2**32)).uint(2**32 - 1)


@given(
    st.integers(0, LARGEST), st.binary(max_size=70_000), st.lists(st.integers(0, 9) | st.binary() | st.text())
)
def test_a_reader_and_the_library_agree(number: int, content: bytes, flat: list[int | bytes | str]) -> None:
    reader = Reader(codec.encode((number, content, flat)))
    assert reader.array() == 3
    assert reader.uint() == number
    assert reader.bin() == content
    assert reader.flat_array() == codec.encode(flat)
    reader.end()
