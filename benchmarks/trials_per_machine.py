"""P6: two training runs of one thread each against one of two threads; images per second of all, target at least 1×.

    python benchmarks/trials_per_machine.py [--rounds 5] [--steps 6] [--px 64] [--images 2048]

Both sides train the same networks of the blocks CB, MB and RB, each run in a process of its own that stays for all
rounds; sides take turns. Each chooses its modes for its own number of threads. A round ends with its slower run.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from made_store import make_store
from our_loop import Together
from rounds import arguments, geometric_mean, ratio, show, start, take_turns

TARGET = 1.0


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--steps", type=int, default=6, help="steps per round of each run")
    parser.add_argument("--px", type=int, default=64, help="side of the images")
    parser.add_argument("--images", type=int, default=2048, help="images of the store")
    options = parser.parse_args()
    start(options.threads)
    gains = []
    with tempfile.TemporaryDirectory() as place:
        store = make_store(Path(place), n=options.images, px=options.px).path
        for kind in ("cb", "mb", "rb"):
            sides = {
                "two of one thread": Together(2, store, kind, steps=options.steps, device="cpu", threads=1),
                "one of two threads": Together(1, store, kind, steps=2 * options.steps, device="cpu", threads=2),
            }
            rates = take_turns({name: side.round for name, side in sides.items()}, rounds=options.rounds)
            for side in sides.values():
                side.close()
            show(f"{kind.upper()}, {options.px} px", rates, unit="images/s")
            gains.append(ratio(*rates.values()))
    listed = " / ".join(f"{gain:.2f}" for gain in gains)
    print(f"P6: {listed}, geometric mean {geometric_mean(gains):.2f} (target {TARGET})")


if __name__ == "__main__":
    main()
