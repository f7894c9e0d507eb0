"""The files around the program agree: lock files, their sources, the README's commands."""

from __future__ import annotations

import re
import subprocess
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.sources import ROOT

LOCKS = ("requirements.lock", "requirements-test.lock")


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def project() -> dict[str, Any]:
    table: dict[str, Any] = pyproject()["project"]
    return table


def extra(*names: str) -> list[str]:
    return [requirement for name in names for requirement in project()["optional-dependencies"][name]]


def locked(name: str) -> dict[str, Version]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return {
        found[1]: Version(found[2]) for found in re.finditer(r"^([a-z0-9-]+)==([^\s;]+)", text, re.MULTILINE)
    }


@pytest.mark.parametrize(
    "lock, requirements",
    [
        ("requirements.lock", project()["dependencies"] + extra("build")),
        ("requirements-test.lock", project()["dependencies"] + extra("build", "test")),
    ],
)
def test_each_dependency_is_locked_at_a_version_that_the_project_allows(
    lock: str, requirements: list[str]
) -> None:
    versions = locked(lock)
    for requirement in map(Requirement, requirements):
        assert versions[requirement.name.lower()] in requirement.specifier


def test_tests_run_on_the_versions_that_people_get() -> None:
    runtime, test = map(locked, LOCKS)
    assert runtime.items() <= test.items()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_holds_hashes_and_names_no_host_and_no_folder(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert text.count("==") <= text.count("--hash=sha256:")
    assert re.findall(r"\w+://|--(?:extra-)?index|--find-links|(?<![\w.])/\w+", text) == []


@pytest.mark.parametrize("end", ["-m node --port 9000", "-m pytest"])
def test_the_readme_has_one_line_to_run_and_one_to_test(end: str) -> None:
    start = "git clone <this repository> indelible && cd indelible && "
    build = " && .venv/bin/pip install -q --no-deps --no-build-isolation -e . && "
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(start) and line.endswith(end)]
    assert build in line


def test_what_builds_the_extension_is_locked_too() -> None:
    # The README's commands build without isolation, so that nothing comes that no lock file names.
    assert extra("build") == pyproject()["build-system"]["requires"]


def test_every_source_of_the_extension_goes_into_the_source_package() -> None:
    (extension,) = pyproject()["tool"]["setuptools"]["ext-modules"]
    named = extension["sources"] + extension["depends"]
    assert sorted(named) == sorted(f"native/{path.name}" for path in (ROOT / "native").iterdir())
    assert extension["optional"]


def test_nothing_compiled_is_kept() -> None:
    kept = subprocess.run(
        ["git", "ls-files", "*.so", "*.o", "*.pyd", "*.dylib"], cwd=ROOT, check=True, capture_output=True
    )
    assert kept.stdout == b""


@pytest.mark.parametrize("data", ["node/py.typed", "node/ledger/data/ed25519_cases.json"])
def test_what_the_package_promises_to_hold_is_there(data: str) -> None:
    assert (ROOT / data).is_file()
