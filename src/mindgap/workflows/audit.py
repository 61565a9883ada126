"""The verb ``audit``: what a table of predictions, or a prepared store, shows and cannot show."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.errors import ConfigError, near_names
from mindgap.core.files import jsonable
from mindgap.core.missing_words import missing_word_notes
from mindgap.core.progress import progress
from mindgap.core.small_group import SMALL_GROUP
from mindgap.metrics.predictions import MultiLabelPredictions
from mindgap.workflows.audit_outputs import Outputs, PathLike
from mindgap.workflows.audited_table import Audited, Question, read_audited
from mindgap.workflows.least_numbers import refuse_too_small
from mindgap.workflows.run_predictions import group_order, predictions_of

log = logging.getLogger(__name__)

_WORDS = {"interval": ("percentile", "bca"), "floor": ("within-class", "all-classes")}
_MANY = 8
"""Groups that are numbers, each of few rows, from which on a column is taken for a quantity."""
_DEFAULTS = {"bootstrap": 2000, "interval": "percentile", "floor": "within-class", "min_group": 1}


def audit(
    target: PathLike,
    *,
    attributes: str | Sequence[str] | None = None,
    cluster: str | None = None,
    split: str | None = None,
    table: PathLike | Sequence[PathLike] | None = None,
    id: str | None = None,
    label: str | None = None,
    json: PathLike | None = None,
    html: PathLike | None = None,
    bootstrap: int = 2000,
    permutations: int = 1000,
    interval: str = "percentile",
    floor: str = "within-class",
    min_group: int = 1,
    accuracy: float | None = None,
    icc: float | None = None,
    seed: int = 0,
    examples: int = 0,
) -> dict[str, Any]:
    """Audits a predictions table, the predictions of a run, or a store.

    Args:
        target: a CSV or Parquet file of predictions; the folder of a train or search run, whose predictions are judged
            again; or a store, which is judged by itself.
        attributes: ``sex,age:bands=0/30/60,sex*age``; by default all that a run or a store has.
        cluster: the column of the patient or lesion, which is resampled as a whole; by default ``cluster``.
        split: the rows of this split; by default ``test`` where there is a column ``split``; ``all`` takes every row.
        table: other tables, whose columns are joined to the predictions by id.
        id: their id column, or without other tables that of the predictions; by default ``id``.
        label: their class column, where the predictions have none, or that of the predictions; by default ``label``.
        json: file for the record; one that is there is replaced.
        html: file for the page; one that is there is replaced.
        bootstrap: resamples behind the intervals; 0 leaves them out.
        permutations: permutations behind the noise floors; 0 leaves them out.
        interval: ``percentile`` or ``bca``, for the figures that are no distance.
        floor: groups are permuted ``within-class`` or over ``all-classes``.
        min_group: rows under which a group is left out of every gap; its own figures stay.
        accuracy: of a store: the accuracy assumed where it says how small a gap could show, in 0..1; None means .8.
        icc: of a store: the correlation of being right within a cluster that is assumed there, in 0..1; None means .5.
        seed: the same seed gives the same record.
        examples: of a store with twins: so many images beside their twins on the page, never in the record. They are
            patients' images.

    Returns:
        The record that ``json`` holds.

    Raises:
        CapacityError: a file cannot be written.
        ConfigError: an option is wrong, or does not fit the target.
        DataError: a table or the store is refused as a whole.
        RunError: the folder is neither a store nor a run with predictions.
    """
    options = {"bootstrap": bootstrap, "permutations": permutations, "interval": interval, "floor": floor}
    options |= {"min_group": min_group, "seed": seed}
    _check(options)
    place, tables = Path(target), _paths(table)
    outputs = Outputs.checked(json, html, inputs=(place, *tables))
    of_tables = {"cluster": cluster, "split": split, "table": table, "id": id, "label": label}
    of_stores = (("accuracy", accuracy), ("icc", icc), ("examples", examples or None))
    of_stores = {name: value for name, value in of_stores if value is not None}
    if (place / "store.json").is_file():
        return _audit_store(place, attributes, outputs, options=options, unfit=of_tables, of_stores=of_stores)
    for name, value in of_stores.items():
        raise ConfigError(f"{target}: is no store, so --{name} {value} does not fit; leave it out, or audit a store")
    own = {} if tables else {name: column for name, column in (("id", id), ("label", label)) if column is not None}
    question = Question(
        path=predictions_of(place) if place.is_dir() else place,
        attributes="" if attributes is None and not place.is_dir() else attributes,
        cluster=cluster,
        split=split,
        tables=tables,
        id=id or "id",
        label=label,
        own=own,
    )
    return _audit_predictions(question, outputs, options=options, order=group_order(place))


def _audit_predictions(
    question: Question, outputs: Outputs, *, options: Mapping[str, Any], order: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    with progress(None, "reading the table"):
        audited = read_audited(question, order=order)
    parts = len(audited.predictions.label_names) if isinstance(audited.predictions, MultiLabelPredictions) else 1
    with progress(parts * len(audited.specs), f"auditing {audited.predictions.n} rows by attribute") as bar:
        found = audit_predictions(audited.predictions, attribute_done=lambda _: bar.advance(), **options)
    record = jsonable(_record(found, question, audited, options))
    with progress(None, "writing"):
        outputs.write(record, page=lambda path: _write_page(path, record, audited))
    _warn(audited)
    return record


def _warn(audited: Audited) -> None:
    for name, why in audited.left_out.items():
        log.warning("%s is not audited: %s", name, why)
    first = audited.predictions
    if isinstance(first, MultiLabelPredictions):
        first = first.by_label[first.label_names[0]]
    for name, groups in first.groups.items():
        for told in missing_word_notes(name, zip(groups.names, groups.counts().tolist(), strict=True)):
            log.warning("%s", told)
        if len(groups.names) >= _MANY and groups.counts().max() < SMALL_GROUP and all(map(_is_number, groups.names)):
            told = "all %d groups of %s, such as %s, have under %d rows; cut numbers into bands, as %s:bands=0/30/60"
            log.warning(told, len(groups.names), name, groups.names[0], SMALL_GROUP, name)


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _record(record: dict[str, Any], question: Question, audited: Audited, options: Mapping[str, Any]) -> dict[str, Any]:
    """The AUDIT, with what it was made from and with."""
    for part in record["labels"].values() if record["task"] == "multi-label" else [record]:
        for name, attribute in part["attributes"].items():
            attribute["out_of_range"] = audited.out_of_range[name]
    asked = {
        "attributes": list(audited.specs.values()),
        "split": audited.split,
        "cluster": audited.cluster,
        "tables": [str(path) for path in question.tables] or None,
        "id": question.id if question.tables else None,
        "label": question.label,
    }
    kept = {name: value for name, value in asked.items() if value is not None}
    return record | {"source": str(question.path), "rows": audited.rows, "options": kept | dict(options)}


def _write_page(path: Path, record: Mapping[str, Any], audited: Audited) -> None:
    from mindgap.report.audit_page import write_audit_page

    write_audit_page(path, record, audited.predictions, source=record["source"], options=record["options"])


def _audit_store(
    store: Path,
    attributes: str | Sequence[str] | None,
    outputs: Outputs,
    *,
    options: Mapping[str, Any],
    unfit: Mapping[str, object],
    of_stores: Mapping[str, Any],
) -> dict[str, Any]:
    """A store has no predictions: what concerns them is refused."""
    given = {name: value for name, value in unfit.items() if value is not None}
    given |= {name: options[name] for name, usual in _DEFAULTS.items() if options[name] != usual}
    for name, value in given.items():
        option = f"--{name.replace('_', '-')} {value}"
        raise ConfigError(
            f"{store}: is a store, which has no predictions, so {option} does not fit; leave it out, or audit "
            "a predictions table"
        )
    from mindgap.workflows.audit_store import audit_store

    with progress(None, "auditing the store"):
        return audit_store(
            store,
            json=outputs.json,
            html=outputs.html,
            attributes=attributes,
            permutations=options["permutations"],
            seed=options["seed"],
            **of_stores,
        )


def _check(options: Mapping[str, Any]) -> None:
    refuse_too_small(options)
    for name, words in _WORDS.items():
        if options[name] not in words:
            raise ConfigError(f"{name}={options[name]!r}: {near_names(str(options[name]), words)}")


def _paths(table: PathLike | Sequence[PathLike] | None) -> tuple[Path, ...]:
    """The other tables; text is one path, or several with commas between them."""
    if table is None:
        return ()
    if not isinstance(table, str):
        return (Path(table),) if not isinstance(table, Sequence) else tuple(Path(path) for path in table)
    return (Path(table),) if Path(table).exists() else tuple(Path(part.strip()) for part in table.split(","))
