"""The verb ``tune``: heads of a trained network, tuned for accuracy and against underestimation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgap.core.config import named, parse
from mindgap.core.files import read_json, write_json
from mindgap.core.progress import progress
from mindgap.core.run import Asked, RunFolder
from mindgap.report.document import write_report
from mindgap.train.memory import keep_freed_memory
from mindgap.train.trained_model import read_trained_model, weights_digest
from mindgap.tune.objectives import DEFAULT
from mindgap.tune.options import TuneOptions
from mindgap.workflows.tune_checks import check_picks, check_tuning
from mindgap.workflows.tune_first_stage import with_hidden_head
from mindgap.workflows.tune_fronts import fronts
from mindgap.workflows.tune_job import TuneJob
from mindgap.workflows.tune_results import write_results

PICKS = "picks.json"


def tune(
    run: Path | str,
    *,
    out: Path | str,
    mode: str = "multitask",
    attribute: str | None = None,
    labels: str | Sequence[str] | None = None,
    objectives: str | Sequence[str] = DEFAULT,
    weights: str = "own",
    optimizer: str = "mopso",
    optimizer_options: Mapping[str, Any] | None = None,
    budget: int = 5000,
    population: int = 100,
    hidden: int | None = None,
    subspace: int | None = None,
    reach: float = 1.0,
    hold_back: bool = True,
    tolerance: float = 0.05,
    min_rows: int = 20,
    pick: Mapping[str, int] | None = None,
    seed: int = 0,
    bootstrap: int = 2000,
    permutations: int = 1000,
    device: str = "auto",
    force: bool = False,
) -> dict[str, Any]:
    """Tunes the last layer of a trained network by a swarm (Blanzeisky & Cunningham, §§4 to 6).

    The backbone stays as it is. Its features of the validation images are computed once, and an optimiser looks among
    heads around the trained one for those that no other beats in all objectives; the trained one stays a point. Of each
    front one head is chosen by a rule, on a half of the validation images that the fronts were not made on, or by
    ``pick``. The test split is read after that, for the trained network, the tuned one, and one with thresholds chosen
    alike.

    ``out`` is a run like any other, which predicts and exports by itself. Stopped at any moment, the same call goes on;
    labels are done in eights, and an eight that was begun begins anew.

    Args:
        run: a finished run, whose store is where it was.
        out: the run folder.
        mode: ``multitask`` tunes a head per label, ``dynamic`` one for all of weighted sums (their eqs. 7 and 8),
            ``thresholds`` each label's bias alone. Of classes that exclude each other there is one head.
        attribute: whose groups count; None is the run's.
        labels: ``smiling,young``, which are tuned; None is all with enough images of every group.
        objectives: ``accuracy,uei``, two or three metrics.
        weights: of ``dynamic``: each head's ``own``, or ``base``, the trained head's.
        optimizer: ``mopso``, ``nsga2``, ``random``.
        optimizer_options: its options.
        budget: heads judged per label, or in all where one head serves all labels.
        population: heads judged at a time.
        hidden: units of a hidden layer, of a head that is first trained for accuracy on the training images' features;
            None tunes the network's own last layer.
        subspace: random directions around the trained head, at most 64, in which it is searched: of a hidden head all
            its weights, per label, where else its last layer alone is tuned. None searches every weight.
        reach: how far from the trained head first points lie; 1 is as far as it is long.
        hold_back: whether a half of the validation images is kept for the choice.
        tolerance: accuracy that the rule may give up, as a fraction.
        min_rows: positives and negatives that a label needs in every group, on validation and on test.
        pick: point by label (``all`` in the mode ``dynamic``) of fronts that are finished; the network, its figures and
            the page are made anew, which reads the test split again, and is counted.
        seed: of everything drawn.
        bootstrap: replicates of the intervals.
        permutations: of the noise floors.
        device: ``auto``, ``cpu`` or ``cuda``.
        force: replaces the run of this verb that is there.

    Returns:
        The record of ``tune.json``.

    Raises:
        MindgapError: the run, a name, an option or the folder is wrong; one line says which.
    """
    keep_freed_memory()
    options = parse(
        TuneOptions,
        {
            "mode": mode, "attribute": attribute, "labels": named(labels), "objectives": named(objectives),
            "weights": weights, "optimizer": optimizer, "optimizer_options": dict(optimizer_options or {}),
            "budget": budget, "population": population,
            "hidden": hidden, "subspace": subspace, "reach": reach, "hold_back": hold_back,
            "tolerance": tolerance, "min_rows": min_rows, "seed": seed, "bootstrap": bootstrap,
            "permutations": permutations, "device": device,
        },
        source="tune",
    )  # fmt: skip
    model = read_trained_model(run)
    job = TuneJob(model, model.open_store(), options)
    asked: Asked = {"verb": "tune", "options": _asked(job), "force": force, "inputs": (Path(run), job.store.path)}
    if RunFolder.check(out, **asked) != "finished":
        check_tuning(job)
    check_picks(job, Path(out), pick or {}, force=force)
    with RunFolder.hold(out, **asked) as folder:
        wanted = _picks(folder.path) | dict(pick or {})
        if folder.state != "finished" or wanted != read_json(folder.path / "tune.json")["picks"]:
            folder.reopen()  # first: a call that is stopped between the two finds a run that is not finished
            write_json(folder.path / PICKS, wanted)
            _work(job, folder, wanted)
        return read_json(folder.path / "tune.json")


def _work(job: TuneJob, folder: RunFolder, picks: Mapping[str, int]) -> None:
    folder.record(fingerprint=job.store.fingerprint, store_summary=job.store.info.model_dump(mode="json"))
    with progress(job.options.budget * len(job.units), f"tuning {job.model.architecture.name}") as bar:
        parts = job.validation_parts(folder.path)
        job = with_hidden_head(job, folder.path, parts[0], bar)
        found = fronts(job, folder.path, parts[0], bar)
        details = write_results(job, folder.path, found, parts, picks=picks, bar=bar)
    folder.record(**details)
    write_report(folder.path)
    folder.finish()


def _picks(folder: Path) -> dict[str, int]:
    return read_json(folder / PICKS) if (folder / PICKS).is_file() else {}


def _asked(job: TuneJob) -> dict[str, Any]:
    model, store = job.model, job.store
    return {
        "run": str(model.path.resolve()),
        "weights_digest": weights_digest(model.path),
        "store": str(store.path.resolve()),
        "fingerprint": store.fingerprint,
        **job.options.model_dump(mode="json"),
        "attribute": job.attribute,
    }
