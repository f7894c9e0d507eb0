"""Changes that keep the form: msgpack stays msgpack, frames stay frames, and every part has its turn."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from node.ledger import codec
from tests.fuzz.mutations import junk
from tests.fuzz.reshaping import framed, packed
from tests.fuzz.targets import TARGETS
from tests.vectors.generate.packing import pack


def last_byte(data: bytes) -> bytes:
    """A change that can be told."""
    return data[:-1] + bytes([(data or b"\0")[-1] ^ 1])


@given(junk, st.randoms(use_true_random=False))
def test_what_was_msgpack_still_is(value: object, dice: Random) -> None:
    raw = pack(value)  # type: ignore[arg-type]  # junk is of such values alone
    codec.decode(packed(raw, dice, last_byte))


@given(st.binary(max_size=60), st.randoms(use_true_random=False))
def test_any_bytes_can_be_changed(data: bytes, dice: Random) -> None:
    for reshape in (packed, framed):
        reshape(data, dice, last_byte)


def test_every_field_of_an_entry_comes_to_be_changed() -> None:
    raw = TARGETS["entry"].seeds()[0]
    fields = codec.decode(raw)
    others = [codec.decode(packed(raw, Random(seed), last_byte)) for seed in range(300)]
    alike = [other for other in others if len(other) == len(fields)]
    changed = {at for other in alike for at in range(len(fields)) if other[at] != fields[at]}
    assert changed == set(range(len(fields)))


def test_frames_stay_frames_of_their_right_length() -> None:
    data = b"\4\3" + b"\0\0\0\2\3\7" + b"\0\0\0\2\4\7"
    for seed in range(100):
        at, made = 2, framed(data, Random(seed), last_byte)
        assert made[:2] == data[:2]
        while at < len(made):
            at += 4 + int.from_bytes(made[at : at + 4], "big")
        assert at == len(made)
