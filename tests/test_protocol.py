"""A connection: the handshake, the state table, bytes whole and one by one, every fault by its code."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.frames import encode, frame
from node.ledger import signature
from node.ledger.params import BUILT_IN
from node.messages import (
    BlockMessage,
    Entries,
    Feature,
    GetAddresses,
    GetBlockEntries,
    Hello,
    Inventory,
    Kind,
    Message,
    Ping,
    Pong,
    Type,
)
from node.protocol import COSTS, LEGAL, STRANGER_COST, Connection, Fault, PeerFault, State
from tests.vectors.read import read
from tests.wire import hello_of, messages

HANDSHAKE = read("wire.json")["handshake"]
COMPACT = read("wire.json")["compact_handshake"]
VECTORS = read("wire_refused.json")
OTHER = {"dialler": "dialled", "dialled": "dialler"}
SIDES = tuple(OTHER)


def connection(side: str, hello: Hello | None = None, own_nonces: Iterable[bytes] = ()) -> Connection:
    """One side of the vectors' handshake."""
    seed = bytes.fromhex(HANDSHAKE[side]["seed"])
    return Connection(
        dialled=side == "dialler",
        hello=hello or hello_of(HANDSHAKE[side]["hello"]),
        sign=lambda message: signature.sign(seed, message),
        parameters=BUILT_IN,
        own_nonces=dict.fromkeys(own_nonces),
    )


def sent_by(side: str, *frames: str) -> bytes:
    return b"".join(bytes.fromhex(HANDSHAKE[side][f"{name}_frame"]) for name in frames)


def opened(side: str = "dialled") -> Connection:
    """A connection whose handshake is done."""
    ours = connection(side)
    assert len(list(ours.receive(sent_by(OTHER[side], "hello", "auth")))) == 1
    ours.outgoing()
    return ours


def compact_opened(side: str = "dialled") -> Connection:
    """A connection between two nodes that both have feature bit 0."""
    ours = connection(side, hello_of(COMPACT[side]["hello"]))
    theirs = COMPACT[OTHER[side]]
    list(ours.receive(bytes.fromhex(theirs["hello_frame"] + theirs["auth_frame"])))
    ours.outgoing()
    return ours


def at_stage(side: str, stage: str) -> Connection:
    if stage == "compact":
        return compact_opened(side)
    ours = connection(side)
    before = {"hello": (), "auth": ("hello",), "open": ("hello", "auth")}[stage]
    list(ours.receive(sent_by(OTHER[side], *before)))
    return ours


def fed(ours: Connection, chunks: Iterable[bytes]) -> tuple[list[Message], PeerFault | None]:
    """All that comes of these bytes: messages, and the fault behind them."""
    taken: list[Message] = []
    try:
        for chunk in chunks:
            for message in ours.receive(chunk):
                taken.append(message)  # noqa: PERF402 - extend would lose those before a fault
    except PeerFault as fault:
        return taken, fault
    return taken, None


