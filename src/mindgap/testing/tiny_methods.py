"""A record of methods compared, made from predictions of simulated models, for tests of what is said of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from mindgap.audit.compared_models import Model
from mindgap.audit.comparison import ComparisonOptions, compare_models
from mindgap.audit.method_figures import method_figures
from mindgap.audit.model_audit import audit_predictions
from mindgap.core.files import jsonable
from mindgap.core.groups import Groups
from mindgap.metrics.predictions import Predictions, predictions_from_arrays
from mindgap.train.own_figure import OwnFigure, figure_records
from mindgap.workflows.method_verdicts import method_verdicts

FEW: dict[str, Any] = {"bootstrap": 40, "permutations": 39}
CLASSES = ("nv", "mel")


def simulated(right: tuple[float, float], *, seed: int, n: int = 400) -> Predictions:
    """Predictions that are right in groups f and m with these shares."""
    people, luck = np.random.default_rng(0), np.random.default_rng(seed)
    labels, groups = people.integers(2, size=n), np.arange(n) % 2
    hit = (people.random(n) + 0.05 * luck.random(n)) % 1 < np.array(right)[groups]
    likely = np.where(hit, labels, 1 - labels)
    chances = np.where(np.arange(2) == likely[:, None], 0.8, 0.2)
    return predictions_from_arrays(
        labels, classes=CLASSES, groups={"sex": Groups("sex", ("f", "m"), groups)}, probabilities=chances
    )


def methods_record(*, name: str = "second", seeds: int = 2) -> dict[str, Any]:
    """What ``compare.json`` holds of the baseline, a method of that name that closes its gap, and one that cannot."""
    shares = {"erm": (0.6, 0.9), name: (0.85, 0.9), "third": (0.6, 0.88)}
    models = [
        Model(one, tuple(f"trials/{k}" for k in range(seeds)), tuple(range(seeds)), _seeds(right, seeds))
        for one, right in shares.items()
    ]
    options = ComparisonOptions(**FEW)
    comparison = compare_models(models, options) | {"options": {"split": "test", **vars(options)}}
    audits = {model.name: [audit_predictions(of, **FEW) for of in model.predictions] for model in models}
    methods: dict[str, Any] = {}
    for model in models:
        methods[model.name] = {
            "seeds": audits[model.name],
            "figures": method_figures(audits[model.name], gap="unfairness"),
            "predicts_by": "network",
            **method_verdicts(model.name, audits, comparison, baseline="erm"),
            "image_passes": 12_000,
            "seconds": 61.5,
            "spent": {
                "tuning": {"image_passes": 8_000, "seconds": 41.0},
                "final": {"image_passes": 4_000, "seconds": 20.5},
            },
            "options": {"lr": 0.006},
            "chosen_trial": 0,
            "why": "highest validation worst-group accuracy, 0.600",
            "runs": [
                {"seed": seed, "state": "complete", "reason": None, "mitigation_figures": _figures(model.name, name)}
                for seed in range(seeds)
            ],
            "failed": [{"slot": 5, "trial": 1, "seed": None, "reason": "loss became nan"}]
            if model.name == "third"
            else [],
            "reason": None,
        }
    return jsonable(
        {
            "schema": 1,
            "task": "single-label",
            "attribute": "sex",
            "gap": "unfairness",
            "baseline": "erm",
            "network": "resnet18",
            "select": {"name": "worst_group_accuracy", "says": "the tuning run with the best worst group"},
            "tuning": {
                "tuner": "random",
                "trials": 2,
                "at_random": 1,
                "by_tpe": 0,
                "lr": {"default": 0.006, "low": 0.00075, "high": 0.024},
            },
            "seeds": list(range(seeds)),
            "min_group": 30,
            "excluded_groups": ["x"],
            "methods": methods,
            "trials": [_trial(one, trial) for trial in (0, 1) for one in shares],
            "comparison": comparison,
            "not_compared": None,
        }
    )


def _seeds(right: tuple[float, float], seeds: int) -> tuple[Predictions, ...]:
    return tuple(simulated(right, seed=seed) for seed in range(seeds))


def _figures(model: str, name: str) -> list[dict[str, Any]]:
    """What a method measured itself: the one of that name its head on the group of that name, the others nothing."""
    told = OwnFigure("accuracy of the head", of=name, value=0.625, n=1600, unit="training images", chance=0.5)
    return figure_records([told] if model == name else [])


def _trial(method: str, trial: int) -> dict[str, Any]:
    failed = method == "third" and trial == 1
    figures = {"accuracy": 0.8, "unfairness": 0.1, "worst_group_accuracy": 0.7, "image_passes": 6000}
    return {
        "method": method,
        "trial": trial,
        "options": {"lr": 0.006},
        "state": "failed" if failed else "complete",
        "reason": "loss became nan" if failed else None,
        **(dict.fromkeys(figures) if failed else figures),
    }
