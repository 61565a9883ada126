"""Trains random candidates of the default space to the end, and judges them on the way as a search's rungs would.

Every candidate (batch ratios and architecture, drawn from a seed) is trained with each seed on a plateau of the
learning rate; at every stage a copy whose rate decays to 0 is judged on the validation images. So one table tells how
well a stage ranks what the last one finds, beside how well one seed ranks what another finds. Each stage appends one
row to a small CSV file; the same command again goes on where it stopped.

    python experiments/ground_truth.py STORE --attribute age --work runs/ground_truth --candidates 32 --epochs 16
    python experiments/ground_truth.py … --share 0/2 &  python experiments/ground_truth.py … --share 1/2
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindgap.core.groups import Groups
from mindgap.core.seed import derive_seed, numpy_generator
from mindgap.data.image_store import Store
from mindgap.metrics.unfairness import group_accuracies, unfairness
from mindgap.search.measured import precision_plan
from mindgap.space.cost import count_cost
from mindgap.space.episode import Candidate
from mindgap.space.search_space import SearchSpace
from mindgap.space.space_settings import load_space
from mindgap.train.checkpoint import CHECKPOINT_FILE, STEM_FILE
from mindgap.train.decay import default_decay_epochs
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.loop import TrainResult, TrainSettings, train_network
from mindgap.train.precision import PrecisionPlan
from mindgap.train.remembered import one_thread

FIELDS = (
    "candidate", "seed", "stage_epochs", "epochs", "images", "n_validation", "accuracy", "unfairness", "standardized",
    "groups", "other_unfairness", "macs", "params", "cpu_seconds", "tokens",
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Epochs on the plateau, and of decay after it."""

    stable: int
    decay: int

    @property
    def epochs(self) -> int:
        """In all."""
        return self.stable + self.decay


@dataclass(frozen=True)
class Bench:
    """What all rows share."""

    store: Store
    attribute: str
    space: SearchSpace
    settings: TrainSettings
    plan: PrecisionPlan
    work: Path


def main() -> None:
    options = parse()
    bench = open_bench(options)
    done = {(row["candidate"], row["seed"], row["stage_epochs"]) for row in rows(options.table)}
    with one_thread():
        for number in range(options.share[0], options.candidates, options.share[1]):
            for seed in range(options.seeds):
                left = [s for s in stages(options.epochs) if (str(number), str(seed), str(s.stable)) not in done]
                for row in train_stages(bench, number, seed, left):
                    append(options.table, row)
                    print(json.dumps({key: row[key] for key in FIELDS[:8]}), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--attribute", required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--candidates", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=16, help="of the last stage, its decay included")
    parser.add_argument("--max-macs", type=int, default=8_000_000, help="at 64 px; the space's own limit is 60 M")
    parser.add_argument(
        "--share", type=share, default=(0, 1), metavar="K/N", help="every Nth candidate from K (0..N-1)"
    )
    results = Path(__file__).parents[1] / "benchmarks" / "results" / "ground_truth.csv"
    parser.add_argument("--table", type=Path, default=results)
    return parser.parse_args()


def share(text: str) -> tuple[int, int]:
    """K/N: several processes, one share each, may append to one table."""
    first, count = (int(part) for part in text.split("/"))
    if not 0 <= first < count:
        raise argparse.ArgumentTypeError(f"{text} is not K/N with 0 <= K < N")
    return first, count


def open_bench(options: argparse.Namespace) -> Bench:
    store = Store.open(options.store)
    groups = store.groups(options.attribute).take(store.rows("train"))
    counts = {name: int(count) for name, count in zip(groups.names, groups.counts(), strict=True)}
    name, limits = load_space("default")
    limits = limits.model_copy(update={"max_macs_at_64_px": options.max_macs})
    space = SearchSpace(name, limits, num_classes=len(store.classes), input_px=store.size_px, group_counts=counts)
    settings = TrainSettings(device="cpu", mitigation="biasless", schedule="trapezoid", loss="ce")
    return Bench(store, options.attribute, space, settings, precision_plan(space, settings), options.work)