def one_by_one(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


# --------------------------------------------------------------------------------------- the handshake


@pytest.mark.parametrize("side", SIDES)
def test_each_side_says_what_the_vectors_say(side: str) -> None:
    ours = connection(side)
    assert ours.outgoing() == sent_by(side, "hello")
    assert ours.outgoing() == b""
    assert list(ours.receive(sent_by(OTHER[side], "hello"))) == []
    assert not ours.is_open
    assert ours.outgoing() == sent_by(side, "auth")
    theirs = hello_of(HANDSHAKE[OTHER[side]]["hello"])
    assert list(ours.receive(sent_by(OTHER[side], "auth"))) == [theirs]
    assert ours.is_open
    assert ours.outgoing() == b""
    assert ours.peer == theirs
    assert ours.identity == theirs.identity


@pytest.mark.parametrize("side", SIDES)
def test_nobody_is_a_peer_before_it_has_proven_who_it_is(side: str) -> None:
    for stage in ("hello", "auth"):
        with pytest.raises(RuntimeError, match="not proven"):
            _ = at_stage(side, stage).peer


def test_two_connections_open_each_other() -> None:
    ends = [connection("dialler"), connection("dialled")]
    for _ in range(2):
        for here, there in (ends, ends[::-1]):
            list(there.receive(here.outgoing()))
    assert [end.is_open for end in ends] == [True, True]


def test_messages_right_behind_the_handshake_are_taken() -> None:
    data = sent_by("dialler", "hello", "auth") + encode(Ping(7)) + encode(GetAddresses())
    taken, fault = fed(connection("dialled"), [data])
    assert fault is None
    assert [type(message) for message in taken] == [Hello, Ping, GetAddresses]


def test_another_list_of_upgrades_is_no_fault_but_seen() -> None:
    assert not opened().rules_differ
    ours = connection("dialled", replace(hello_of(HANDSHAKE["dialled"]["hello"]), rules_hash=bytes(32)))
    theirs = Connection(
        dialled=True,
        hello=hello_of(HANDSHAKE["dialler"]["hello"]),
        sign=lambda message: signature.sign(bytes.fromhex(HANDSHAKE["dialler"]["seed"]), message),
        parameters=BUILT_IN,
    )
    list(theirs.receive(ours.outgoing()))
    list(ours.receive(theirs.outgoing()))
    assert ours.is_open
    assert ours.rules_differ


@pytest.mark.parametrize("side", SIDES)
def test_a_node_that_reaches_itself_notices_on_both_ends(side: str) -> None:
    """Each connection has a nonce of its own, so the other end's is looked up among all that are in use."""
    here = replace(hello_of(HANDSHAKE[side]["hello"]), nonce=b"h" * 16)
    there = replace(here, nonce=b"t" * 16)
    ours = connection(side, here, own_nonces=[b"h" * 16, b"t" * 16])
    with pytest.raises(PeerFault, match="self-connection"):
        list(ours.receive(encode(there)))


def test_a_copied_data_folder_is_told_from_oneself() -> None:
    here = hello_of(HANDSHAKE["dialled"]["hello"])
    with pytest.raises(PeerFault, match=r"same-identity: .* data folder was copied"):
        list(connection("dialled").receive(encode(replace(here, nonce=b"x" * 16))))


def test_a_wrong_network_names_both() -> None:
    ours, theirs = (hello_of(HANDSHAKE[side]["hello"]) for side in ("dialled", "dialler"))
    with pytest.raises(PeerFault, match="wrong-network") as caught:
        list(connection("dialled").receive(encode(replace(theirs, network_id=b"\xee" * 32))))
    assert ours.network_id.hex() in caught.value.detail
    assert "ee" * 32 in caught.value.detail


def test_a_wrong_version_names_both() -> None:
    with pytest.raises(PeerFault, match=r"wrong-version: .*version 7.* 1$"):
        list(
            connection("dialled").receive(encode(replace(hello_of(HANDSHAKE["dialler"]["hello"]), version=7)))
        )


@pytest.mark.parametrize("side", SIDES)
def test_an_auth_is_worth_nothing_on_the_next_connection(side: str) -> None:
    """The recorded handshake of the peer, played again to a side with a fresh nonce."""
    fresh = connection(side, replace(hello_of(HANDSHAKE[side]["hello"]), nonce=b"f" * 16))
    taken, fault = fed(fresh, [sent_by(OTHER[side], "hello", "auth")])
    assert taken == []
    assert fault is not None
    assert fault.code == "bad-auth"


@given(st.integers(0, 63), st.integers(1, 255), st.sampled_from(SIDES))
def test_no_changed_auth_opens_a_connection(place: int, change: int, side: str) -> None:
    auth = bytearray(sent_by(OTHER[side], "auth"))
    auth[-64 + place] ^= change
    _, fault = fed(at_stage(side, "auth"), [bytes(auth)])
    assert fault is not None
    assert fault.code == "bad-auth"


# ------------------------------------------------------------------------------------------- the tables

ANY_TIME = frozenset(
    {
        *("PING", "PONG", "GET_ADDRESSES", "ADDRESSES", "REJECT", "INVENTORY", "GET_DATA", "NOT_FOUND"),
        *("ENTRIES", "GET_HEADERS", "HEADERS", "BLOCK"),
        *("COMPACT_BLOCK", "GET_BLOCK_ENTRIES", "BLOCK_ENTRIES"),
    }
)


def test_the_state_table_is_the_documented_one() -> None:
    assert {state: {number.name for number in LEGAL[state]} for state in State} == {
        State.HELLO: {"HELLO"},
        State.AUTH: {"AUTH"},
        State.OPEN: ANY_TIME,
        State.BROKEN: set(),
    }


@pytest.mark.parametrize("ours, theirs", [(0, 0), (0, 1), (1, 0), (2, 1), (1 << 40, 1)])
def test_a_message_that_needs_a_feature_is_a_fault_unless_both_have_set_it(ours: int, theirs: int) -> None:
    here, there = (
        connection(side, replace(hello_of(HANDSHAKE[side]["hello"]), features=features))
        for side, features in (("dialled", ours), ("dialler", theirs))
    )
    for _ in range(2):
        for one, other in ((here, there), (there, here)):
            list(other.receive(one.outgoing()))
    assert here.is_open
    assert not here.agreed(Feature.COMPACT_BLOCKS)
    with pytest.raises(PeerFault, match="unknown-type"):
        list(here.receive(encode(GetBlockEntries(bytes(32), (0,)))))


def test_what_both_have_set_is_agreed_on_once_the_peer_is_proven() -> None:
    ours = connection("dialled", hello_of(COMPACT["dialled"]["hello"]))
    list(ours.receive(bytes.fromhex(COMPACT["dialler"]["hello_frame"])))
    assert not ours.agreed(Feature.COMPACT_BLOCKS)
    assert compact_opened().agreed(Feature.COMPACT_BLOCKS)
    assert not compact_opened().agreed(Feature.VOTES)


def test_every_fault_has_a_cost_and_honest_mistakes_cost_nothing() -> None:
    assert set(COSTS) == set(Fault)
    free = {fault.value for fault, cost in COSTS.items() if cost == 0}
    assert free == {"wrong-version", "wrong-network", "self-connection", "same-identity"}
    assert {cost for fault, cost in COSTS.items() if cost} == {100}
    assert STRANGER_COST == 10


def test_the_vectors_have_every_fault() -> None:
    assert {case["fault"] for case in VECTORS["refused"]} == {fault.value for fault in Fault}


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "one by one"])
@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: case["why"])
def test_the_vectors_are_refused_for_the_right_reason(case: dict[str, Any], whole: bool) -> None:
    ours, data = at_stage(case["we"], case["stage"]), bytes.fromhex(case["bytes"])
    taken, fault = fed(ours, [data] if whole else one_by_one(data))
    assert len(taken) == case["messages"]
    assert fault is not None
    assert fault.code == case["fault"]
    usual = COSTS[Fault(case["fault"])]
    assert fault.cost == (min(usual, 10) if case["stage"] == "hello" else usual)
    assert str(fault).startswith(f"{case['fault']}: ")
    assert not ours.is_open


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "one by one"])
@pytest.mark.parametrize("case", VECTORS["skipped"], ids=lambda case: f"{case['why']}, {case['stage']}")
def test_unknown_types_are_skipped_and_what_comes_behind_them_is_taken(
    case: dict[str, Any], whole: bool
) -> None:
    ours, data = at_stage(case["we"], case["stage"]), bytes.fromhex(case["bytes"])
    behind = {"hello": ("hello", "auth"), "auth": ("auth",), "open": ()}[case["stage"]]
    data += sent_by(OTHER[case["we"]], *behind) + encode(Ping(7))
    taken, fault = fed(ours, [data] if whole else one_by_one(data))
    assert fault is None
    assert taken[-1] == Ping(7)
    assert len(taken) == (1 if case["stage"] == "open" else 2)


