"""The vectors that others publish, read from the folder that OFFICIAL_VECTORS names; none are kept here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from node.ledger.difficulty import next_bits
from node.ledger.signature import verify, verify_many

pytestmark = pytest.mark.official


@pytest.fixture
def folder() -> Path:
    return Path(os.environ["OFFICIAL_VECTORS"])


def test_the_difficulty_rule_gives_every_published_row(folder: Path) -> None:
    rows = 0
    for path in sorted((folder / "aserti3-2d").glob("run*")):
        head: dict[str, str] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("##"):
                key, _, value = line.removeprefix("##").partition(":")
                head[key.strip()] = value.strip()
            elif line and not line.startswith("#"):
                _, height, time, bits = line.split()
                found = next_bits(
                    int(head["anchor nBits"], 16),
                    interval=600,
                    half_life=2 * 24 * 60 * 60,
                    time_delta=int(time) - int(head["anchor ancestor time"]),
                    height_delta=int(height) - int(head["anchor height"]),
                    easiest_bits=0x1D00FFFF,
                )
                assert found == int(bits, 16), f"{path.name}: {line}: {found:#010x}"
                rows += 1
    assert rows == 3_000


def test_every_published_signature_gets_its_expected_verdict(folder: Path) -> None:
    files = sorted((folder / "ed25519").glob("*.json"))
    assert files
    for path in files:
        cases = json.loads(path.read_text(encoding="utf-8"))
        assert cases, path.name
        for case in cases:
            key = bytes.fromhex(case.get("public_key") or case["pub_key"])
            message, signature = bytes.fromhex(case["message"]), bytes.fromhex(case["signature"])
            valid = {"accept": True, "reject": False}[case["expected"]]
            assert verify(key, message, signature) is valid, case
            assert verify_many([(key, message, signature)]) == [valid], case
