"""What a search leaves when its candidates are trained: audits of the front, the chosen network, the report."""

from __future__ import annotations

from typing import Any

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.files import read_json, write_json
from mindgap.core.progress import progress
from mindgap.core.run import RunFolder
from mindgap.data.image_store import Store
from mindgap.report.document import write_report
from mindgap.search.artifacts import AbstractArtifacts
from mindgap.search.chosen import (
    adopt,
    evaluate_chosen,
    training_record,
    training_settings,
    trial_folder,
    validation_predictions,
)
from mindgap.search.options import SearchOptions
from mindgap.search.plan import SearchPlan


def write_results(
    run: RunFolder,
    record: dict[str, Any],
    *,
    plan: SearchPlan,
    store: Store,
    options: SearchOptions,
    artifacts: AbstractArtifacts,
) -> None:
    """Audits the front, adopts the chosen network, evaluates it on the test split, and marks the run as finished."""
    by_slot = {trial["slot"]: trial for trial in record["trials"]}
    chosen = by_slot[record["chosen"]]
    with progress(len(record["front"]) + 2, "auditing") as bar:

        def audit(predictions: Any) -> dict[str, Any]:
            found = audit_predictions(
                predictions, bootstrap=options.bootstrap, permutations=options.permutations, seed=options.seed
            )
            bar.advance()
            return found

        for slot in {*record["front"], record["chosen"]}:
            artifacts.fetch(trial_folder(run.path, by_slot[slot]))
        for slot in record["front"]:
            folder = trial_folder(run.path, by_slot[slot])
            write_json(folder / "metrics.json", {"validation": audit(validation_predictions(store, folder))})
        adopt(run.path, chosen)
        test_reads = _count_test_read(run) if len(store.rows("test")) else 0
        evaluation = evaluate_chosen(run.path, chosen, plan=plan, store=store)
        metrics = {
            "validation": audit(evaluation.validation),
            "test": None if evaluation.test is None else audit(evaluation.test),
            "cost": evaluation.cost,
            "training": training_record(chosen),
            "test_reads": test_reads,
        }
    write_json(run.path / "metrics.json", metrics)
    settings = training_settings(chosen, plan).model_dump(mode="json")
    run.record(modes=evaluation.modes, trained_with=settings)
    write_report(run.path)
    run.finish()


def _count_test_read(run: RunFolder) -> int:
    """How often this search has met the test split, this time included; it is counted before it happens."""
    earlier = read_json(run.path / "provenance.json").get("test_reads", int((run.path / "metrics.json").exists()))
    run.record(test_reads=earlier + 1)
    return earlier + 1