# ---------------------------------------------------------------------------------- bytes, as they may come


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


open_messages = messages.filter(lambda message: type(message).__name__ not in {"Hello", "Auth"})


@given(st.lists(open_messages, max_size=6), st.binary(max_size=60), st.lists(st.integers(0), max_size=9))
def test_whole_in_pieces_and_one_by_one_give_the_same(
    said: list[Message], junk: bytes, places: list[int]
) -> None:
    data = b"".join(map(encode, said)) + junk
    whole, pieces, single = (
        fed(compact_opened(), chunks) for chunks in ([data], cut(data, places), one_by_one(data))
    )
    assert whole[0][: len(said)] == said
    assert whole[0] == pieces[0] == single[0]
    assert str(whole[1]) == str(pieces[1]) == str(single[1])


@given(st.binary(max_size=120), st.sampled_from(["hello", "auth", "open"]))
def test_any_bytes_give_messages_or_a_documented_fault(data: bytes, stage: str) -> None:
    _, fault = fed(at_stage("dialled", stage), [data])
    assert fault is None or fault.code in {known.value for known in Fault}


@settings(max_examples=300)
@given(st.sampled_from(sorted([*Type, 0, 32, 127, 128, 255])), st.binary(max_size=120), st.integers(0, 2))
def test_any_frame_gives_a_message_or_a_documented_fault(number: int, payload: bytes, behind: int) -> None:
    data = frame(number, payload) + encode(Ping(behind))
    taken, fault = fed(opened(), [data])
    single = fed(opened(), one_by_one(data))
    assert (taken, str(fault)) == (single[0], str(single[1]))
    if fault is None:
        assert taken[-1] == Ping(behind)


