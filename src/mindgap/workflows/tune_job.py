"""One tuning job: the trained head, the rows that it is tuned and chosen on, and what is tuned of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mindgap.core.errors import ConfigError, DataError, UnknownNameError, near_names
from mindgap.core.groups import Groups
from mindgap.core.seed import derive_seed
from mindgap.data.image_store import Store
from mindgap.train.device import choose_device
from mindgap.train.trained_model import TrainedModel
from mindgap.tune.cells import Cells, make_cells
from mindgap.tune.choice import split_half
from mindgap.tune.eligible import refused_labels
from mindgap.tune.features import cached_features, feature_tensor
from mindgap.tune.head import Floats
from mindgap.tune.objectives import Objectives, larger_is_better, make_objectives
from mindgap.tune.options import TuneOptions
from mindgap.tune.problem import HeadProblem, make_problem
from mindgap.tune.trained_head import TrainedHead, trained_head

Rows = NDArray[np.int64]
ALL = "all"
FIGURES = ("accuracy", "uei")


@dataclass(frozen=True)
class Unit:
    """What has a front of its own.

    Attributes:
        name: a label's, ``all`` of one head for several labels, or the task's where classes exclude each other.
        outputs: numbers of the logits that are tuned.
    """

    name: str
    outputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of the store, int64 (n,), and the network's features of them, float32 (n, F)."""

    rows: Rows
    features: torch.Tensor


