"""The verb ``compare``: models on the same rows, each beside the first."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgap.audit.comparison import ComparisonOptions, compare_models
from mindgap.core.errors import ConfigError
from mindgap.core.files import jsonable
from mindgap.core.progress import progress
from mindgap.metrics.predictions import MultiLabelPredictions
from mindgap.workflows.audit_outputs import Outputs, PathLike
from mindgap.workflows.audited_table import Audited, Question, read_audited
from mindgap.workflows.compared_runs import Source, models_of
from mindgap.workflows.compared_searches import searches_record
from mindgap.workflows.least_numbers import refuse_too_small
from mindgap.workflows.run_predictions import group_order, predictions_of

log = logging.getLogger(__name__)


def compare(
    *runs: PathLike,
    attributes: str | Sequence[str] | None = None,
    cluster: str | None = None,
    split: str | None = None,
    gap: str = "unfairness",
    json: PathLike | None = None,
    html: PathLike | None = None,
    bootstrap: int = 2000,
    permutations: int = 1000,
    min_group: int | None = None,
    seed: int = 0,
    methods: Sequence[str] | str | None = None,
    out: PathLike | None = None,
    network: PathLike | None = None,
    seeds: int | None = None,
    trials: int | None = None,
    tuner: str | None = None,
    select: str | None = None,
    attribute: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    schedule: str | None = None,
    precision: str | None = None,
    device: str | None = None,
    workers: int | None = None,
    placement: str | None = None,
    placement_options: Mapping[str, Any] | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Compares models on the same rows: each with the first, on the same resamples.

    Given a store, and ``methods``, ``network`` and ``out``, it trains the methods on it first, each with the same
    tuning budget, and compares them on the test split. Stopped or killed at any moment, the same call goes on.

    Runs of ``search`` are compared as searches too: the hypervolume of accuracy, U and multiply-accumulates that each
    reached, in all and at equal image passes.

    Args:
        *runs: two or more folders of train or search runs, or predictions tables (CSV or Parquet). Runs whose options
            are the same but for the seed are one model with several seeds. Or one store.
        attributes: ``sex,age:bands=0/30/60,sex*age``; by default all that the runs have.
        cluster: the column of the patient or lesion, which is resampled as a whole; by default ``cluster``.
        split: the rows of this split; by default ``test`` where there is a column ``split``; ``all`` takes every row.
        gap: the gap that the verdict on an attribute is about.
        json: file for the record; one that is there is replaced.
        html: file for the page; one that is there is replaced.
        bootstrap: resamples behind the intervals; 0 leaves them out.
        permutations: swaps of the two models' predictions behind the p-values; 0 leaves them out.
        min_group: rows under which a group is left out of every gap; its own figures stay. None is 1, and 30 for
            methods, where it also leaves groups out of the selection.
        seed: the same seed gives the same record.
        methods: names of mitigations to train on the store; the baseline ``erm`` is added where it is missing. This and
            what follows is for a store alone; None is the default of ``MethodsOptions``.
        out: the run folder.
        network: registered name, or ``architecture.json``.
        seeds: runs of each method that are compared.
        trials: tuning runs of each method, 0 tunes nothing.
        tuner: ``random``, or ``tpe`` to learn from a method's earlier runs.
        select: the rule that chooses a method's options on validation: ``worst_group_accuracy``,
            ``accuracy_within_u`` or ``pareto_knee``.
        attribute: whose groups methods and selection use; None is the store's first. All are audited.
        epochs: passes over the training rows, of every run; so are the four after it, as for ``train``.
        batch_size: images per batch.
        schedule: of the learning rate.
        precision: ``auto``, ``fp32`` or ``bf16``.
        device: ``auto``, ``cpu`` or ``cuda``.
        workers: processes of one thread each.
        placement: where they run, as for ``search``.
        placement_options: of the placement.
        force: replaces the comparison that is there.

    Returns:
        The record that ``json``, or the run's ``compare.json``, holds.

    Raises:
        CapacityError: a file cannot be written.
        ConfigError: an option is wrong, or there is nothing to compare.
        DataError: a table is refused as a whole, or the rows of two are not the same.
        RunError: a folder is no run with predictions.
    """
    of_methods: dict[str, Any] = {
        "methods": methods, "out": out, "network": network, "seeds": seeds, "trials": trials, "tuner": tuner,
        "select": select, "attribute": attribute, "epochs": epochs, "batch_size": batch_size, "schedule": schedule,
        "precision": precision, "device": device, "workers": workers, "placement": placement,
        "placement_options": placement_options, "force": force,
    }  # fmt: skip
    given = {"gap": gap, "bootstrap": bootstrap, "permutations": permutations, "seed": seed}
    if runs and is_store(Path(runs[0])):
        of_runs = {"attributes": attributes, "cluster": cluster, "split": split, "json": json, "html": html}
        refuse_for_store(runs, of_runs, methods=methods, network=network, out=out)
        refuse_too_small({**given, "min_group": 1 if min_group is None else min_group})
        from mindgap.workflows.compare_methods import compare_methods  # which needs torch

        return compare_methods(Path(runs[0]), **of_methods, **given, min_group=min_group)
    refuse_for_runs(of_methods)
    options = ComparisonOptions(**given, min_group=1 if min_group is None else min_group)
    refuse_too_small(vars(options))
    places = _places(runs)
    outputs = Outputs.checked(json, html, inputs=places)
    with progress(len(places), "reading the tables") as bar:
        audited = []
        for place in places:
            audited.append(_read(place, attributes, cluster=cluster, split=split))
            bar.advance()
    models = models_of([Source(place, one.predictions) for place, one in zip(places, audited, strict=True)])
    for name, why in audited[0].left_out.items():
        log.warning("%s is not compared: %s", name, why)
    with progress(_steps(audited[0]), f"comparing {len(models)} models by attribute") as bar:
        found = compare_models(models, options, attribute_done=lambda _: bar.advance())
    asked = {"attributes": list(audited[0].specs.values()), "split": audited[0].split, "cluster": audited[0].cluster}
    searches = searches_record(models)
    found |= {"searches": searches} if searches is not None else {}
    record = jsonable(found | {"options": _without_none(asked) | vars(options)})
    outputs.write(record, page=lambda path: _write_page(path, record))
    return record