@given(st.binary(max_size=80), st.lists(st.integers(0), max_size=6), st.sampled_from(SIDES))
def test_the_handshake_gives_the_same_in_pieces(junk: bytes, places: list[int], side: str) -> None:
    data = sent_by(OTHER[side], "hello", "auth") + junk
    whole, pieces = fed(connection(side), [data]), fed(connection(side), cut(data, places))
    assert len(whole[0]) >= 1
    assert whole[0] == pieces[0]
    assert str(whole[1]) == str(pieces[1])


def test_messages_before_a_fault_are_given_out_before_it_is_raised() -> None:
    taking = opened().receive(encode(Ping(1)) + encode(Ping(2)) + bytes(4))
    assert next(taking) == Ping(1)
    assert next(taking) == Ping(2)
    with pytest.raises(PeerFault, match="frame-empty"):
        next(taking)


def test_nothing_is_taken_after_a_fault_which_is_raised_again() -> None:
    ours = opened()
    _, first = fed(ours, [bytes(4)])
    for data in (b"", encode(Ping(1))):
        taken, again = fed(ours, [data])
        assert taken == []
        assert again is first
    assert not ours.is_open
    assert ours.identity.hex() == HANDSHAKE["dialler"]["hello"]["identity"]


def test_an_iteration_left_off_is_taken_up_by_the_next_call() -> None:
    ours = opened()
    taking = ours.receive(b"".join(encode(Ping(token)) for token in range(4)))
    assert next(taking) == Ping(0)
    assert next(ours.receive(b"")) == Ping(1)
    assert list(ours.receive(encode(Pong(9)))) == [Ping(2), Ping(3), Pong(9)]


def test_bytes_are_taken_in_even_where_nobody_iterates() -> None:
    ours = opened()
    ours.receive(encode(Ping(1))[:3])
    assert list(ours.receive(encode(Ping(1))[3:])) == [Ping(1)]


def test_a_frame_is_refused_by_its_head_before_any_of_it_is_held() -> None:
    ours = opened()
    with pytest.raises(PeerFault, match="frame-too-long"):
        list(ours.receive(bytes.fromhex("7fffffff16")))
    with pytest.raises(PeerFault, match="unknown-type"):
        list(opened().receive(bytes.fromhex("0000ffff20")))


def test_large_messages_come_through_in_small_pieces() -> None:
    said: list[Message] = [
        BlockMessage(bytes(range(256)) * (1 << 12)),
        Entries((b"e" * 300,) * 1_000),
        Inventory(Kind.BLOCK, (b"h" * 32,) * 1_000),
        BlockMessage(b"b" * ((1 << 20) + 1024)),
    ]
    data = b"".join(map(encode, said))
    taken, fault = fed(opened(), [data[at : at + 1_000] for at in range(0, len(data), 1_000)])
    assert fault is None
    assert taken == said


def test_what_is_held_is_bounded_by_one_frame_however_much_has_come() -> None:
    ours, block = opened(), encode(BlockMessage(bytes(1 << 18)))
    tracemalloc.start()
    for _ in range(64):
        for at in range(0, len(block), 1 << 16):
            for message in ours.receive(block[at : at + (1 << 16)]):
                assert isinstance(message, BlockMessage)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * len(block)
