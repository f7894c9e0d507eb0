"""`python -m tests.simulation --seed N`: run one world, or many, and say what came of it."""

from __future__ import annotations

import sys

from tests.simulation.running import main

sys.exit(main(sys.argv[1:]))