def stages(epochs: int) -> list[Stage]:
    """1, 2, 4, … epochs on the plateau, each with a decay of its own; the last ends after ``epochs`` in all."""
    last = Stage(epochs - default_decay_epochs(epochs), default_decay_epochs(epochs))
    powers = [2**power for power in range(epochs.bit_length()) if 2**power < last.stable]
    return [Stage(stable, default_decay_epochs(stable)) for stable in powers] + [last]


def train_stages(bench: Bench, number: int, seed: int, left: list[Stage]) -> Iterator[dict[str, Any]]:
    if not left:
        return
    tokens = draw_tokens(bench.space, number)
    candidate = bench.space.decode(tokens)
    folder = bench.work / str(number) / str(seed)
    for stage in left:
        begin = time.process_time()
        result = train_stage(bench, candidate, stage, folder=folder, seed=seed)
        cost = count_cost(candidate.architecture)
        yield {
            "candidate": number, "seed": seed, "stage_epochs": stage.stable, "epochs": stage.epochs,
            "images": result.image_passes, **judge(bench, candidate, result), "macs": cost.macs, "params": cost.params,
            "cpu_seconds": round(time.process_time() - begin, 1), "tokens": json.dumps(tokens, separators=(",", ":")),
        }  # fmt: skip
    (folder / STEM_FILE).unlink(missing_ok=True)


def draw_tokens(space: SearchSpace, number: int) -> tuple[int, ...]:
    generator, episode = numpy_generator("ground truth", number), space.start()
    while episode.decision is not None:
        episode.choose(int(generator.choice(np.flatnonzero(episode.mask()))))
    return episode.tokens


def train_stage(bench: Bench, candidate: Candidate, stage: Stage, *, folder: Path, seed: int) -> TrainResult:
    own = derive_seed("ground truth", seed)
    changes = {"epochs": stage.epochs, "decay_epochs": stage.decay, "seed": own, "ratios": candidate.ratios}
    folder.mkdir(parents=True, exist_ok=True)
    result = train_network(
        candidate.architecture.build(seed=derive_seed(own, "weights")),
        bench.store,
        train_rows=bench.store.rows("train"),
        groups=bench.store.groups(bench.attribute),
        settings=bench.settings.model_copy(update=changes),
        architecture=candidate.architecture,
        checkpoint_dir=folder,
        precision_plan=bench.plan,
        keep_stem=True,
    )
    (folder / CHECKPOINT_FILE).unlink()
    return result


def judge(bench: Bench, candidate: Candidate, result: TrainResult) -> dict[str, Any]:
    """Accuracy and U on the validation images, with the accuracy of every group, and U of the other attributes."""
    store, rows = bench.store, bench.store.rows("validation")
    probabilities = predict_probabilities(
        result.network,
        store.image_tensor(),
        rows,
        architecture=candidate.architecture,
        task=store.task,
        modes=result.modes,
    )
    labels, predicted = store.labels[rows].astype(np.int64), probabilities.argmax(axis=1)
    gap = {name: _gap(labels, predicted, store.groups(name).take(rows)) for name in store.info.attributes}
    groups = store.groups(bench.attribute).take(rows)
    accuracies = zip(groups.names, group_accuracies(labels, predicted, groups).round(4).tolist(), strict=True)
    return {
        "n_validation": len(rows),
        "accuracy": round(float((labels == predicted).mean()), 5),
        "unfairness": gap[bench.attribute][0],
        "standardized": gap[bench.attribute][1],
        "groups": json.dumps(dict(accuracies)),
        "other_unfairness": json.dumps({name: values[0] for name, values in gap.items() if name != bench.attribute}),
    }


def _gap(labels: np.ndarray, predicted: np.ndarray, groups: Groups) -> tuple[float, float]:
    plain, _ = unfairness(labels, predicted, groups)
    standardized, _ = unfairness(labels, predicted, groups, standardized=True)
    return round(plain, 5), round(standardized, 5)


def rows(table: Path) -> list[dict[str, str]]:
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append(table: Path, row: dict[str, Any]) -> None:
    table.parent.mkdir(parents=True, exist_ok=True)
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
