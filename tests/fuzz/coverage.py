"""Coverage-guided search for an input that breaks a target: `python -m tests.fuzz.coverage TARGET`.

Needs atheris, which the extra `fuzz` brings. Writes the seeds and what it learns to a folder, and an input
that breaks the target beside it; further arguments are libFuzzer's (https://llvm.org/docs/LibFuzzer.html).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

EXIT_USAGE: Final = 2
INSTALL: Final = "atheris is not installed; with it: pip install -e '.[fuzz]'"


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for; a search ends the process by itself."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.coverage",
        description="Search for an input that breaks a target, guided by what code each input reaches.",
        epilog="Further arguments go to libFuzzer: -max_total_time=300, -runs=100000, or files to try again.",
    )
    parser.add_argument("target", nargs="?", help="what to search in; --list shows them")
    parser.add_argument("--list", action="store_true", help="list the targets, and what holds for each")
    parser.add_argument(
        "--folder", type=Path, help="keeps the corpus and what is found (default: a temporary one)"
    )
    asked, rest = parser.parse_known_args(arguments)
    if asked.list:
        print("\n".join(listing()))
        return 0
    if asked.target is None:
        parser.error("name a target; --list shows them")
    if importlib.util.find_spec("atheris") is None:
        print(INSTALL, file=sys.stderr)
        return EXIT_USAGE
    return _search(asked.target, asked.folder or Path(tempfile.mkdtemp(prefix="fuzz-")), rest)


def listing() -> list[str]:
    """Return a line for each target: its name, and the first sentence of its invariant."""
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - a search imports it under atheris

    return [f"{name:<18} {target.invariant}" for name, target in TARGETS.items()]


def write_seeds(inputs: Iterable[bytes], folder: Path) -> int:
    """Write each input to a file named by its hash; return how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {hashlib.sha256(data).hexdigest()[:20]: data for data in inputs}
    for name, data in named.items():
        (folder / name).write_bytes(data)
    return len(named)


def _search(name: str, folder: Path, rest: Sequence[str]) -> int:
    import atheris  # noqa: PLC0415 - an extra; the rest works without

    with atheris.instrument_imports(include=["node"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - what it imports is instrumented now
    if name not in TARGETS:
        print(f"there is no target {name!a}; --list shows them", file=sys.stderr)
        return EXIT_USAGE
    target = TARGETS[name]
    flags = [f"-max_len={target.longest}", f"-artifact_prefix={folder}/found-", "-print_final_stats=1"]
    inputs = [] if any(not one.startswith("-") for one in rest) else [str(folder / "corpus")]
    count = write_seeds(target.seeds(), folder / "corpus")
    print(f"{name}: {count} seeds in {folder}/corpus; what breaks it goes to {folder}/found-*", flush=True)
    atheris.Setup([name, *flags, *rest, *inputs], target.check)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
