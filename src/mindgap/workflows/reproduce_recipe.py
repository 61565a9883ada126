"""A recipe: which runs a published table needs, what it printed, and what it claims."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from mindgap.audit.claim import Direction, check_claim
from mindgap.core.config import StrictModel, load_toml
from mindgap.core.errors import ConfigError, UnknownNameError, near_names
from mindgap.metrics.metric import METRICS, AbstractGapMetric

Scale = Literal["laptop", "gpu", "paper"]
Verb = Literal["train", "search", "compare", "prune", "tune", "tone"]
BASED = frozenset({"prune", "tune"})
"""Verbs that start from the runs of an earlier step."""
GROUP_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auroc", "ece", "underestimation")
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

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
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
    def _refers_to_what_is_there(self) -> Recipe:  # noqa: C901  (one check after the other)
        for number, step in enumerate(self.steps):
            _check_references(step, {earlier.name: earlier.verb for earlier in self.steps[:number]})
        names = self._names()
        for what, of in names.items():
            if twice := [name for name in dict.fromkeys(of) if of.count(name) > 1]:
                raise ValueError(f"two {what} are called {twice[0]!r}")
        for figure in self.figures:
            _check_metric(figure)
        for row in self.rows:
            if row.step not in names["steps"]:
                raise ValueError(f"row {row.label!r} is of step {row.step!r}; {near_names(row.step, names['steps'])}")
            if odd := set(row.paper) - set(names["figures"]):
                raise ValueError(f"row {row.label!r} has figures {sorted(odd)}, of which there is no column")
        for claim in self.claims:
            self._check_claim(claim, names)
        if self.by_group is not None and self.by_group not in GROUP_METRICS:
            raise ValueError(f"by_group={self.by_group!r}; {near_names(self.by_group, GROUP_METRICS)}")
        if self.by_group == "underestimation" and self.task != "multi-label":
            raise ValueError("by_group='underestimation' is of labels; give task='multi-label', or another metric")
        if self.tones is not None and set(self.tones) != {"before", "after"}:
            raise ValueError("tones needs both before and after")
        return self

    def _check_claim(self, claim: Claim, names: Mapping[str, list[str]]) -> None:
        if claim.figure not in names["figures"] or {claim.row, claim.than or claim.row} - set(names["rows"]):
            raise ValueError(f"claim {claim.says!r} is of a row or figure that is not there")
        try:
            check_claim(claim.direction, published=self.published(claim), margin=claim.margin)
        except ConfigError as error:
            raise ValueError(f"claim {claim.says!r}: {error}") from None
        if claim.than is None and self.figure(claim.figure).attribute is None:
            raise ValueError(f"claim {claim.says!r}: that a gap is there can be said of a gap alone")

    def _names(self) -> dict[str, list[str]]:
        return {
            "steps": [step.name for step in self.steps],
            "figures": [figure.key for figure in self.figures],
            "rows": [row.label for row in self.rows],
        }

    def digest(self) -> str:
        """Of everything in it, 16 hexadecimal digits."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

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
    if step.verb not in BASED:
        return
    run = str(step.options.get("run", ""))
    if not run.startswith("@") or earlier.get(run[1:]) not in {"train", "search", *BASED}:
        raise ValueError(f"step {step.name!r}: {step.verb} needs run='@NAME', an earlier step that leaves one network")
    if any("run" in options for options in step.scales.values()):
        raise ValueError(f"step {step.name!r}: run is the same at all scales; leave it out of scales")


def _check_metric(figure: Figure) -> None:
    """Refuses a metric that is not known, or a gap without an attribute, or the reverse."""
    if figure.metric not in METRICS.names():
        raise ValueError(
            f"figure {figure.key!r}: no metric {figure.metric!r}; {near_names(figure.metric, METRICS.names())}"
        )
    is_gap = isinstance(METRICS.get(figure.metric)(), AbstractGapMetric)
    if is_gap == (figure.attribute is None):
        how = "is a gap and needs an attribute" if is_gap else "is of all rows and has no attribute"
        raise ValueError(f"figure {figure.key!r}: {figure.metric} {how}")


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
