"""How benchmarks report, and that each of them runs; what the figures are is nobody's test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import books, receipts
from benchmarks.__main__ import ALL, QUICK, Sizes, table
from benchmarks.goals import GOALS, Goal
from benchmarks.report import Result, Series, emit, machine, number, percentile
from node.ledger.block import decode_block
from node.ledger.entry import decode_entry
from node.pow import KERNELS
from node.proof_file import encode
from node.proofs import check
from node.storage.sqlite import BOOK_NAME, open_book
from tests.building import ChainBuilder

ROOT = Path(__file__).resolve().parent.parent
RESULT = Result(
    benchmark="relay hop",
    unit="ms",
    figure=Series("one hop", (30.0, 20.0, 1000.0)),
    limit=Series("bytes over loopback", (10.0, 8.0, 16.0)),
    details={"entries": 2000},
)


def test_the_middle_run_counts() -> None:
    assert RESULT.figure.median == 30.0
    assert RESULT.limit.median == 10.0
    assert RESULT.ratio == 3.0


def test_people_read_figure_and_limit_in_one_line() -> None:
    assert RESULT.line() == (
        "relay hop: 30 ms (one hop, median of 3), 3.00 of the limit 10 ms (bytes over loopback, same run)"
    )


def test_programs_read_one_line_of_json_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    emit(RESULT)
    readable, line = capsys.readouterr().out.splitlines()
    assert readable == RESULT.line()
    assert json.loads(line) == {
        "benchmark": "relay hop",
        "unit": "ms",
        "value": 30.0,
        "limit": 10.0,
        "ratio": 3.0,
        "goals": "<= 5 ms",
        "met": False,
        "measured": "one hop",
        "limit_measured": "bytes over loopback",
        "runs": [30.0, 20.0, 1000.0],
        "limit_runs": [10.0, 8.0, 16.0],
        "details": {"entries": 2000},
        "machine": machine(),
    }


@pytest.mark.parametrize(
    "value, shown",
    [(1881888.4, "1,881,888"), (1000, "1,000"), (999.4, "999"), (0.01234, "0.0123"), (0, "0")],
)
def test_numbers_are_shown_as_people_read_them(value: float, shown: str) -> None:
    assert number(value) == shown


def test_the_machine_is_described() -> None:
    described = machine()
    assert isinstance(described["cores"], int)
    assert described["cores"] >= 1
    assert all(described[key] for key in ("cpu", "system", "python"))


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", module, *arguments)
    return subprocess.run(command, capture_output=True, check=False, text=True, cwd=ROOT)


def told_by(module: str, *arguments: str) -> list[dict[str, Any]]:
    """Run a benchmark and return its lines of JSON, each behind the readable line of the same result."""
    ran = run(module, *arguments)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    told = [json.loads(line) for line in lines[1::2]]
    assert [line.partition(":")[0] for line in lines[::2]] == [one["benchmark"] for one in told]
    for one in told:
        assert one["value"] > 0
        assert one["limit"] > 0
        assert len(one["runs"]) == len(one["limit_runs"]) == 1
    return told


@pytest.mark.acceptance
def test_the_export_benchmark_tells_time_and_memory() -> None:
    told = told_by("benchmarks.export", "--entries", "60", "--accounts", "20", "--runs", "1")
    assert [(one["benchmark"], one["unit"]) for one in told] == [
        ("export time", "s"),
        ("export memory", "MB"),
    ]
    assert told[0]["details"] == {"entries": 60, "accounts": 20, "format": "csv"}


def test_the_mining_benchmark_tells_a_rate_beside_its_limit() -> None:
    told = told_by("benchmarks.mine", "--seconds", "0.2", "--runs", "1")
    portable = ["mine portable"] if "portable c" in KERNELS else []
    assert [each["benchmark"] for each in told] == ["mine", *portable, "mine hashlib"]
    assert told[0]["details"].keys() >= {f"{kernel} (H/s)" for kernel in KERNELS}


@pytest.mark.acceptance
def test_the_sync_benchmark_tells_a_rate_beside_its_limit(kept: Path) -> None:
    told, memory = told_by(
        "benchmarks.sync", "--entries", "500", "--accounts", "30", "--per-block", "100", "--runs", "1"
    )
    assert told["details"]["blocks"] == 5
    assert (memory["benchmark"], memory["unit"]) == ("sync memory", "MiB")
    assert kept.is_dir()


@pytest.mark.acceptance
@pytest.mark.usefixtures("kept")
def test_the_restart_benchmark_tells_seconds_beside_their_limit() -> None:
    told = told_by("benchmarks.restart", "--entries", "500", "--accounts", "30", "--runs", "1")
    assert [one["benchmark"] for one in told] == ["restart ready", "restart stop"]


@pytest.mark.acceptance
@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    "module, names",
    [
        ("sync", ["sync million", "sync million memory"]),
        ("restart", ["restart million"]),
    ],
)
def test_a_long_book_is_measured_beside_a_short_one(module: str, names: list[str]) -> None:
    sizes = ("--entries", "60", "--long", "600", "--accounts", "30")
    told = told_by(f"benchmarks.{module}", *sizes, "--runs", "1")
    assert [one["benchmark"] for one in told] == names


@pytest.mark.acceptance
@pytest.mark.usefixtures("kept")
def test_the_benchmark_of_questions_tells_of_both_kinds() -> None:
    sizes = ("--entries", "500", "--accounts", "30", "--asked", "10")
    told = told_by("benchmarks.queries", *sizes, "--runs", "1")
    assert [one["benchmark"] for one in told] == ["queries tx", "queries history"]
    assert all(0 < one["details"]["median_ms"] <= one["value"] for one in told)


@pytest.mark.acceptance
def test_the_store_benchmark_tells_of_its_cost_on_the_way_there(tmp_path: Path) -> None:
    points = tmp_path / "points.json"
    (told,) = told_by("benchmarks.store", "--entries", "40000", "--runs", "1", "--points", str(points))
    assert [entries for entries, _, _ in json.loads(points.read_text())] == [16_000, 32_000, 40_000]
    assert told["details"]["file_bytes_per_entry"] > 150


@pytest.mark.acceptance
@pytest.mark.usefixtures("kept")
def test_the_memory_benchmark_tells_of_an_idle_node() -> None:
    (told,) = told_by("benchmarks.memory", "--entries", "500", "--accounts", "30", "--runs", "1")
    assert told["limit"] < told["value"]


@pytest.mark.acceptance
@pytest.mark.usefixtures("kept")
def test_the_benchmark_of_waiting_asks_while_a_node_syncs() -> None:
    (told,) = told_by("benchmarks.lag", "--entries", "3000", "--accounts", "30", "--runs", "1")
    assert told["details"]["asked"] > 1


@pytest.mark.acceptance
def test_the_push_benchmark_hands_over_all_its_entries() -> None:
    (told,) = told_by("benchmarks.push", "--entries", "1500", "--runs", "1")
    assert told["benchmark"] == "push"


@pytest.mark.acceptance
def test_the_submit_benchmark_tells_a_rate_for_each_way() -> None:
    told = told_by("benchmarks.submit", "--entries", "300", "--runs", "1")
    assert [one["benchmark"] for one in told] == ["submit lock-step", "submit pipelined", "submit batches"]


@pytest.mark.acceptance
def test_the_relay_benchmark_tells_a_hop_and_the_line() -> None:
    told = told_by("benchmarks.relay", "--entries", "50", "--nodes", "3", "--runs", "1")
    assert [one["benchmark"] for one in told] == ["relay hop", "relay line"]


@pytest.mark.acceptance
def test_the_reorganisation_benchmark_tells_entries_unseen_and_seen() -> None:
    told = told_by("benchmarks.reorg", "--blocks", "2", "--per-block", "20", "--runs", "1")
    assert [one["benchmark"] for one in told] == ["reorg unseen", "reorg seen"]


@pytest.mark.acceptance
@pytest.mark.usefixtures("kept")
def test_the_benchmark_of_a_sync_with_visitors_tells_both_rates() -> None:
    (told,) = told_by("benchmarks.page_load", "--entries", "500", "--accounts", "30", "--runs", "1")
    assert told["benchmark"] == "page load"


@pytest.mark.acceptance
@pytest.mark.browser
@pytest.mark.usefixtures("kept")
def test_the_page_benchmark_tells_the_first_page_and_a_new_block() -> None:
    told = told_by("benchmarks.page", "--entries", "500", "--accounts", "30", "--runs", "1")
    assert [one["benchmark"] for one in told] == ["page first", "page block"]
    assert 0 < told[0]["details"]["bytes"] <= 60_000


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep books where the test's own files are, and say where that is."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path / f"indelible-benchmarks-{os.getuid()}"


def test_the_same_question_gives_the_same_book_again(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)  # or it keeps to the folder that it found first
    made = books.book_of(450, 30, 100)
    assert len(list(kept.iterdir())) == 1
    assert books.book_of(450, 30, 100) == made
    assert made.height == 5
    found = [decode_block(raw) for raw in made.blocks]
    assert [len(block.entries) for block in found] == [100, 100, 100, 100, 50]
    names = {name for block in found for raw in block.entries for name in decode_entry(raw)[1:3]}
    assert len(names) == 30


def test_a_book_is_laid_as_a_node_would_have_written_it(tmp_path: Path) -> None:
    parameters = books.young_network()
    builder = ChainBuilder(parameters)
    blocks = books.in_blocks(builder, books.rounds(builder, 30), 10)
    books.lay(parameters, blocks, tmp_path / "node")
    book = open_book(tmp_path / "node" / BOOK_NAME, parameters)
    try:
        assert book.store.tip().height == 3
        assert [book.store.body(block_id) for block_id in (1, 2, 3)] == blocks
    finally:
        book.close()


def test_entries_that_no_chain_would_take_are_no_fixture(tmp_path: Path) -> None:
    parameters = books.young_network()
    builder = ChainBuilder(parameters)
    (first, _) = books.rounds(builder, 2)
    blocks = books.in_blocks(builder, [first, first], 1)
    with pytest.raises(RuntimeError, match="the fixture breaks a rule"):
        books.lay(parameters, blocks, tmp_path / "node")


def test_another_miner_makes_other_blocks_of_the_same_entries() -> None:
    parameters = books.network()
    entries = books.rounds(ChainBuilder(parameters), 4)
    one, other = (books.in_blocks(ChainBuilder(parameters), entries, 2, miner) for miner in ("a", "b"))
    assert len(one) == len(other) == 2
    assert [decode_block(raw).entries for raw in one] == [decode_block(raw).entries for raw in other]
    assert not set(one) & set(other)


def test_the_table_has_a_row_for_each_figure() -> None:
    export = replace(RESULT, benchmark="export time")
    assert table([RESULT, export]).splitlines() == [
        "| figure      | measured | goal    | met | limit | ratio | the limit is        |",
        "| ----------- | -------- | ------- | --- | ----- | ----- | ------------------- |",
        "| relay hop   | 30 ms    | <= 5 ms | no  | 10 ms | 3.00  | bytes over loopback |",
        "| export time | 30 ms    | -       | -   | 10 ms | 3.00  | bytes over loopback |",
    ]


@pytest.mark.parametrize(
    "goal, met, missed, text",
    [
        (Goal(5, ""), (5, 9), (4.9, 1), ">= 5 ms"),
        (Goal(5, "", at_most=True), (5, 9), (5.1, 9), "<= 5 ms"),
        (Goal(0.8, "", is_ratio=True), (80, 100), (79, 100), ">= 0.80 of it"),
        (Goal(1.2, "", at_most=True, is_ratio=True), (12, 10), (12.1, 10), "<= 1.20 of it"),
    ],
)
def test_a_goal_is_a_bound_on_the_figure_or_on_its_ratio(
    goal: Goal, met: tuple[float, float], missed: tuple[float, float], text: str
) -> None:
    assert goal.is_met(*met)
    assert not goal.is_met(*missed)
    assert goal.text("ms") == text


def test_a_large_goal_is_written_out() -> None:
    assert Goal(12_000_000, "").text("H/s") == ">= 12,000,000 H/s"
    assert Goal(0.22, "", at_most=True).text("s") == "<= 0.22 s"


def test_a_figure_of_two_goals_must_reach_both() -> None:
    sync = replace(RESULT, benchmark="sync", unit="entries/s")
    fast = replace(sync, figure=Series("", (35_000,)), limit=Series("", (40_000,)))
    assert fast.goals == ">= 0.80 of it, >= 34,800 entries/s"
    assert fast.is_met
    assert not replace(fast, figure=Series("", (34_000,))).is_met
    assert not replace(fast, limit=Series("", (50_000,))).is_met


def test_each_goal_is_a_goal_of_a_benchmark_and_has_its_reason() -> None:
    commands = {name.partition("-")[0] for name in ALL}
    assert {name.partition(" ")[0] for name in GOALS} <= commands
    assert all(goal.why for goals in GOALS.values() for goal in goals)


def test_quick_is_smaller_in_everything() -> None:
    sizes = zip(QUICK[:-1], Sizes()[:-1], strict=True)
    assert all(quick < full for quick, full in sizes)
    assert QUICK.part > Sizes().part


@pytest.mark.parametrize("part, found", [(0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(part: float, found: int) -> None:
    assert percentile(range(100, 0, -1), part) == found


@pytest.mark.parametrize(
    "module, arguments, said",
    [
        ("benchmarks.mine", ("--runs", "0"), "--runs is 1 or more"),
        ("benchmarks.mine", ("--seconds", "nan"), "--runs is 1 or more"),
        ("benchmarks.mine", ("--seconds", "-1"), "--runs is 1 or more"),
        ("benchmarks.sync", ("--entries", "0"), "--entries: it is a whole number of 1 or more"),
        ("benchmarks.sync", ("--accounts", "19"), "--accounts: it is a whole number of 20 or more, not '19'"),
        ("benchmarks.restart", ("--runs", "-1"), "--runs: it is a whole number of 1 or more"),
        ("benchmarks.submit", ("--entries", "0"), "--entries: it is a whole number of 1 or more"),
        ("benchmarks.relay", ("--nodes", "1"), "--nodes: it is a whole number of 2 or more"),
        (
            "benchmarks.reorg",
            ("--per-block", "some"),
            "--per-block: it is a whole number of 1 or more, not 'some'",
        ),
        ("benchmarks.page", ("--runs", "0"), "--runs: it is a whole number of 1 or more"),
        ("benchmarks.page_load", ("--rate", "0"), "--rate: it is a whole number of 1 or more"),
        ("benchmarks.lag", ("--runs", "0"), "--runs: it is a whole number of 1 or more"),
        ("benchmarks.memory", ("--accounts", "19"), "--accounts: it is a whole number of 20 or more"),
        ("benchmarks.push", ("--entries", "0"), "--entries: it is a whole number of 1 or more"),
        ("benchmarks.queries", ("--asked", "0"), "--asked: it is a whole number of 1 or more"),
        ("benchmarks", ("--only", "walk"), "there is no benchmark walk"),
        ("benchmarks", ("--runs", "0"), "--runs is 1 or more"),
    ],
)
def test_a_benchmark_that_would_measure_nothing_is_refused(
    module: str, arguments: tuple[str, ...], said: str
) -> None:
    ran = run(module, *arguments)
    assert ran.returncode == 2
    assert said in ran.stderr


def test_a_receipt_whose_size_is_told_is_in_order_and_small() -> None:
    receipt, extension = receipts.proven_at(1_000)
    assert check(receipt).tip.height == check(extension).tip.height == 1_000
    assert max(len(encode(receipt)), len(encode(extension))) < 5_000
