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
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.fuzz.reshaping import Reshape  # imports node, which a search must import under atheris

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

    def mutate(data: bytes, most: int) -> bytes:
        changed: bytes = atheris.Mutate(data, most)  # what bears this name before Fuzz only asks for Fuzz
        return changed

    more = {} if target.reshape is None else {"custom_mutator": mutator(target.reshape, mutate)}
    atheris.Setup([name, *flags, *rest, *inputs], target.check, **more)
    atheris.Fuzz()
    return 0


def mutator(reshape: Reshape, mutate: Callable[[bytes, int], bytes]) -> Callable[[bytes, int, int], bytes]:
    """Return what libFuzzer calls for each new input, with the most bytes it may have and a seed.

    Half of the time the bytes are changed by `mutate`, without a thought; else by `reshape`.
    """

    def changed(data: bytes, most: int, seed: int) -> bytes:
        dice = Random(seed)
        if dice.randrange(2):
            return mutate(data, most)
        return reshape(data, dice, lambda part: mutate(part, len(part) + 16))[:most]

    return changed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
