"""Settings files: each value has its line, each mistake its place and what to write instead."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.endpoint import parse_host
from node.settings import ConfigError, Table, no_file, read_file

TEXT = '''# a comment
title = "x"

[node]  # another
port = 9000
"quoted" = """
[[peers]]
port = 1
"""
deep.er = 3
list = [
  1,
  # in between
  2,
]
inline = { a = 1, b = { c = 2 } }

[[peers]]
name = "one"

  [[peers]]
  name = "two"
  [peers.extra]
  more = true

[[peers]]
[a.b.c]
d = 1
'''


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def table(text: str, tmp_path: Path) -> Table:
    path = tmp_path / "x.toml"
    path.write_bytes(text.encode())
    return read_file(path, "x.toml")


def test_each_key_has_the_line_on_which_it_starts(tmp_path: Path) -> None:
    lines = table(TEXT, tmp_path).lines
    assert lines == {
        ("title",): 2,
        ("node",): 4,
        ("node", "port"): 5,
        ("node", "quoted"): 6,
        ("node", "deep"): 10,
        ("node", "deep", "er"): 10,
        ("node", "list"): 11,
        ("node", "inline"): 16,
        ("node", "inline", "a"): 16,
        ("node", "inline", "b"): 16,
        ("node", "inline", "b", "c"): 16,
        ("peers", 0): 18,
        ("peers", 0, "name"): 19,
        ("peers", 1): 21,
        ("peers", 1, "name"): 22,
        ("peers", 1, "extra"): 23,
        ("peers", 1, "extra", "more"): 24,
        ("peers", 2): 26,
        ("a", "b", "c"): 27,
        ("a", "b", "c", "d"): 28,
    }


def test_lines_are_the_same_with_the_line_ends_of_windows_and_a_mark(tmp_path: Path) -> None:
    other = "\ufeff" + TEXT.replace("\n", "\r\n")
    assert table(other, tmp_path).lines == table(TEXT, tmp_path).lines


def test_tables_in_one_line_have_that_line(tmp_path: Path) -> None:
    top = table('x = 1\npeers = [{ name = "a" },\n { name = "b" }]\n', tmp_path)
    assert [entry.origin("name") for entry in top.tables("peers")] == ["x.toml:2", "x.toml:2"]


def test_what_is_not_there_is_none_and_an_empty_table() -> None:
    top = no_file()
    top.refuse_unknown(())
    node = top.table("node")
    assert (node.integer("x", 0, 1), node.boolean("x"), node.text("x"), node.key32("x")) == (None,) * 4
    assert (node.choice("x", Colour), node.read("x", parse_host)) == (None, None)
    assert top.tables("peers") == ()


def test_values_are_read_by_their_type(tmp_path: Path) -> None:
    key = "ab" * 32
    top = table(f'n = 3\nb = true\nt = "x"\nc = "red"\nh = "::1"\nk = "{key}"', tmp_path)
    assert top.integer("n", 3, 3) == 3
    assert top.boolean("b") is True
    assert top.text("t") == "x"
    assert top.choice("c", Colour) is Colour.RED
    assert top.read("h", parse_host) == "::1"
    assert top.key32("k") == bytes.fromhex(key)
    assert top.origin("n") == "x.toml:1"
    assert top.origin("k") == "x.toml:6"


@pytest.mark.parametrize(
    "value", ["4", "-1", '"3"', "true", "3.0", "[3]", "2026-01-01", "9" * 5000, "0x" + "f" * 5000]
)
def test_what_is_no_number_in_range_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"x\.toml") as raised:
        table(f"\nn = {value}", tmp_path).integer("n", 1, 3)
    assert len(str(raised.value)) < 250


def test_each_mistake_names_its_place_and_what_to_write(tmp_path: Path) -> None:
    top = table('n = "3"\nb = 1\nt = 1\nc = "green"\nh = "a b"\nk = "ab"\nlist = 1\n[[many]]', tmp_path)

    def told(act: object) -> str:
        assert callable(act)
        with pytest.raises(ConfigError) as raised:
            act()
        return str(raised.value)

    assert told(lambda: top.integer("n", 1, 3)) == (
        "x.toml:1: n = '3' cannot be used: write a whole number from 1 to 3 without quotes"
    )
    assert told(lambda: top.boolean("b")).startswith("x.toml:2: b = '1' cannot be used: write true or false")
    assert told(lambda: top.text("t")) == "x.toml:3: t = '1' cannot be used: write it in quotes"
    assert told(lambda: top.choice("c", Colour)).endswith('write one of "red", "blue"')
    assert told(lambda: top.read("h", parse_host)).startswith("x.toml:5: h: 'a b' is no host: write")
    assert told(lambda: top.key32("k")).startswith("x.toml:6: k = 'ab' cannot be used: write its 64")
    assert told(lambda: top.table("list")).startswith("x.toml:7: list is a table: write [list]")
    assert told(lambda: top.tables("list")).startswith("x.toml:7: list is a list of tables: write [[list]]")
    assert told(lambda: top.table("many")).startswith("x.toml: many is a table")


def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    top = table('[node]\nprot = 1\n\n[[peers]]\nadress = "x"\n[whatever]', tmp_path)
    with pytest.raises(ConfigError, match=r"^x\.toml:2: .* 'prot' in \[node\]: did you mean \"port\"\?"):
        top.table("node").refuse_unknown(("host", "port"))
    with pytest.raises(ConfigError, match=r"^x\.toml:5: .* 'adress' in \[\[peers\]\]: .*\"address\""):
        top.tables("peers")[0].refuse_unknown(("name", "address"))
    with pytest.raises(ConfigError, match=r"^x\.toml:6: there is no 'whatever': it may be node, peers$"):
        top.refuse_unknown(("node", "peers"))


@pytest.mark.parametrize(
    "text, message",
    [
        ("a = 1\nb = x\n", r"^x\.toml:2: Invalid value"),
        ("a = 1\nb = [1,\n", r"^x\.toml:2: "),
        ("a = 1\na = 2\n", r"^x\.toml:2: "),
        ("[a]\n[a]\n", r"^x\.toml:2: "),
        ("port 9000", r"^x\.toml:1: "),
        ("a = " + "[" * 20_000, r"^x\.toml: it is nested too deeply"),
        ("a = " + "9" * 5_000, r"^x\.toml: "),
        ("a = [\n" + "1,\n" * 300 + "]", r"^x\.toml:1: A value over more than 200 lines"),
        ("# " + "x" * 300_000, "longer than 262144 bytes"),
    ],
)
def test_what_is_no_toml_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        table(text, tmp_path)
    assert raised.value.hint


def test_what_is_no_text_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_file(tmp_path / "x.toml", "x.toml")
    with pytest.raises(ConfigError, match="no regular file"):
        read_file(tmp_path, "x.toml")
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "absent", "absent")


@given(text=st.text(max_size=60) | st.text(alphabet='[]{}="ab.\n#', max_size=60))
def test_any_text_gives_a_table_or_the_named_error(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        top = read_file(path, "any.toml")
    except ConfigError:
        return
    assert all((key,) in top.lines or any(place[0] == key for place in top.lines) for key in top.values)
