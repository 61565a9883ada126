"""What ``audit`` judges: predictions from a file, with the columns that other tables add to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mindgap.core.errors import ConfigError, DataError
from mindgap.core.groups import Groups, refuse_alike_but_for_blanks
from mindgap.data.attribute import AttributeSpec, Factor, Grouped, parse_attributes, usable_groups
from mindgap.data.column_names import MARKS, column_meant, nameable, to_rename
from mindgap.metrics.predictions import MultiLabelPredictions, Predictions
from mindgap.metrics.predictions_table import decision_columns, read_columns, refuse_own_column, rows_of_split
from mindgap.metrics.table_file import RenamedTable, TableFile, open_table
from mindgap.metrics.table_join import SideTable, join, open_side_tables
from mindgap.metrics.table_predictions import predictions_from_table
from mindgap.metrics.text_table import TextTable, listed, require_column

_OWN = frozenset({"id", "label", "prediction", "cluster", "split"})
_MOST_GROUPS = 1000
_MARKS = MARKS.replace("*", "")
"""What no name of a column can hold here; ``sex*age`` may be one, of an earlier run."""


@dataclass(frozen=True)
class Question:
    """What to judge.

    Attributes:
        path: the predictions table.
        attributes: as the user wrote them, or names of columns; None takes every column there is no other use for.
        cluster: name of the cluster column.
        split: which rows.
        tables: other tables.
        id: their id column.
        label: their class column.
        own: columns of the predictions table that stand for ``id`` and ``label``.
        takes_tables: whether the verb can join other tables, which a refusal then suggests.
    """

    path: Path
    attributes: str | Sequence[str] | None = None
    cluster: str | None = None
    split: str | None = None
    tables: tuple[Path, ...] = ()
    id: str = "id"
    label: str | None = None
    own: Mapping[str, str] = field(default_factory=dict[str, str])
    takes_tables: bool = True


@dataclass(frozen=True, eq=False)
class Audited:
    """What was read.

    Attributes:
        predictions: the rows to judge.
        rows: how many the file has.
        split: which of them were taken, ``all`` or the name of a split.
        cluster: the cluster column, None where there is none.
        specs: attribute name → as the user would write it.
        out_of_range: attribute name → rows whose value fits no group.
        left_out: attributes that were not asked for by name and cannot be judged, with the reason.
    """

    predictions: Predictions | MultiLabelPredictions
    rows: int
    split: str
    cluster: str | None
    specs: Mapping[str, str]
    out_of_range: Mapping[str, int]
    left_out: Mapping[str, str]


def read_audited(question: Question, *, order: Mapping[str, Sequence[str]] | None = None) -> Audited:
    """Reads what is to be judged.

    Args:
        question: what to read.
        order: attribute name → its groups in order, where the order of their names is not the one wanted.

    Raises:
        ConfigError: no attribute is named, or its syntax is wrong.
        DataError: a table is refused; the line names the table, the row and the value.
    """
    source = str(question.path)
    file = _opened(question)
    sides = open_side_tables(question.tables, key=question.id)
    names = _all_names(file, sides)
    specs = _specs(question, names, file=file)
    columns = tuple(dict.fromkeys(factor.column for spec in specs for factor in spec.factors))
    needed = dict.fromkeys(columns, "attribute")
    if not sides and not _has_labels(file):
        needed["label"] = "classes, and no label_<name>"
    meant = {column: column_meant(column, names) or column for column in columns}
    for column, purpose in needed.items():
        try:
            _require(meant.get(column, column), names, purpose=purpose, source=_sources(source, sides))
        except DataError as error:
            named = "; name it with --label COLUMN" if column == "label" and question.takes_tables else ""
            raise DataError(f"{error}{named}{_or_join(question, file)}") from None
    for column in columns:
        refuse_own_column(column, source)
    renamed = {header: column for column, header in meant.items() if header != column}
    if renamed:
        file, sides = RenamedTable(file, renamed), [side.renamed(renamed) for side in sides]
        question = replace(question, cluster=renamed.get(question.cluster or "", question.cluster))
    table, rows = _rows(question, file, sides, columns)
    grouped, left_out = _grouped(specs, table, asked=question.attributes is not None)
    groups = {name: one.groups.in_order((order or {}).get(name, ())) for name, one in grouped.items()}
    cluster = question.cluster or ("cluster" if "cluster" in table.names else None)
    if cluster in table.names:
        refuse_alike_but_for_blanks(table.codes(cluster)[1], column=f"column {cluster!r}")
    return Audited(
        predictions=predictions_from_table(table, groups=groups, cluster=cluster),
        rows=rows,
        split=question.split or ("test" if "split" in table.names else "all"),
        cluster=cluster,
        specs={spec.name: spec.spec for spec in specs if spec.name in groups},
        out_of_range={name: one.out_of_range for name, one in grouped.items()},
        left_out=left_out,
    )


def _opened(question: Question) -> TableFile:
    """The predictions table, with its columns of ids and labels under these names."""
    source, own = str(question.path), dict(question.own)
    file = open_table(question.path, key=own.get("id", "id"))
    if question.tables and "id" not in file.names and question.id in file.names:
        own["id"] = question.id  # both tables call it so
    for name, column in own.items():
        require_column(column, file.names, purpose=f"--{name}", source=source)
    if len(set(own.values())) < len(own):
        raise ConfigError(f"{source}: --id and --label name one column, {own['id']!r}; they are two")
    if own:
        file = RenamedTable(file, {column: name for name, column in own.items()})
    try:
        require_column("id", file.names, purpose="row names", source=source)
    except DataError as error:
        named = "; or name it with --id COLUMN" if question.takes_tables and not question.tables else ""
        raise DataError(f"{error}{named}") from None
    return file


def candidate_columns(names: Iterable[str]) -> tuple[str, ...]:
    """The columns of a predictions table that could name groups: those it has no other use for."""
    names, pandas_index = tuple(names), "__index_level_"
    decided = decision_columns(names)
    return tuple(
        name
        for name in dict.fromkeys(names)
        if name and name not in _OWN and name not in decided and not name.startswith(("prob_", "label_", pandas_index))
    )


def _has_labels(file: TableFile) -> bool:
    return any(name == "label" or name.startswith("label_") for name in file.names)


def _or_join(question: Question, file: TableFile) -> str:
    """The options that would join what the predictions lack; nothing where the user did, or where none can."""
    if question.tables or not question.takes_tables:
        return ""
    return "; or join it with --table metadata.csv --id COLUMN" + ("" if _has_labels(file) else " --label COLUMN")


def _require(column: str, names: tuple[str, ...], *, purpose: str, source: str) -> None:
    """Checks that a column is there; where it is not, an attribute may only be another that can be written."""
    if purpose == "attribute" and column not in names:
        purpose = f"attribute; {to_rename(column, names, marks=_MARKS)}".removesuffix("; ")
        names = nameable(names, marks=_MARKS)
    require_column(column, names, purpose=purpose, source=source)


def _all_names(file: TableFile, sides: Sequence[SideTable]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*filter(None, file.names), *(name for side in sides for name in side.names)]))


def _sources(source: str, sides: Sequence[SideTable]) -> str:
    return " and ".join([source, *(side.source for side in sides)])


def _specs(question: Question, names: tuple[str, ...], *, file: TableFile) -> tuple[AttributeSpec, ...]:
    """The attributes; a column whose name is just what was written is that column, as ``sex*age`` of an earlier run."""
    asked, source = question.attributes, str(question.path)
    if asked is None:
        found = candidate_columns(file.names)
        if not found:
            raise DataError(f"{source}: no column names groups; add one{_or_join(question, file)}")
        return tuple(AttributeSpec(name, (Factor(name),)) for name in found)
    items = [item.strip() for item in asked.split(",")] if isinstance(asked, str) else list(asked)
    if not any(items):
        found = listed(
            [name for name in candidate_columns(names) if name not in {question.id, question.label, question.cluster}]
        )
        raise ConfigError(
            f"{source}: no attribute is named; name columns of groups with --attributes, "
            + (f"from: {found}" if found else f"but there is no column for it: add one{_or_join(question, file)}")
        )
    specs: dict[str, AttributeSpec] = {}
    parsed = [item for item in items if "*" not in item or column_meant(item, names) is None]
    for spec in parse_attributes(parsed) if parsed else ():
        specs[spec.name] = spec
    for item in items:
        if item not in parsed:
            specs[item] = AttributeSpec(item, (Factor(item),))
    return tuple(specs.values())


def _rows(
    question: Question, file: TableFile, sides: Sequence[SideTable], columns: tuple[str, ...]
) -> tuple[TextTable, int]:
    """The rows to judge with all their columns, and how many rows the file has."""
    source = str(question.path)
    own_cluster = question.cluster if question.cluster in file.names else None
    if question.cluster and not own_cluster:
        require_column(question.cluster, _all_names(file, sides), purpose="clusters", source=_sources(source, sides))
    table = read_columns(file, [name for name in columns if name in file.names], cluster=own_cluster, source=source)
    rows, late = table.n, _split_is_elsewhere(question, table, sides)
    if not late:
        table = rows_of_split(table, question.split)
    wanted = _joined(question, table, sides, columns) | ({"split": "split"} if late else {})
    for side in sides:
        here = {name: theirs for name, theirs in wanted.items() if theirs in side.names}
        table = join(table, side, here)
    return (rows_of_split(table, question.split) if late else table), rows


def _split_is_elsewhere(question: Question, table: TextTable, sides: Sequence[SideTable]) -> bool:
    """Whether the split that was asked for stands in another table; one that was not asked for there is not used."""
    asked = question.split not in {None, "all"}
    return asked and "split" not in table.names and any("split" in side.names for side in sides)


def _joined(
    question: Question, table: TextTable, sides: Sequence[SideTable], columns: tuple[str, ...]
) -> dict[str, str]:
    """Which columns the other tables add: name in the result → name there."""
    if not sides:
        return {}
    there = _all_names_of(sides)
    wanted = {name: name for name in (*columns, question.cluster or "cluster") if name in there}
    if question.label is not None:
        require_column(question.label, there, purpose="label", source=_sources("", sides).removeprefix(" and "))
        return wanted | {"label": question.label}
    if "label" in table.names or any(name.startswith("label_") for name in table.names):
        return wanted
    if "label" in there:
        return wanted | {"label": "label"}
    labels = [name.replace("prob_", "label_", 1) for name in table.names if name.startswith("prob_")]
    if labels and all(label in there for label in labels):
        return wanted | {label: label for label in labels}
    several = f" (or give, of several yes-or-no labels, {listed(labels)})" if labels else ""
    raise DataError(
        f"{_sources(table.source, sides)}: no column 'label' in any; name the class column of the table with --label"
        f"{several}; columns there: {listed(there)}"
    )


def _all_names_of(sides: Sequence[SideTable]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for side in sides for name in side.names))


def _grouped(
    specs: Sequence[AttributeSpec], table: TextTable, *, asked: bool
) -> tuple[dict[str, Grouped], dict[str, str]]:
    """The groups of every attribute; those that nobody asked for by name may be left out, with the reason."""
    frame = table.frame(tuple(dict.fromkeys(factor.column for spec in specs for factor in spec.factors)))
    grouped: dict[str, Grouped] = {}
    left_out: dict[str, str] = {}
    for spec in specs:
        try:
            found = spec.groups(frame)
            _refuse_too_many(usable_groups(found))
            grouped[spec.name] = found
        except DataError as error:
            if asked:
                raise DataError(f"{table.source}: {error}") from None
            left_out[spec.name] = str(error)
    if not grouped:
        raise DataError(f"{table.source}: no column names groups that can be compared: {'; '.join(left_out.values())}")
    return grouped, left_out


def _refuse_too_many(groups: Groups) -> None:
    if len(groups.names) > _MOST_GROUPS:
        raise DataError(
            f"attribute {groups.attribute!r} has {len(groups.names)} groups, such as {groups.names[0]!r}; an audit "
            f"takes at most {_MOST_GROUPS}: name another column, or cut numbers as age:bands=0/30/60"
        )
