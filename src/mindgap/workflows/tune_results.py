"""What a tuning leaves: the network with the chosen heads, its figures on the test split, and the record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.audit.compared_models import Model
from mindgap.audit.comparison import ComparisonOptions, compare_models
from mindgap.audit.comparison_verdict import LEVEL
from mindgap.audit.model_audit import audit_predictions
from mindgap.core.files import jsonable, read_json, write_json
from mindgap.core.progress import Progress
from mindgap.metrics.metric import gap_metrics
from mindgap.metrics.predictions import write_predictions
from mindgap.space.architecture import Architecture, save_network
from mindgap.space.cost import count_cost, measure_latencies_ms
from mindgap.space.network import Network
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.store_predictions import to_predictions
from mindgap.tune.head import Floats
from mindgap.workflows.tune_choice import Chosen, choose, network_with, points
from mindgap.workflows.tune_fronts import sorted_with_trained, threshold_heads
from mindgap.workflows.tune_job import Part, TuneJob, Unit

TRAINED, HIDDEN, THRESHOLDS, TUNED = "trained", "hidden", "thresholds", "tuned"
READINGS = "test_reads.json"
Chances = NDArray[np.float64]


def write_results(
    job: TuneJob,
    folder: Path,
    fronts: Mapping[str, Floats],
    parts: tuple[Part, Part],
    *,
    picks: Mapping[str, int],
    bar: Progress,
) -> dict[str, Any]:
    """Writes the run's files from its fronts; what provenance should say."""
    bar.describe("choosing")
    heads = {unit: job.heads(unit, fronts[unit.name], parts[0]) for unit in job.units}
    chosen = [choose(job, unit, of, parts, picks=picks) for unit, of in heads.items()]
    rivals = _thresholds(job, parts)
    networks = {TRAINED: job.model.network}
    if job.start is not None:
        networks[HIDDEN] = network_with(job, [])[1]
    if rivals:
        networks[THRESHOLDS] = network_with(job, rivals)[1]
    architecture, networks[TUNED] = network_with(job, chosen)
    save_network(folder, architecture, networks[TUNED])

    rows = job.store.rows("test")
    reads = _count_reading(folder) if len(rows) else 0
    bar.describe("judging on the test split")
    test = job.part("test", rows, folder=folder) if len(rows) else None
    chances = {name: _probabilities(job, network, rows) for name, network in networks.items()}
    validation = _probabilities(job, networks[TUNED], job.store.rows("validation"))
    _write_predictions(job, folder, validation, chances[TUNED])
    audits = {name: _audit(job, rows, of) for name, of in chances.items()} if len(rows) else {}
    metrics = {
        "validation": _audit(job, job.store.rows("validation"), validation),
        "test": audits.get(TUNED),
        "test_reads": reads,
        "cost": _cost(job, architecture, networks[TUNED]),
        "training": {"mitigation": job.model.settings.mitigation, "attribute": job.model.attribute},
    }
    write_json(folder / "metrics.json", jsonable(metrics))
    judged = {"tuned_on": parts[0], "held_back": parts[1], "test": test or Part(rows, parts[0].features[:0])}
    beside = [name for name in (HIDDEN, THRESHOLDS) if name in chances and len(rows)]
    record = {
        "schema": 1,
        "run": str(job.model.path.resolve()),
        "mode": job.options.mode,
        "task": job.store.task,
        "attribute": job.attribute,
        "objectives": list(job.objectives.names),
        "gap": job.gap,
        "optimizer": None if job.options.mode == "thresholds" else job.options.optimizer,
        "budget": job.options.budget,
        "judged": job.options.budget // job.options.population * job.options.population,
        "hidden": job.options.hidden,
        "subspace": job.options.subspace,
        "held_back": job.options.hold_back,
        "rows": {name: job.known(part) for name, part in judged.items()}
        | {"unknown_group": {name: len(part.rows) - job.known(part) for name, part in judged.items()}},
        "left_out": {name: why for name, why in job.left_out.items() if name not in job.labels},
        "picks": dict(picks),
        "test_reads": reads,
        "labels": {
            name: of for one in chosen for name, of in _label_records(job, one, parts, test, rivals, audits).items()
        },
        "comparison": _compared(job, rows, chances) if len(rows) else None,
        "rivals": {name: _compared(job, rows, {key: chances[key] for key in (name, TUNED)}) for name in beside},
    }
    write_json(folder / "tune.json", jsonable(record))
    return {"modes": list(job.model.modes), "trained_with": job.model.settings.model_dump(mode="json")}


def _thresholds(job: TuneJob, parts: tuple[Part, Part]) -> list[Chosen]:
    """A threshold per label, chosen by the same rule; none where it is what is tuned, or impossible."""
    if not job.is_multi_label or job.options.mode == "thresholds":
        return []
    units = [Unit(name, (job.store.classes.index(name),)) for name in job.labels]
    heads = {unit: sorted_with_trained(job, unit, parts[0], threshold_heads(job, unit, parts[0])) for unit in units}
    return [choose(job, unit, of, parts, picks={}) for unit, of in heads.items()]


