"""Effects leave in order, and what claims something stored leaves only once that is durable."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.events import Answer, Effect, Level, Notice, Persist, Refuse, Send
from node.outbox import Outbox
from node.storage.memory import memory_disk, open_memory
from node.storage.port import Batch, Store
from tests.building import EASY


def store_in_memory() -> Store:
    return open_memory(memory_disk(EASY))[0]


@pytest.fixture
def out() -> Outbox:
    return Outbox(store_in_memory())


def staged(out: Outbox, count: int = 1) -> int:
    """Stage some batches; return the number of the last."""
    for _ in range(count):
        out.stage(out.batch())
    out.drain()
    return out.latest


def test_a_batch_that_may_wait_leaves_with_the_next_one_or_when_nothing_is_left_to_do(
    out: Outbox,
) -> None:
    header, block, other = (Batch(number) for number in (1, 2, 3))
    out.stage(header, may_wait=True)
    assert out.drain() == []
    assert out.latest == 1
    out.stage(block)
    assert out.drain() == [Persist(header), Persist(block)]
    out.stage(other, may_wait=True)
    out.hurry()
    out.hurry()
    assert out.drain() == [Persist(other)]


def test_effects_leave_in_the_order_in_which_they_were_said(out: Outbox) -> None:
    effects: list[Effect] = [Send(1, b"a"), Refuse(2, "no", "because"), Send(1, b"b")]
    for effect in effects:
        out.emit(effect)
    assert out.drain() == effects
    assert out.drain() == []


def test_a_batch_is_read_at_once_and_sent_to_the_disk(out: Outbox) -> None:
    store = store_in_memory()
    out = Outbox(store)
    batch = out.batch()
    batch.values["a"] = b"1"
    assert out.stage(batch) == 1
    assert store.value("a") == b"1"
    assert out.drain() == [Persist(batch)]
    assert (out.latest, out.durable) == (1, 0)


def test_a_batch_staged_ahead_is_handed_over_at_once_unless_something_goes_first(out: Outbox) -> None:
    handed: list[Persist] = []
    out.ahead = handed.append
    first, second = out.batch(), Batch(2)
    assert out.stage_ahead(first) == 1
    assert (handed, out.drain()) == ([Persist(first)], [])
    out.emit(Send(1, b"before"))
    assert out.stage_ahead(second) == 2
    assert handed == [Persist(first)]
    assert out.drain() == [Send(1, b"before"), Persist(second)]


def test_a_second_batch_of_the_same_number_is_our_own_mistake(out: Outbox) -> None:
    first, second = out.batch(), out.batch()
    out.stage(first)
    with pytest.raises(AssertionError, match="batch 1 staged after 1"):
        out.stage(second)


def test_a_batch_that_was_never_staged_is_not_durable(out: Outbox) -> None:
    with pytest.raises(AssertionError, match="batch 1 said to be durable, the last one staged is 0"):
        out.persisted(1)


def test_a_claim_of_a_batch_that_was_never_staged_is_our_own_mistake(out: Outbox) -> None:
    with pytest.raises(AssertionError, match="a claim of batch 2"):
        out.claim(Answer(1, "done", 2), 2)


def test_a_claim_of_nothing_leaves_at_once(out: Outbox) -> None:
    staged(out)
    out.claim(Send(1, b"pong"), 0)
    assert out.drain() == [Send(1, b"pong")]


def test_a_claim_waits_until_its_batch_is_durable(out: Outbox) -> None:
    staged(out, 2)
    out.claim(Send(1, b"block", 2), 2)
    assert out.drain() == []
    out.persisted(1)
    assert out.drain() == []
    out.persisted(2)
    assert out.drain() == [Send(1, b"block", 2)]


def test_a_durable_batch_makes_all_before_it_durable(out: Outbox) -> None:
    staged(out, 3)
    claims = [Answer(number, "done", number) for number in (1, 2, 3)]
    for claim in claims:
        out.claim(claim, claim.after)
    out.persisted(2)
    assert out.drain() == claims[:2]
    out.claim(claims[0], 1)
    assert out.drain() == claims[:1]


def test_news_of_an_older_batch_changes_nothing(out: Outbox) -> None:
    staged(out, 2)
    out.claim(Answer(1, "done", 2), 2)
    out.persisted(1)
    out.persisted(1)
    assert (out.durable, out.drain()) == (1, [])


def test_a_claim_of_an_older_batch_goes_before_those_of_later_ones_and_after_its_own(out: Outbox) -> None:
    staged(out, 3)
    for number, after in enumerate([1, 3, 2, 1, 3]):
        out.claim(Answer(number, None, after), after)
    out.persisted(3)
    assert [effect.request for effect in out.drain() if isinstance(effect, Answer)] == [0, 3, 2, 1, 4]


def test_a_notice_without_a_batch_is_told_at_once_and_others_wait(out: Outbox) -> None:
    staged(out)
    out.notice("block-connected", "block 7", after=1, fields={"height": 7})
    out.notice("peer-gone", "bob left", Level.WARNING)
    assert out.drain() == [Notice("peer-gone", "bob left", Level.WARNING)]
    out.persisted(1)
    assert out.drain() == [Notice("block-connected", "block 7", Level.INFO, {"height": 7})]


def test_what_waits_for_a_connection_that_is_gone_is_dropped(out: Outbox) -> None:
    staged(out)
    out.claim(Send(1, b"to ann", 1), 1)
    out.claim(Send(2, b"to bob", 1), 1)
    out.claim(Answer(1, "done", 1), 1)
    out.forget_connection(1)
    out.persisted(1)
    assert out.drain() == [Send(2, b"to bob", 1), Answer(1, "done", 1)]


def test_what_waits_for_a_connection_is_weighed_until_it_leaves(out: Outbox) -> None:
    staged(out, 2)
    out.claim(Send(1, b"12345", 1), 1)
    out.claim(Send(1, b"678", 2), 2)
    out.claim(Send(2, b"9", 2), 2)
    out.emit(Send(1, b"at once"))
    assert [out.held_bytes(connection) for connection in (1, 2, 3)] == [8, 1, 0]
    out.persisted(1)
    assert [out.held_bytes(connection) for connection in (1, 2)] == [3, 1]
    out.forget_connection(1)
    assert [out.held_bytes(connection) for connection in (1, 2)] == [0, 1]
    out.persisted(2)
    assert out.held_bytes(2) == 0


def test_what_is_in_flight_is_weighed_until_it_is_durable(out: Outbox) -> None:
    for entries in (5, 0, 7):
        out.stage(out.batch(), entries)
    assert out.entries_in_flight == 12
    out.persisted(2)
    assert out.entries_in_flight == 7
    out.persisted(3)
    assert out.entries_in_flight == 0


Step = tuple[str, int]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("stage"), st.just(0)),
        st.tuples(st.just("persist"), st.integers(0, 5)),
        st.tuples(st.just("claim"), st.integers(0, 5)),
        st.tuples(st.just("emit"), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(steps)
def test_no_claim_ever_leaves_before_its_batch_and_none_is_lost(taken: list[Step]) -> None:
    out = Outbox(store_in_memory())
    said: list[tuple[int, int]] = []
    heard: list[tuple[int, int]] = []
    durable = 0
    do: dict[str, Callable[[int], object]] = {
        "stage": lambda _: out.stage(out.batch()),
        "persist": lambda back: out.persisted(max(durable, out.latest - back)),
        "emit": lambda _: out.emit(Refuse(0, "no", "")),
    }
    for number, (what, back) in enumerate(taken):
        if what == "claim":
            after = max(0, out.latest - back)
            said.append((after, number))
            out.claim(Answer(number, None, after), after)
        else:
            do[what](back)
        durable = out.durable
        effects: list[Effect] = out.drain()
        answers = [effect for effect in effects if isinstance(effect, Answer)]
        assert all(answer.after <= durable for answer in answers)
        heard += [(answer.after, answer.request) for answer in answers]
    out.persisted(out.latest)
    heard += [(effect.after, effect.request) for effect in out.drain() if isinstance(effect, Answer)]
    assert sorted(heard) == sorted(said)
    # Those of one batch keep their order.
    for batch in {after for after, _ in said}:
        assert [n for after, n in heard if after == batch] == [n for after, n in said if after == batch]
