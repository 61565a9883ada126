"""What a comparison of methods leaves when all runs are trained: audits of the test split, the record, the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgap.audit.compared_models import Model
from mindgap.audit.comparison import ComparisonOptions, compare_models
from mindgap.audit.method_figures import method_figures
from mindgap.audit.model_audit import audit_predictions
from mindgap.core.files import jsonable, read_json, write_json
from mindgap.core.progress import progress
from mindgap.data.image_store import Store
from mindgap.metrics.matched import AnyPredictions
from mindgap.report.document import PAGE
from mindgap.report.methods_page import write_methods_page
from mindgap.search.chosen import kept_probabilities
from mindgap.search.method_choice import selection_rule
from mindgap.search.method_plan import MethodPlan
from mindgap.search.method_record import MethodRecord, MethodRecords
from mindgap.search.slot import Slot
from mindgap.space.cost import count_cost
from mindgap.train.mitigation import MITIGATIONS
from mindgap.train.store_predictions import to_predictions
from mindgap.workflows.method_planning import BASELINE, MethodsOptions
from mindgap.workflows.method_verdicts import method_verdicts

RECORD = "compare.json"
AUDIT_FILE = "metrics.json"
NO_PAIR = "no seed was trained to the end by both it and the baseline"


def write_method_results(
    run: Path, slots: Sequence[Slot], *, plan: MethodPlan, store: Store, options: MethodsOptions
) -> dict[str, Any]:
    """Audits the test predictions of every run, compares the methods, and writes ``compare.json`` and ``report.html``.

    Audits that are there, as of a call that was stopped, are kept.
    """
    found = MethodRecords(plan, slots)
    methods = found.methods()
    trained = {one.name: list(one.completed) for one in methods}
    audits: dict[str, list[dict[str, Any] | None]] = {}
    predictions: dict[str, list[AnyPredictions]] = {}
    attributes = len(store.attributes)
    steps = sum(map(len, trained.values())) + attributes * (len(store.classes) if store.task == "multi-label" else 1)
    with progress(steps, "auditing") as bar:
        for one in methods:
            of_seeds = {seed: run / folder for seed, folder in one.completed.items()}
            predictions[one.name] = [_test(store, folder) for folder in of_seeds.values()]
            by_seed = {}
            for (seed, folder), predicted in zip(of_seeds.items(), predictions[one.name], strict=True):
                by_seed[seed] = _audit(folder, predicted, options)
                bar.advance()
            audits[one.name] = [by_seed.get(seed) for seed in found.seeds]
        comparison, why = _comparison(methods, predictions, options, lambda _: bar.advance())
    record: dict[str, Any] = {
        "schema": 1,
        "task": store.task,
        "attribute": plan.attribute,
        "gap": options.gap,
        "baseline": BASELINE,
        "network": plan.architecture.name,
        "select": {"name": plan.select, "says": selection_rule(plan.select).says},
        "tuning": found.tuning(),
        "seeds": found.seeds,
        "min_group": plan.min_group,
        "excluded_groups": list(plan.excluded_groups),
        "methods": {one.name: _method(one, audits, comparison, options.gap) for one in methods},
        "trials": found.trials(),
        "cost": _cost(plan),
        "comparison": comparison,
        "not_compared": why,
        "options": options.model_dump(mode="json"),
    }
    record = jsonable(record)
    write_json(run / RECORD, record)
    write_methods_page(run / PAGE, record)
    return record


def _test(store: Store, folder: Path) -> AnyPredictions:
    """The test predictions of a run, as its worker left them."""
    return to_predictions(store, store.rows("test"), kept_probabilities(store, folder, "test"))


def _audit(folder: Path, predictions: AnyPredictions, options: MethodsOptions) -> dict[str, Any]:
    asked = {name: getattr(options, name) for name in ("bootstrap", "permutations", "seed", "min_group")}
    if (folder / AUDIT_FILE).is_file() and (kept := read_json(folder / AUDIT_FILE)).get("options") == asked:
        return kept["test"]
    audit = audit_predictions(predictions, **asked)
    write_json(folder / AUDIT_FILE, jsonable({"test": audit, "options": asked}))
    return jsonable(audit)


def _comparison(
    methods: Sequence[MethodRecord],
    predictions: Mapping[str, Sequence[AnyPredictions]],
    options: MethodsOptions,
    done: Callable[[str], None],
) -> tuple[dict[str, Any] | None, str | None]:
    """The paired comparison with the baseline of all methods that have a seed in common, or why there is none."""
    if not predictions[BASELINE]:
        return None, f"no run of the baseline {BASELINE!r} was trained to the end"
    models = [
        Model(one.name, tuple(one.completed.values()), tuple(one.completed), tuple(predictions[one.name]))
        for one in methods
        if set(one.completed) & set(methods[0].completed)
    ]
    asked = ComparisonOptions(
        gap=options.gap,
        bootstrap=options.bootstrap,
        permutations=options.permutations,
        seed=options.seed,
        min_group=options.min_group,
    )
    found = compare_models(models, asked, attribute_done=done)
    return found | {"options": {"split": "test", **vars(asked)}}, None


def _method(
    one: MethodRecord,
    audits: Mapping[str, Sequence[Mapping[str, Any] | None]],
    comparison: Mapping[str, Any] | None,
    gap: str,
) -> dict[str, Any]:
    """Everything of one method."""
    own = audits[one.name]
    done = [audit for audit in own if audit is not None]
    return {
        "seeds": list(own),
        "figures": method_figures(done, gap=gap) if done else None,
        "predicts_by": "network" if MITIGATIONS.get(one.name).predicts_by_network_alone() else "group",
        **method_verdicts(
            one.name,
            audits,
            comparison,
            baseline=BASELINE,
            why_none=one.why_none or NO_PAIR,
            told_groups=not MITIGATIONS.get(one.name).predicts_by_network_alone(),
        ),
        **one.summary(),
    }


def _cost(plan: MethodPlan) -> dict[str, int]:
    cost = count_cost(plan.architecture)
    return {"params": cost.params, "macs": cost.macs}
