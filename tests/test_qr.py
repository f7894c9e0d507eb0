"""QR codes: the same modules in every form, dark on light, with their quiet zone."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET
import zlib

import pytest
import segno

from node import qr

TEXT = "indelible:bean1" + "q" * 58 + "?amount=12.50&memo=two%20coffees&network=0011223344556677"
QUIET = 4


def modules(text: str = TEXT) -> list[list[int]]:
    """The code with its margin, 1 for dark."""
    return [list(row) for row in segno.make_qr(text, error="m").matrix_iter(border=QUIET)]


def drawn(lines: list[str], dark: str) -> list[list[int]]:
    """What half blocks show; `dark` is the half that stands for a dark module."""
    rows = []
    for line in lines:
        for half in (0, 1):
            ink = [{" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}[char][half] for char in line]
            rows.append([bit if dark == "ink" else 1 - bit for bit in ink])
    return rows


def test_plain_text_is_dark_on_light_where_ink_is_light() -> None:
    rows = drawn(qr.terminal(TEXT, coloured=False), "paper")
    wanted = modules()
    assert rows[: len(wanted)] == wanted
    assert all(not any(row) for row in rows[len(wanted) :])


def test_coloured_text_names_black_and_white_on_every_line() -> None:
    lines = qr.terminal(TEXT, coloured=True)
    assert all(line.startswith("\x1b[38;5;16;48;5;231m") and line.endswith("\x1b[0m") for line in lines)
    rows = drawn([re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines], "ink")
    assert rows[: len(modules())] == modules()


def test_an_svg_is_whole_scales_and_holds_nothing_that_runs() -> None:
    image = qr.svg(TEXT)
    root = ET.fromstring(image)  # noqa: S314 - our own bytes
    assert root.tag.endswith("svg")
    assert root.get("viewBox") == f"0 0 {len(modules())} {len(modules())}"
    assert "width" not in root.keys()  # noqa: SIM118 - an element is no mapping
    assert b"style" not in image
    assert b"script" not in image


def test_a_png_has_eight_pixels_a_module() -> None:
    image = qr.png(TEXT)
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", image[16:24]) == (8 * len(modules()),) * 2
    assert zlib.crc32(image[12:29]) == int.from_bytes(image[29:33], "big")


@pytest.mark.parametrize("length", [1, 1_200])
def test_any_link_fits(length: int) -> None:
    assert qr.svg("a" * length)