@dataclass(frozen=True, eq=False)
class TuneJob:
    """A trained network whose head is tuned.

    Attributes:
        model: of a finished run.
        store: that it was trained on.
        options: of the tuning.
        start: the classifier that the tuning starts at, on the device; None is the network's own.
    """

    model: TrainedModel
    store: Store
    options: TuneOptions
    start: nn.Module | None = None

    @property
    def is_multi_label(self) -> bool:
        """Whether an output is a label of its own."""
        return self.store.task == "multi-label"

    @property
    def attribute(self) -> str:
        """Whose groups count.

        Raises:
            UnknownNameError: the store has no such attribute.
        """
        name, known = self.options.attribute or self.model.attribute, tuple(self.store.attributes)
        if name not in known:
            raise UnknownNameError(f"{self.store.path}: no attribute {name!r}; {near_names(name, known)}")
        return name

    @cached_property
    def groups(self) -> Groups:
        """Of all rows of the store."""
        return self.store.groups(self.attribute)

    @cached_property
    def objectives(self) -> Objectives:
        """What is minimised."""
        return make_objectives(self.options.objectives)

    @cached_property
    def gap(self) -> str:
        """The objective that the rule of choice wants small: UEI, or the first that is not accuracy."""
        names = self.objectives.names
        return "uei" if "uei" in names else next(name for name in names if name != "accuracy")

    @cached_property
    def figure_names(self) -> tuple[str, ...]:
        """Accuracy, UEI, and the objectives beside them."""
        return tuple(dict.fromkeys((*FIGURES, *self.objectives.names)))

    @cached_property
    def device(self) -> torch.device:
        """Where heads are judged."""
        return choose_device(self.options.device)

    @cached_property
    def halves(self) -> tuple[Rows, Rows]:
        """Rows of the store to tune on, and to choose on: halves of validation, or twice all of it."""
        rows = self.store.rows("validation")
        if not self.options.hold_back:
            return rows, rows
        tuned, held = split_half(
            self.store.labels[rows],
            self.groups.take(rows),
            clusters=self.store.clusters[rows],
            seed=self.options.seed,
        )
        return rows[tuned], rows[held]

    @cached_property
    def left_out(self) -> dict[str, str]:
        """Labels that are not tuned because a group has too few rows of them, with the reason."""
        if not self.is_multi_label:
            return {}
        parts = {name: self.store.rows(name) for name in ("validation", "test")}
        parts = {name: rows for name, rows in parts.items() if len(rows)}
        found = self._refused(parts, self.options.min_rows)
        halves = {"half to tune on": self.halves[0], "half to choose on": self.halves[1]}
        return self._refused(halves, 1) | found

    def _refused(self, parts: dict[str, Rows], min_rows: int) -> dict[str, str]:
        return refused_labels(
            {name: self.store.labels[rows].astype(np.uint8) for name, rows in parts.items()},
            {name: self.groups.take(rows) for name, rows in parts.items()},
            names=self.store.classes,
            min_rows=min_rows,
        )

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of what is tuned: labels, or the task where classes exclude each other.

        Raises:
            UnknownNameError: a named label is none of the store.
            ConfigError: labels are named of a task that has none.
            DataError: a named label, or every label, has too few rows of a group.
        """
        named = self.options.labels
        if not self.is_multi_label:
            if named is not None:
                raise ConfigError(
                    f"labels={','.join(named)}: the classes of {self.store.path} exclude each other and have one head; "
                    "leave --labels out"
                )
            return (self.store.task,)
        for name in named or ():
            if name not in self.store.classes:
                raise UnknownNameError(f"{self.store.path}: no label {name!r}; {near_names(name, self.store.classes)}")
            if name in self.left_out:
                raise DataError(
                    f"label {name!r}: {self.left_out[name]}; leave it out, or {_advice(self.left_out[name])}"
                )
        fitting = tuple(name for name in self.store.classes if name not in self.left_out and name in (named or (name,)))
        if not fitting:
            name, reason = next(iter(self.left_out.items()))
            raise DataError(f"no label can be tuned; {name!r}: {reason}; {_advice(reason)}, or use more images")
        return fitting

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """What has a front of its own, in the order of the store's labels."""
        if not self.is_multi_label:
            return (Unit(self.store.task, tuple(range(len(self.store.classes)))),)
        numbers = tuple(self.store.classes.index(name) for name in self.labels)
        if self.options.mode == "dynamic":
            return (Unit(ALL, numbers),)
        return tuple(Unit(name, (number,)) for name, number in zip(self.labels, numbers, strict=True))

    @property
    def classifier(self) -> nn.Module:
        """Where the tuning starts."""
        return self.model.network.classifier if self.start is None else self.start

    def head(self, outputs: tuple[int, ...]) -> TrainedHead:
        """The part of the trained head that gives some logits: of its last layer, or in a subspace of all of it."""
        return trained_head(self.classifier, part="last" if self.options.subspace is None else "all", outputs=outputs)

    def known(self, part: Part) -> int:
        """Rows whose group is known, which alone decide the figures of points."""
        return int(self.groups.take(part.rows).known.sum())

    def cells(self, rows: Rows, outputs: tuple[int, ...]) -> Cells:
        """Groups and labels of some rows, of the tasks that these logits are of."""
        labels, groups, names = self.store.labels[rows], self.groups.take(rows), tuple(self.store.classes)
        if self.is_multi_label:
            labels, names = labels[:, list(outputs)].astype(np.uint8), tuple(names[number] for number in outputs)
        return make_cells(labels, groups, classes=names, device=self.device)

    def part(self, name: str, rows: Rows, *, folder: Path) -> Part:
        """Some rows with the network's features of them, which are kept in the folder."""
        network = self.model.network.to(self.device)
        kept = cached_features(self.model, self.store, rows, folder=folder, name=name)
        network.to("cpu")
        return Part(rows, feature_tensor(kept, self.device))

    def validation_parts(self, folder: Path) -> tuple[Part, Part]:
        """The rows to tune on and those to choose on, of features that are computed together."""
        rows = self.store.rows("validation")
        whole = self.part("validation", rows, folder=folder)
        if not self.options.hold_back:
            return whole, whole
        first, second = (torch.from_numpy(np.searchsorted(rows, half)).to(self.device) for half in self.halves)
        return Part(self.halves[0], whole.features[first]), Part(self.halves[1], whole.features[second])

    def problem(self, part: Part, outputs: tuple[int, ...]) -> HeadProblem:
        """Heads of these logits on some rows."""
        return make_problem(
            self.head(outputs),
            part.features,
            self.cells(part.rows, outputs),
            reach=self.options.reach,
            directions=self.options.subspace,
            seed=derive_seed(self.options.seed, "subspace", *outputs),
        )

    def heads(self, unit: Unit, points: Floats, tuned_on: Part) -> Floats:
        """The heads (K, D) of a front's points, which are offsets where a subspace is searched."""
        return points if self.options.subspace is None else self.problem(tuned_on, unit.outputs).heads(points)

    def figures(self, part: Part, outputs: tuple[int, ...], heads: Floats) -> Floats:
        """Figures (P, T, M) of heads on the rows of known group, in the order of ``figure_names``.

        Each is as its metric has it, but ``underestimation``, which is mean |log US|.
        """
        head = self.head(outputs)
        inputs, cells = head.inputs_of(part.features), self.cells(part.rows, outputs)
        found = HeadProblem(head.head, inputs, cells, head.vector, np.ones_like(head.vector)).figures(
            self.figure_names, heads
        )
        larger = [larger_is_better(name) for name in self.figure_names]
        return np.where(larger, 1 - found, found)


def _advice(reason: str) -> str:
    """What may help a label with too few rows: a half needs one of each, whatever ``--min-rows`` is."""
    return "give --no-hold-back or another --seed" if reason.startswith("half") else "lower --min-rows"
