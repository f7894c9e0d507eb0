"""The browser's check of receipts is the node's: the same golden files hold, the same parts are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page

from node.ledger import codec, merkle
from tests.vectors.read import read, unhex

pytestmark = pytest.mark.acceptance

IMPORT = """
  const {toHex, fromHex} = await import("/static/js/bytes.js");
  const {decodeReceipt} = await import("/static/js/receipt-file.js");
  const {checkReceipt} = await import("/static/js/receipt.js");
  const {decodeParameters, networkIdOf, rewardAt} = await import("/static/js/parameters.js");
  const {bitsToTarget, targetToBits} = await import("/static/js/difficulty.js");
  const {isConsistent} = await import("/static/js/hashing.js");
  const opened = (text) => decodeReceipt(new TextEncoder().encode(text));
  const part = (act) => {
    try { act(); return null; } catch (error) {
      if (error.part === undefined) { throw error; }
      return error.part;
    }
  };
"""


def run(page: Page, body: str, argument: object) -> Any:  # noqa: ANN401 - JSON
    """Run the body of a function of `given` with the modules of receipts at hand."""
    return page.evaluate(f"async (given) => {{ {IMPORT} {body} }}", argument)


def forged() -> list[dict[str, Any]]:
    """Return the golden forgeries as files."""
    vectors = read("receipts.json")
    return [{**row, "file": with_value(vectors["bases"][row["base"]], row)} for row in vectors["forged"]]


def with_value(base: str, row: dict[str, Any]) -> str:
    """Return a file with another value at a dotted place, in the one form."""
    fields = json.loads(base)
    *outer, last = row["at"].split(".")
    group = fields
    for name in outer:
        group = group[name]
    group[last] = row["value"]
    return json.dumps(fields, separators=(",", ":")) + "\n"


def test_a_good_file_proves_what_it_says(scripts: Page) -> None:
    good = read("receipts.json")["good"]
    found = run(
        scripts,
        """
        return given.map(({file, anchors, no_anchors}) => {
          const proven = opened(file);
          const {networkId, entry, block, tip, work, anchor} = checkReceipt(proven, null);
          const trusting = (trust) => checkReceipt(proven, fromHex(trust));
          const anchored = Object.keys(anchors).map((trust) => [trust, trusting(trust).anchor]);
          const strangers = no_anchors.map((trust) => part(() => trusting(trust)));
          return {
            network_id: toHex(networkId), work: `0x${work.toString(16)}`, anchor,
            height: block.height, block: toHex(block.hash), tip_height: tip.height, tip: toHex(tip.hash),
            txid: entry === null ? null : toHex(entry.txid), position: entry === null ? null : entry.position,
            anchors: Object.fromEntries(anchored), strangers,
          };
        });
        """,
        good,
    )
    for expected, shown in zip(good, found, strict=True):
        strangers = shown.pop("strangers")
        assert strangers == ["trust"] * len(expected["no_anchors"])
        assert shown.pop("anchor") is None
        assert shown == {name: expected[name] for name in shown}


def test_bad_and_forged_files_are_refused_with_the_same_part_named(scripts: Page) -> None:
    cases = [*read("receipts.json")["bad"], *forged()]
    parts = run(
        scripts,
        "return given.map((file) => part(() => checkReceipt(opened(file), null)));",
        [case["file"] for case in cases],
    )
    wrong = [
        (case["why"], case["part"], found)
        for case, found in zip(cases, parts, strict=True)
        if found != case["part"]
    ]
    assert wrong == []


def test_golden_parameters_are_read_and_give_their_networks_id(scripts: Page) -> None:
    networks = read("params.json")["networks"]
    ids = run(
        scripts,
        """
        return given.map((raw) => {
          const parameters = decodeParameters(fromHex(raw));
          return parameters === null ? null : toHex(networkIdOf(fromHex(raw), parameters));
        });
        """,
        [network["parameter_bytes"] for network in networks],
    )
    assert ids == [network["network_id"] for network in networks]


def test_parameters_out_of_bounds_are_none(scripts: Page) -> None:
    vectors = read("params.json")
    built_in = vectors["networks"][0]["parameters"]
    rows = [row for row in vectors["bounds"] if is_encodable(row["change"])]
    found = run(
        scripts,
        "return given.map((raw) => decodeParameters(fromHex(raw)) === null);",
        [encoded({**built_in, **row["change"]}).hex() for row in rows],
    )
    assert found == [row["names"] is not None for row in rows]
    assert len(rows) > 60


def is_encodable(change: dict[str, Any]) -> bool:
    """Tell whether the values have an encoding at all."""
    return all(not isinstance(value, bool | float) and value is not None for value in change.values())


def encoded(parameters: dict[str, Any]) -> bytes:
    """Return the bytes of parameters, right or wrong; keys of accounts are written in hexadecimal."""
    values = [1, *parameters.values()]
    place = 1 + list(parameters).index("allocations")
    values[place] = [(bytes.fromhex(key), amount) for key, amount in values[place]]
    return codec.encode(values)


def test_compact_bits_mean_the_same_targets(scripts: Page) -> None:
    vectors = read("compact_bits.json")
    found = run(
        scripts,
        """
        const hex = (number) => number === null ? null : `0x${number.toString(16)}`;
        return {
          decode: given.decode.map(({bits}) => hex(bitsToTarget(Number(bits)))),
          encode: given.encode.map(({target}) => targetToBits(BigInt(target))),
        };
        """,
        vectors,
    )
    assert found["decode"] == [row["target"] for row in vectors["decode"]]
    assert found["encode"] == [int(row["bits"], 16) for row in vectors["encode"]]


def test_golden_consistency_proofs_hold_and_bad_ones_do_not(scripts: Page) -> None:
    vectors = read("merkle.json")
    leaves = unhex(*vectors["leaf_hashes"])

    def root(size: int) -> str:
        return merkle.tree_root(leaves[:size]).hex()

    good = [
        {**row, "old_root": root(row["old_size"]), "new_root": root(row["new_size"])}
        for row in vectors["consistency"]
        if row["old_size"]
    ]
    judge = """
        return given.map(({old_size, new_size, old_root, new_root, proof}) => isConsistent(
          old_size, new_size, fromHex(old_root), fromHex(new_root), proof.map(fromHex)));
    """
    assert run(scripts, judge, good) == [True] * len(good)
    assert True not in run(scripts, judge, vectors["bad_consistency"])
