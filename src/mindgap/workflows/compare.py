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
    min_group: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """Compares models on the same rows: each with the first, on the same resamples.

    Runs of ``search`` are compared as searches too: the hypervolume of accuracy, U and multiply-accumulates that each
    reached, in all and at equal image passes.

    Args:
        *runs: two or more folders of train or search runs, or predictions tables (CSV or Parquet). Runs whose options
            are the same but for the seed are one model with several seeds.
        attributes: ``sex,age:bands=0/30/60,sex*age``; by default all that the runs have.
        cluster: the column of the patient or lesion, which is resampled as a whole; by default ``cluster``.
        split: the rows of this split; by default ``test`` where there is a column ``split``; ``all`` takes every row.
        gap: the gap that the verdict on an attribute is about.
        json: file for the record; one that is there is replaced.
        html: file for the page; one that is there is replaced.
        bootstrap: resamples behind the intervals; 0 leaves them out.
        permutations: swaps of the two models' predictions behind the p-values; 0 leaves them out.
        min_group: rows under which a group is left out of every gap; its own figures stay.
        seed: the same seed gives the same record.

    Returns:
        The record that ``json`` holds.

    Raises:
        CapacityError: a file cannot be written.
        ConfigError: an option is wrong, or there is nothing to compare.
        DataError: a table is refused as a whole, or the rows of two are not the same.
        RunError: a folder is no run with predictions.
    """
    options = ComparisonOptions(gap=gap, bootstrap=bootstrap, permutations=permutations, seed=seed, min_group=min_group)
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


def _places(runs: Sequence[PathLike]) -> list[Path]:
    places = [Path(run) for run in runs]
    for place in places:
        if (place / "store.json").is_file():
            raise ConfigError(
                f"{place}: is a store; training methods on it and comparing them is not there yet, so train the runs "
                "and name them here"
            )
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
