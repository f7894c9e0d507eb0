"""QR codes of links: as SVG or PNG bytes, or as text for a terminal.

Touches nothing; segno does the encoding (ISO/IEC 18004). Drawn dark on light with the whole quiet zone in
every form, for scanners are not made to read the reverse.
"""

from __future__ import annotations

from io import BytesIO
from itertools import zip_longest
from typing import Final

import segno

_QUIET: Final = 4
"""Modules of margin that the standard asks for."""
_PIXELS: Final = 8
"""Of a module in a PNG."""
_DARK_ON_LIGHT: Final = "\x1b[38;5;16;48;5;231m"
"""Black on white by number, whatever the terminal's own colours are."""
_PLAIN: Final = "\x1b[0m"
_HALVES: Final = {(0, 0): " ", (0, 1): "▄", (1, 0): "▀", (1, 1): "█"}
_REVERSED: Final = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}


def svg(text: str) -> bytes:
    """Return the code as a whole SVG file that scales with its place and holds no script or style."""
    written = BytesIO()
    _code(text).save(
        written, kind="svg", border=_QUIET, scale=1, dark="#000", light="#fff", omitsize=True, nl=False
    )
    return written.getvalue()


def png(text: str) -> bytes:
    """Return the code as a PNG file."""
    written = BytesIO()
    _code(text).save(written, kind="png", border=_QUIET, scale=_PIXELS)
    return written.getvalue()


def terminal(text: str, *, coloured: bool) -> list[str]:
    """Return lines of half blocks, two rows of the code each, all of one width.

    Not coloured, they are dark on light where the terminal writes light on dark, as most do.
    """
    rows = [tuple(row) for row in _code(text).matrix_iter(border=_QUIET)]
    halves = _HALVES if coloured else _REVERSED
    blank = (0,) * len(rows[0])
    lines = [
        "".join(halves[upper, lower] for upper, lower in zip(upper_row, lower_row, strict=True))
        for upper_row, lower_row in zip_longest(rows[::2], rows[1::2], fillvalue=blank)
    ]
    return [f"{_DARK_ON_LIGHT}{line}{_PLAIN}" for line in lines] if coloured else lines


def _code(text: str) -> segno.QRCode:
    """Return the code; error correction M, or better where it costs no size."""
    return segno.make_qr(text, error="m", boost_error=True)
