"""A recipe: which runs a published table needs, what it printed, and what it claims."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from mindgap.audit.claim import Direction
from mindgap.core.config import StrictModel, load_toml
from mindgap.core.errors import UnknownNameError, near_names

Scale = Literal["laptop", "gpu", "paper"]
Verb = Literal["train", "search", "compare", "prune", "tune", "tone"]
BASED = frozenset({"prune", "tune"})
"""Verbs that start from the runs of an earlier step."""
MAIN = "main"
"""Stands, in a figure, for the attribute that the whole table is about."""


class Step(StrictModel):
    """One call of a verb, or one per seed.

    Attributes:
        name: by which rows and later steps refer to it.
        verb: that is called.
        says: what it is for, in a line.
        options: of the verb, at every scale. A text that begins with ``@`` refers to an earlier step: ``@search`` is
            its run, ``@search.network`` that run's architecture, ``@search.ratios`` the batches it chose. ``seeds``
            makes one run per seed.
        scales: options of one scale, which come on top.
    """

    name: str
    verb: Verb
    says: str
    options: dict[str, Any] = Field(default_factory=dict)
    scales: dict[Scale, dict[str, Any]] = Field(default_factory=dict)

    def options_at(self, scale: Scale) -> dict[str, Any]:
        """All options at a scale, references as they stand."""
        return self.options | self.scales.get(scale, {})


class Figure(StrictModel):
    """A column of the table.

    Attributes:
        key: by which rows and claims refer to it.
        label: above the column.
        metric: of the audit, such as ``accuracy`` or ``unfairness``.
        attribute: whose groups a gap is of; ``main`` is the one the table is about. None of a figure of all rows.
    """

    key: str
    label: str
    metric: str
    attribute: str | None = None


class Row(StrictModel):
    """A row of the table.

    Attributes:
        label: as the paper calls it.
        of: ``step``, or ``step:member`` where a step leaves several networks (a method, a row of a pruning).
        paper: printed figures by key.
    """

    label: str
    of: str
    paper: dict[str, float] = Field(default_factory=dict)

    @property
    def step(self) -> str:
        """Name of the step."""
        return self.of.partition(":")[0]

    @property
    def member(self) -> str:
        """Which of the step's networks; empty of a step that leaves one."""
        return self.of.partition(":")[2]


class Claim(StrictModel):
    """What the paper says of two rows.

    Attributes:
        says: the claim.
        row: label of the row that is said to be better (or, with a margin, no worse).
        than: label of the other; None of a claim that a gap is there at all, by more than chance.
        figure: key of the figure.
        direction: in which it is said to change, or which is better.
        margin: largest loss of a claim of no loss; None of a claim of a change.
    """

    says: str
    row: str
    than: str | None = None
    figure: str
    direction: Direction
    margin: float | None = None


class Recipe(StrictModel):
    """A published table as runs, rows and claims.

    Attributes:
        name: by which it is asked for.
        title: what it is.
        paper: where it was published.
        question: that it answers.
        data: the paper's data and budget.
        suited: kind of stores that can answer it.
        task: of the stores it is for.
        differs: how ours differs, whatever the scale.
        steps: runs, in order.
        figures: columns.
        rows: rows, the baseline first.
        claims: what is judged.
        by_group: metric of which a table by group is added, such as ``accuracy``; None adds none.
        tones: images by tone band, ``before`` and ``after``, as printed.
    """

    name: str
    title: str
    paper: str
    question: str
    data: str
    suited: str
    task: Literal["single-label", "multi-label"] = "single-label"
    differs: tuple[str, ...] = ()
    steps: tuple[Step, ...]
    figures: tuple[Figure, ...] = ()
    rows: tuple[Row, ...] = ()
    claims: tuple[Claim, ...] = ()
    by_group: str | None = None
    tones: Mapping[Literal["before", "after"], Mapping[str, int]] | None = None

    @model_validator(mode="after")
    def _refers_to_what_is_there(self) -> Recipe:
        for number, step in enumerate(self.steps):
            _check_references(step, {earlier.name: earlier.verb for earlier in self.steps[:number]})
        steps, keys = [step.name for step in self.steps], {figure.key for figure in self.figures}
        labels = {row.label for row in self.rows}
        for row in self.rows:
            if row.step not in steps:
                raise ValueError(f"row {row.label!r} is of step {row.step!r}; {near_names(row.step, steps)}")
            if odd := set(row.paper) - keys:
                raise ValueError(f"row {row.label!r} has figures {sorted(odd)}, of which there is no column")
        for claim in self.claims:
            if claim.figure not in keys or {claim.row, claim.than or claim.row} - labels:
                raise ValueError(f"claim {claim.says!r} is of a row or figure that is not there")
        return self

    def figure(self, key: str) -> Figure:
        """The column of a key."""
        return next(figure for figure in self.figures if figure.key == key)

    def published(self, claim: Claim) -> float | None:
        """The printed difference that a claim is about, to six decimals; None if one of the two is not printed."""
        printed = {row.label: row.paper.get(claim.figure) for row in self.rows}
        own, other = printed[claim.row], None if claim.than is None else printed[claim.than]
        return None if own is None or other is None else round(own - other, 6)


def _check_references(step: Step, earlier: Mapping[str, Verb]) -> None:
    """Refuses references to steps that are not before it, or that have not what is wanted."""
    for options in (step.options, *step.scales.values()):
        for key, value in options.items():
            if not isinstance(value, str) or not value.startswith("@"):
                continue
            name, _, what = value[1:].partition(".")
            fits = what in {"", "network"} or (what == "ratios" and earlier.get(name) == "search")
            if name not in earlier or not fits:
                raise ValueError(f"step {step.name!r}: {key}={value!r} refers to nothing that an earlier step leaves")
    if step.verb in BASED and not str(step.options.get("run", "")).startswith("@"):
        raise ValueError(f"step {step.name!r}: {step.verb} needs the option run, such as '@base', an earlier step")


def recipe_names() -> tuple[str, ...]:
    """All recipes."""
    return tuple(sorted(Path(str(place)).stem for place in _folder().iterdir() if str(place).endswith(".toml")))


def read_recipe(name: str) -> Recipe:
    """The recipe of a name, or of a TOML file of the user's own.

    Raises:
        UnknownNameError: there is none of that name.
        ConfigError: the file cannot be read, or is no recipe.
    """
    if name.endswith(".toml"):
        return load_toml(Path(name), Recipe)
    if name not in recipe_names():
        raise UnknownNameError(f"no recipe {name!r}; {near_names(name, recipe_names())}")
    return load_toml(Path(str(_folder() / f"{name}.toml")), Recipe)


def _folder() -> Any:
    return files("mindgap.workflows") / "recipes"
