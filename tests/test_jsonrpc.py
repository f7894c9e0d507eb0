"""JSON-RPC 2.0: what is a call, and what is said of all that is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import jsonrpc
from node.jsonrpc import BadCall, Call, RpcError


def test_a_call_is_read_with_its_id_method_and_params() -> None:
    line = b'{"jsonrpc":"2.0","id":"a","method":"tx","params":{"txid":"00"}}'
    assert jsonrpc.parse(line) == Call("a", answered=True, method="tx", params={"txid": "00"})


def test_params_may_be_left_out_or_stand_in_order() -> None:
    assert jsonrpc.parse(b'{"jsonrpc":"2.0","id":7,"method":"tips"}') == Call(
        7, answered=True, method="tips", params={}
    )
    assert jsonrpc.parse(b'{"jsonrpc":"2.0","id":7,"method":"mine","params":[3]}') == Call(
        7, answered=True, method="mine", params=[3]
    )


def test_a_notification_wants_no_answer_and_a_null_id_does() -> None:
    assert jsonrpc.parse(b'{"jsonrpc":"2.0","method":"stop"}') == Call(
        None, answered=False, method="stop", params={}
    )
    assert jsonrpc.parse(b'{"jsonrpc":"2.0","id":null,"method":"stop"}') == Call(
        None, answered=True, method="stop", params={}
    )


def test_an_array_holds_calls_each_judged_alone() -> None:
    found = jsonrpc.parse(b'[{"jsonrpc":"2.0","id":1,"method":"tips"}, 5]')
    assert isinstance(found, list)
    assert found[0] == Call(1, answered=True, method="tips", params={})
    assert isinstance(found[1], BadCall)
    assert found[1].error.number == -32600


@pytest.mark.parametrize(
    "line, number",
    [
        (b"", -32700),
        (b"hello", -32700),
        (b"\xff\xfe", -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"tips"} x', -32700),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"tips"}', -32700),
        (b"[" * 100_000, -32700),
        (b'{"jsonrpc":"2.0","id":' + b"9" * 5_000 + b',"method":"tips"}', -32700),
        (b"[]", -32600),
        (b"5", -32600),
        (b"null", -32600),
        (b'"status"', -32600),
        (b"{}", -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"tips"}', -32600),
        (b'{"jsonrpc":2.0,"id":1,"method":"tips"}', -32600),
        (b'{"jsonrpc":"2.0","id":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"tips","params":5}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"tips","params":null}', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"tips"}', -32600),
        (b'{"jsonrpc":"2.0","id":[1],"method":"tips"}', -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"tips"}', -32600),
        (b"[" + b"1," * 2_000 + b"1]", -32600),
    ],
)
def test_what_is_no_call_gets_the_error_that_the_specification_names(line: bytes, number: int) -> None:
    found = jsonrpc.parse(line)
    assert isinstance(found, BadCall)
    assert found.error.number == number
    assert found.error.hint
    assert len(found.error.message) < 300


def test_an_error_keeps_the_id_where_it_could_be_read() -> None:
    found = jsonrpc.parse(b'{"jsonrpc":"2.0","id":9,"method":5}')
    assert isinstance(found, BadCall)
    assert found.id == 9


def test_answers_are_one_line_of_ascii() -> None:
    text = jsonrpc.result_text("ü\n", {"memo": "a\nb\u2028c\ud800"})
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text) == {"jsonrpc": "2.0", "id": "ü\n", "result": {"memo": "a\nb\u2028c\ud800"}}
    refused = json.loads(jsonrpc.error_text(3, RpcError(-32000, "overspend", "too much", "less")))
    assert refused["error"] == {
        "code": -32000,
        "message": "too much",
        "data": {"code": "overspend", "hint": "less"},
    }
    told = json.loads(jsonrpc.notification_text("event", {"a": 1}))
    assert told == {"jsonrpc": "2.0", "method": "event", "params": {"a": 1}}


@given(call_id=st.none() | st.integers() | st.text())
def test_a_txid_is_answered_as_by_the_encoder(call_id: str | int | None) -> None:
    txid = "0a" * 32
    assert jsonrpc.txid_text(call_id, txid) == jsonrpc.result_text(call_id, {"txid": txid})


@given(line=st.binary(max_size=200))
def test_any_bytes_are_a_call_or_a_named_error(line: bytes) -> None:
    found = jsonrpc.parse(line)
    for call in found if isinstance(found, list) else [found]:
        jsonrpc.result_text(call.id, 0)


@given(
    message=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.sampled_from(["2.0", "jsonrpc", "method", "id"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["jsonrpc", "id", "method", "params", "x"]), inner, max_size=5)
        ),
        max_leaves=8,
    )
)
def test_any_json_is_a_call_or_a_named_error(message: object) -> None:
    found = jsonrpc.parse(json.dumps(message).encode())
    for call in found if isinstance(found, list) else [found]:
        jsonrpc.result_text(call.id, 0)
