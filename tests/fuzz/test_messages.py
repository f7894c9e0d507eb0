"""Every record that a message may be is written as a frame and read from it again, type by type."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from node import frames
from node.messages import Message, Type
from tests.fuzz.targets import TARGETS
from tests.wire import BY_TYPE

HEAD = 5


def test_each_type_has_records_and_a_target() -> None:
    assert set(BY_TYPE) == set(Type)
    names = {number.name.lower().replace("_", "-") for number in Type} - {"block"}
    assert names < set(TARGETS)


@pytest.mark.parametrize("number", Type)
def test_any_record_of_a_type_comes_back_from_its_frame(number: Type) -> None:
    @settings(max_examples=60, deadline=None)
    @given(BY_TYPE[number])
    def comes_back(message: Message) -> None:
        frame = frames.encode(message)
        assert int.from_bytes(frame[:4], "big") == len(frame) - 4
        assert frame[4] == number
        assert frames.decode(number, frame[HEAD:]) == message

    comes_back()
