"""The methods of the local socket: what their params may be, and that their document says the same."""

from __future__ import annotations

import json
import re

import pytest

from node import jsonrpc
from node.events import MineBlocks, PeerCommand
from node.jsonrpc import RpcError
from node.methods import (
    METHODS,
    SUBSCRIBE_PARAMS,
    Request,
    Submission,
    arguments,
    method_of,
    submission_of,
)
from node.query import After
from tests.sources import ROOT

HASH = "ab" * 32
AFTER = {"height": 3, "position": 1, "block": HASH, "balance": 7}


@pytest.mark.parametrize(
    "method, given, expected",
    [
        ("status", {}, {}),
        ("status", [], {}),
        ("tx", {"txid": HASH}, {"txid": bytes.fromhex(HASH), "corrections": False}),
        ("tx", [HASH.upper(), True], {"txid": bytes.fromhex(HASH), "corrections": True}),
        ("blocks", {}, {"limit": 20, "before": None}),
        ("blocks", {"limit": 100, "before": 0}, {"limit": 100, "before": 0}),
        ("blocks", [5, 2**32], {"limit": 5, "before": 2**32}),
        ("block", {"name": 0}, {"name": 0}),
        ("block", {"name": HASH}, {"name": bytes.fromhex(HASH)}),
        ("pending", {}, {"limit": 1000, "offset": 0, "address": None}),
        ("mine", {}, {"count": 1}),
        ("mine", {"count": None}, {"count": 1}),
        ("peer", {"action": "ban", "target": "10.0.0.1"}, {"action": "ban", "target": "10.0.0.1"}),
        (
            "history",
            {"after": AFTER},
            {"address": None, "limit": 20, "after": After(3, 1, bytes.fromhex(HASH), 7)},
        ),
    ],
)
def test_params_are_taken_by_name_or_in_order_with_their_defaults(
    method: str, given: dict[str, object] | list[object], expected: dict[str, object]
) -> None:
    assert arguments(method, METHODS[method].params, given) == expected


@pytest.mark.parametrize(
    "method, given",
    [
        ("status", {"x": 1}),
        ("status", [1]),
        ("tx", {}),
        ("tx", {"txid": 5}),
        ("tx", {"txid": HASH, "corrections": 1}),
        ("tx", {"txid": HASH[:-1]}),
        ("tx", {"txid": HASH + "00"}),
        ("tx", {"txid": "zz" * 32}),
        ("tx", {"txid": " " + HASH[1:]}),
        ("blocks", {"limit": 0}),
        ("blocks", {"limit": 101}),
        ("blocks", {"limit": True}),
        ("blocks", {"limit": "5"}),
        ("blocks", {"limit": 2.0}),
        ("blocks", {"before": -1}),
        ("blocks", {"befor": 1}),
        ("block", {"name": -1}),
        ("block", {"name": 2**32}),
        ("block", {"name": "7"}),
        ("block", {"name": True}),
        ("pending", {"limit": 1001}),
        ("pending", {"offset": -1}),
        ("mine", {"count": 0}),
        ("mine", {"count": 100_001}),
        ("peer", {"action": "hug", "target": "x"}),
        ("peer", {"action": "add"}),
        ("peer", {"action": "add", "target": ""}),
        ("peer", {"action": "add", "target": "x" * 301}),
        ("history", {"after": {}}),
        ("history", {"after": 5}),
        ("history", {"after": AFTER | {"balance": -1}}),
        ("history", {"after": AFTER | {"block": "00"}}),
        ("balance", {"address": 5}),
    ],
)
def test_other_params_are_refused_by_name(method: str, given: dict[str, object] | list[object]) -> None:
    with pytest.raises(RpcError) as refused:
        arguments(method, METHODS[method].params, given)
    assert (refused.value.number, refused.value.code) == (-32602, "invalid-params")
    assert method in refused.value.message or "`" in refused.value.message
    assert refused.value.hint


def test_a_misspelt_param_or_method_is_told_the_nearest_name() -> None:
    with pytest.raises(RpcError, match="no parameter 'befor'") as refused:
        arguments("blocks", METHODS["blocks"].params, {"befor": 1})
    assert refused.value.hint == "did you mean before?"
    with pytest.raises(RpcError) as unknown:
        method_of("submitt")
    assert (unknown.value.number, unknown.value.hint) == (jsonrpc.UNKNOWN_METHOD, "did you mean submit?")


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"entry": "ab01"}, Submission(b"\xab\x01", replace=False)),
        (["ab01"], Submission(b"\xab\x01", replace=False)),
        ({"entry": "ab01", "replace": True}, Submission(b"\xab\x01", replace=True)),
        ({"entry": "ab01", "replace": False}, Submission(b"\xab\x01", replace=False)),
        (["ab01", True], Submission(b"\xab\x01", replace=True)),
    ],
)
def test_an_entry_is_submitted_in_hexadecimal(
    given: dict[str, object] | list[object], expected: Submission
) -> None:
    assert submission_of(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        {},
        [],
        {"ab": "x"},
        {"entry": ""},
        {"entry": 5},
        {"entry": "abc"},
        {"entry": "zz"},
        {"entry": "ab", "replace": 1},
        {"entry": "ab", "x": True},
        {"entry": "ab" * 513},
        ["ab", "cd"],
        ["ab", True, 1],
        ["²³"],
    ],
)
def test_what_is_no_submission_is_refused(given: dict[str, object] | list[object]) -> None:
    with pytest.raises(RpcError) as refused:
        submission_of(given)
    assert refused.value.code == "invalid-params"


# ------------------------------------------------------------------------------------------- document

DOCUMENT = (ROOT / "docs" / "socket.md").read_text(encoding="utf-8")
OWN = {
    "submit": {"entry", "replace"},
    "subscribe": {p.name for p in SUBSCRIBE_PARAMS},
    "unsubscribe": set(),
    "stop": set(),
}


def test_every_method_is_documented_and_no_other() -> None:
    headings = re.findall(r"^### ([a-z, ]+)$", DOCUMENT, re.MULTILINE)
    documented = [name for heading in headings for name in heading.split(", ")]
    assert sorted(documented) == sorted([*METHODS, *OWN])


PARAMS = OWN | {name: {param.name for param in method.params} for name, method in METHODS.items()}


def test_every_example_of_the_document_is_a_call_with_params_that_its_method_has() -> None:
    examples = [json.loads(text) for text in re.findall(r"^```json\n(.*?)\n```$", DOCUMENT, re.MULTILINE)]
    calls = [example for example in examples if "id" in example and "method" in example]
    assert {call["method"] for call in calls} == {*PARAMS} - {"unsubscribe"}
    for call in calls:
        assert set(call.get("params", {})) <= PARAMS[call["method"]]


def test_every_param_stands_in_the_document() -> None:
    sections = re.split(r"^### ", DOCUMENT, flags=re.MULTILINE)
    for name, params in PARAMS.items():
        own = next(part for part in sections if name in part.partition("\n")[0].split(", "))
        assert all(f"`{param}`" in own for param in params), name


class Nobody:
    """A node of which nothing is looked at."""


def test_what_the_core_is_asked_carries_the_number_of_the_request() -> None:
    found = []
    for method, given in (("mine", {"count": 3}), ("peer", {"action": "add", "target": "a:1"})):
        outcome = METHODS[method].run(Nobody(), given)  # type: ignore[arg-type]  # it is not looked at
        assert isinstance(outcome, Request)
        found.append(outcome.event(42))
    assert found == [MineBlocks(42, 3), PeerCommand(42, "add", "a:1")]