def _count_reading(folder: Path) -> int:
    """How often the test split was read, this time included; told before it is, as a stopped reading counts."""
    path = folder / READINGS
    reads = 1 + (read_json(path)["test_reads"] if path.is_file() else 0)
    write_json(path, {"test_reads": reads})
    return reads


def _probabilities(job: TuneJob, network: Network, rows: NDArray[np.int64]) -> Chances:
    network.to(job.device)
    found = predict_probabilities(
        network,
        job.store.image_tensor(),
        rows,
        architecture=job.model.architecture,
        task=job.store.task,
        modes=job.model.modes,
    )
    network.to("cpu")
    return found


def _write_predictions(job: TuneJob, folder: Path, validation: Chances, test: Chances) -> None:
    rows = [job.store.rows("validation"), job.store.rows("test")]
    both = to_predictions(job.store, np.concatenate(rows), np.concatenate([validation, test]))
    splits = ["validation"] * len(rows[0]) + ["test"] * len(rows[1])
    write_predictions(folder / "predictions.parquet", both, split=splits)


def _audit(job: TuneJob, rows: NDArray[np.int64], chances: Chances) -> dict[str, Any]:
    options = job.options
    return audit_predictions(
        to_predictions(job.store, rows, chances),
        bootstrap=options.bootstrap,
        permutations=options.permutations,
        seed=options.seed,
    )


def _cost(job: TuneJob, architecture: Architecture, network: Network) -> dict[str, float | None]:
    cost = count_cost(architecture)
    latency = measure_latencies_ms([network], job.store.size_px)[0]
    return {"params": cost.params, "macs": cost.macs, "latency_ms": latency}


def _label_records(
    job: TuneJob,
    chosen: Chosen,
    parts: tuple[Part, Part],
    test: Part | None,
    rivals: Sequence[Chosen],
    audits: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """What is recorded of every label of a front."""
    outputs = chosen.unit.outputs
    names = [job.store.classes[number] for number in outputs] if job.is_multi_label else [chosen.unit.name]
    where = {"tuned_on": parts[0], "held_back": parts[1] if job.options.hold_back else None, "test": test}
    own, trained = (
        {part: None if of is None else job.figures(of, outputs, head[None])[0] for part, of in where.items()}
        for head in (chosen.head, job.head(outputs).vector)
    )
    found: dict[str, dict[str, Any]] = {}
    for task, name in enumerate(names):
        found[name] = {
            "unit": chosen.unit.name,
            "front": _front(job, chosen, task),
            "chosen": chosen.choice.index,
            "reason": chosen.choice.reason,
            "trained_point": chosen.trained_point(job),
            "figures": {part: _point(job, of, task) for part, of in own.items()},
            "trained": {part: _point(job, of, task) for part, of in trained.items()},
            "thresholds": next((_front_of(job, rival) for rival in rivals if rival.unit.name == name), None),
            "test": {model: _estimates(job, audit, name) for model, audit in audits.items()},
        }
    return found


def _point(job: TuneJob, figures: Floats | None, task: int) -> dict[str, float] | None:
    return None if figures is None else points(job, figures[task : task + 1])[0]


def _front_of(job: TuneJob, rival: Chosen) -> dict[str, Any]:
    return {"front": _front(job, rival, 0), "chosen": rival.choice.index}


def _front(job: TuneJob, chosen: Chosen, task: int) -> list[dict[str, Any]]:
    """The points of a front on the rows tuned on, and on those held back where some are."""
    front: list[dict[str, Any]] = [*points(job, chosen.tuned_on[:, task])]
    if job.options.hold_back:
        held = points(job, chosen.held_back[:, task])
        front = [{**point, "held_back": other} for point, other in zip(front, held, strict=True)]
    return front


def _estimates(job: TuneJob, audit: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Accuracy and gaps of a label with their intervals, from an AUDIT."""
    part = audit["labels"][name] if job.is_multi_label else audit
    gaps = part["attributes"].get(job.attribute, {}).get("gaps", {})
    return {"accuracy": part["overall"]["accuracy"]} | {gap: gaps.get(gap) for gap in dict.fromkeys(("uei", job.gap))}


def _compared(job: TuneJob, rows: NDArray[np.int64], chances: Mapping[str, Chances]) -> dict[str, Any]:
    """Every network against the first on the same test images: on the labels that were tuned.

    With few permutations no p could be small enough for so many labels, so there are as many as it takes.
    """
    options = job.options
    labels = [job.store.classes.index(name) for name in job.labels] if job.is_multi_label else None
    models = [
        Model(name, (name,), (None,), (to_predictions(job.store, rows, of, labels=labels),))
        for name, of in chances.items()
    ]
    family = (len(models) - 1) * len(job.labels) * len(job.store.attributes)
    needed = math.ceil(family / LEVEL) if options.permutations else 0
    known = {metric.name for metric in gap_metrics(("0", "1") if job.is_multi_label else tuple(job.store.classes))}
    how = ComparisonOptions(
        gap=job.gap if job.gap in known else "uei",
        bootstrap=options.bootstrap,
        permutations=max(options.permutations, needed),
        seed=options.seed,
    )
    return compare_models(models, how)
