"""Seeds that failed once: what each showed. A run of the tests plays all of them again.

A seed is a world only as long as worlds are drawn alike: all of these were drawn before knobs were added
(newer programs, small pools, clocks set right and wrong), and play other worlds now. What they showed stands
in the tests of what was mended, `test_sync.py` and `test_network.py`.
"""

from __future__ import annotations

from typing import Final

from tests.simulation.running import Wish

FAILED: Final[tuple[tuple[Wish, str], ...]] = (
    (
        Wish(12, until_s=240),
        "a slow peer that was asked for a block three times was charged for the third answer",
    ),
    (Wish(24, until_s=240), "the same, over a direction that stood still"),
    (Wish(47, until_s=240), "bytes overtook others when a cut was mended (the simulator's own network)"),
    (
        Wish(50, until_s=240),
        "writes of a life before were committed in the next one (the simulator's own machine)",
    ),
    (Wish(370), "blocks came faster than they travelled, and no moment found all on one tip (the judgement)"),
    (Wish(167), "the same, with two branches at the top"),
    (
        Wish(262),
        "on demand, nothing is mined for entries that no right clock could put into a block (the judgement)",
    ),
    (
        Wish(45),
        "a payment typed at a node of a wrong clock left a gap that nobody else could fill (the judgement)",
    ),
    (
        Wish(135),
        "more was typed than the wallet held, and what fits depends on who heard what (the judgement)",
    ),
    (
        Wish(327),
        "on demand, two sides of equal work meet at nodes that do not mine: it stays until the next payment",
    ),
    (Wish(75), "what came back of undone blocks filled a small pool after a restart (the judgement)"),
    (Wish(99), "what was typed just after a start took the place of what was promised before it"),
    (
        Wish(1060),
        "after a restart a rival that was evicted before came back in the place of what was typed",
    ),
    (Wish(1163), "most clocks were wrong, so that those that were right did not mine (the judgement)"),
    (
        Wish(1417),
        "what came back of undone blocks filled a small pool for a while (the judgement)",
    ),
    (Wish(1781), "what took an entry's place was pushed out in the same step (the judgement)"),
    (Wish(1859), "what had outbid an entry typed there expired before it was mined (the judgement)"),
    (Wish(2329), "the same, outbid at a node whose clock was wrong (the judgement)"),
    (Wish(2902), "the same again"),
    (Wish(4), "compact blocks were fetched beside the 16 blocks that a peer may be asked for at once"),
    (Wish(27), "who asked in vain for an entry that was in a block by then was not told when it came back"),
    (Wish(298), "an own entry that its only peer had to let go was never offered again"),
    (Wish(188), "after a restart what was evicted since it was saved filled a small pool (the judgement)"),
    (Wish(198), "the tip moved elsewhere while a compact block waited for the disk (the judgement)"),
    (Wish(426), "a block from the future waited behind one that was condemned meanwhile (the judgement)"),
    (Wish(385), "a peer that was asked for a whole block, and sent its parts before, was charged for it"),
    (
        Wish(3804),
        "the only miner's pool, of four entries, was full of what had been typed there (the judgement)",
    ),
    (
        Wish(27, profile="tight"),
        "the pool follows the tip in the step after it moved (the judgement)",
    ),
)