def is_store(place: Path) -> bool:
    """Whether the folder is a store, so that methods are to be trained on it."""
    return (place / "store.json").is_file()


def refuse_for_store(
    runs: Sequence[PathLike], of_runs: Mapping[str, Any], *, methods: object, network: object, out: object
) -> None:
    """Refuses what methods that are trained on a store cannot do with, or without.

    Raises:
        ConfigError: an option is for runs, or one is missing.
    """
    if len(runs) > 1:
        raise ConfigError(f"{runs[0]}: is a store, among {len(runs)} arguments; name it alone, or name runs alone")
    for name, value in of_runs.items():
        if value is not None:
            instead = "all attributes are audited, and --attribute drives the methods" if name == "attributes" else ""
            raise ConfigError(
                f"--{name} is for runs, and {runs[0]} is a store; leave it out: "
                + (instead or "a store has its own clusters and test split, and --out RUN holds record and page")
            )
    for name, value in (("methods", methods), ("network", network), ("out", out)):
        if value is None:
            raise ConfigError(
                f"{runs[0]}: is a store, so --{name} is missing; give --methods NAME,NAME --network NAME --out RUN, or "
                "name runs"
            )


def refuse_for_runs(of_methods: Mapping[str, Any]) -> None:
    """Refuses options of methods that are trained on a store.

    Raises:
        ConfigError: one was given.
    """
    for name, value in of_methods.items():
        if value is not None and value is not False:
            raise ConfigError(
                f"--{name.replace('_', '-')} is for methods trained on a store, and the first argument is none; "
                "leave it out, or name the folder that `mindgap prepare` wrote"
            )


def _places(runs: Sequence[PathLike]) -> list[Path]:
    places = [Path(run) for run in runs]
    for place in places:
        if is_store(place):
            raise ConfigError(f"{place}: is a store, among runs; name it alone, with --methods, or name runs alone")
    if len(places) < 2:
        raise ConfigError(f"compare takes two or more runs or predictions tables, got {len(places)}; name another")
    resolved: dict[Path, Path] = {}
    for place in places:
        if place.resolve() in resolved:
            raise ConfigError(f"{place}: is named twice; name each run once")
        resolved[place.resolve()] = place
    return places


def _read(place: Path, attributes: str | Sequence[str] | None, *, cluster: str | None, split: str | None) -> Audited:
    is_run = place.is_dir()
    question = Question(
        path=predictions_of(place) if is_run else place,
        attributes="" if attributes is None and not is_run else attributes,
        cluster=cluster,
        split=split,
        takes_tables=False,
    )
    return read_audited(question, order=group_order(place))


def _steps(audited: Audited) -> int:
    predictions = audited.predictions
    labels = len(predictions.label_names) if isinstance(predictions, MultiLabelPredictions) else 1
    return labels * len(audited.specs)


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _write_page(path: Path, record: Mapping[str, Any]) -> None:
    from mindgap.report.comparison_page import write_comparison_page

    write_comparison_page(path, record)
