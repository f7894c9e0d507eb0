"""The golden vectors on disk are what their generators make."""

from __future__ import annotations

import pytest

from tests.vectors.generate.__main__ import FILES, PROJECT, render


@pytest.mark.parametrize("path", FILES)
def test_the_file_on_disk_is_what_the_generator_makes(path: str) -> None:
    made = render(FILES[path]())
    found = (PROJECT / path).read_text(encoding="utf-8")
    assert found == made, f"{path} is not what its generator makes: run python -m tests.vectors.generate"
