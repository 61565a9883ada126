"""Whether two finished searches, such as one that was killed and one that was not, tried and found the same.

    python experiments/same_search.py RUN_A RUN_B

Prints how many slots hold the same architecture and ratios, and how many of these the same reward bit for bit.
Exit code 1 if any slot differs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mindgap.core.files import read_json


def slots(run: str) -> dict[int, dict[str, Any]]:
    return {trial["slot"]: trial for trial in read_json(Path(run) / "search.json")["trials"]}


def main() -> int:
    first, second = (slots(run) for run in sys.argv[1:3])
    both = sorted(first.keys() & second.keys())
    proposed = [n for n in both if all(first[n][key] == second[n][key] for key in ("architecture", "ratios"))]
    judged = [n for n in proposed if first[n]["reward"] == second[n]["reward"]]
    again = [sum(trial["attempts"] > 1 for trial in run.values()) for run in (first, second)]
    print(f"slots: {len(first)} and {len(second)}; resumed after a kill: {again[0]} and {again[1]}")
    print(f"same architecture and ratios: {len(proposed)}; of these the same reward: {len(judged)}")
    return 0 if len(judged) == len(first) == len(second) else 1


if __name__ == "__main__":
    sys.exit(main())
