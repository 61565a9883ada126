"""The table of a recipe: the paper's figures beside ours, by row, by label and by group, and its claims judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgap.audit.claim import judge_claim, judge_gap
from mindgap.audit.compared_models import Model
from mindgap.audit.comparison import ComparisonOptions, compare_models
from mindgap.audit.method_figures import difference_over_seeds, figure_over_seeds
from mindgap.core.files import read_json
from mindgap.data.image_store import Store
from mindgap.metrics.holm import holm
from mindgap.metrics.metric import METRICS, AbstractGapMetric
from mindgap.search.chosen import kept_probabilities
from mindgap.train.store_predictions import to_predictions
from mindgap.workflows.reproduce_recipe import MAIN, Claim, Figure, Recipe, Row
from mindgap.workflows.reproduce_steps import Made

Record = dict[str, Any]
POSITIVE = "1"


class Table:
    """Reads what the steps left.

    Args:
        recipe: whose table.
        made: its steps, done.
        store: the images.
        attribute: the one that the table is about.
        bootstrap: replicates of the intervals of differences.
        permutations: of their p-values.
        seed: of both.
    """

    def __init__(
        self,
        recipe: Recipe,
        made: Mapping[str, Made],
        store: Store,
        *,
        attribute: str,
        bootstrap: int,
        permutations: int,
        seed: int,
    ) -> None:
        self.recipe, self.store, self.attribute = recipe, store, attribute
        self._how = {"bootstrap": bootstrap, "permutations": permutations, "seed": seed}
        self._made = made
        self._networks = {row.label: made[row.step].members().get(row.member, ()) for row in recipe.rows}
        self._folders = {label: tuple(folder for _, folder in of) for label, of in self._networks.items()}
        self._models: dict[str, Model] = {}

    def rows(self) -> list[Record]:
        """Every row: ``label``, ``paper``, ``runs``, ``figures`` by key, and why a row is missing.

        ``kept`` has the iterations that each seed's pruning kept, and is None where nothing was pruned.
        """
        return [self._row(row) for row in self.recipe.rows]

    def claims(self) -> list[Record]:
        """Every claim: the printed difference, ours (of several labels each), the verdict and why.

        Swap tests are adjusted (Holm) over the labels of a claim; where there are none, over the recipe's claims.
        """
        records = [self._claim(claim) for claim in self.recipe.claims]
        together = {
            number: record["difference"]
            for number, (claim, record) in enumerate(zip(self.recipe.claims, records, strict=True))
            if record["labels"] is None and record["difference"] and claim.margin is None
        }
        _adjust(together)
        for claim, record in zip(self.recipe.claims, records, strict=True):
            if claim.than is not None or record["difference"]:
                self._judge(claim, record)
        return records

    def by_group(self) -> Record | None:
        """The recipe's metric by group, of every row, or of every label of the first row."""
        metric = self.recipe.by_group
        if metric is None:
            return None
        if self.store.task == "multi-label":
            first = next(filter(None, self._folders.values()), ())
            audits = [_test_of(folder)["labels"] for folder in first]
            rows = {label: [audit[label] for audit in audits] for label in self.store.classes if audits}
        else:
            rows = {
                label: [_test_of(folder) for folder in folders] for label, folders in self._folders.items() if folders
            }
        return {
            "metric": metric,
            "rows": {
                label: self._groups([one["attributes"][self.attribute] for one in of]) for label, of in rows.items()
            },
        }

    def _row(self, row: Row) -> Record:
        folders = self._folders[row.label]
        seeds = [seed for seed, _ in self._networks[row.label]]
        record: Record = {"label": row.label, "paper": row.paper, "runs": len(folders), "seeds": seeds}
        record |= {"missing": None, "kept": _kept(folders), "figures": {}}
        if not folders:
            return record | {"missing": self._made[row.step].why_missing(row.member)}
        audits = [_test_of(folder) for folder in folders]
        figures: Record = {}
        for figure in self.recipe.figures:
            if self.store.task == "multi-label":
                by_label = {
                    name: self._figure(figure, [a["labels"][name] for a in audits]) for name in self.store.classes
                }
                figures[figure.key] = {"labels": by_label}
            else:
                figures[figure.key] = self._figure(figure, audits)
        return record | {"figures": figures}

    def _figure(self, figure: Figure, audits: Sequence[Mapping[str, Any]]) -> Record:
        if (reason := self._absent(figure, audits[0])) is not None:
            return {"mean": None, "low": None, "high": None, "reason": reason}
        if figure.attribute is None:
            return figure_over_seeds([audit["overall"][figure.metric] for audit in audits])
        return figure_over_seeds([audit["attributes"][self._named(figure)]["gaps"][figure.metric] for audit in audits])

    def _absent(self, figure: Figure, audit: Mapping[str, Any]) -> str | None:
        """Why an audit has not the figure; None if it has."""
        name = self._named(figure)
        if figure.attribute is not None and name not in audit["attributes"]:
            return f"the store has no attribute {name!r}"
        known = audit["overall"] if figure.attribute is None else audit["attributes"][name]["gaps"]
        return None if figure.metric in known else f"{figure.metric} is not defined for this store's classes"

    def _named(self, figure: Figure) -> str:
        return self.attribute if figure.attribute == MAIN else str(figure.attribute)

    def _groups(self, audits: Sequence[Mapping[str, Any]]) -> Record:
        metric = str(self.recipe.by_group)
        if metric == "underestimation":
            of = [audit["per_class"][POSITIVE][metric] for audit in audits]
            return {group: figure_over_seeds([one[group] for one in of]) for group in of[0]}
        return {
            group: figure_over_seeds([audit["groups"][group][metric] for audit in audits])
            for group in audits[0]["groups"]
        }

    def _claim(self, claim: Claim) -> Record:
        figure, published = self.recipe.figure(claim.figure), self.recipe.published(claim)
        record: Record = claim.model_dump() | {"published": published, "labels": None}
        if (reason := self._cannot_judge(claim, figure)) is not None:
            return record | _measured(_undefined(reason))
        name = self._named(figure)
        if claim.than is None:
            return record | self._beyond_chance(claim, figure, name)
        is_gap = isinstance(METRICS.get(figure.metric)(), AbstractGapMetric)
        options = ComparisonOptions(gap=figure.metric if is_gap else "unfairness", **self._how)
        compared = compare_models([self._model(claim.than), self._model(claim.row)], options)
        if "labels" not in compared:
            return record | _measured(_difference(compared, figure, name, claim.row), self._over_seeds(claim, figure))
        left_out = {
            label for row in (claim.row, claim.than) for folder in self._folders[row] for label in _left_out(folder)
        }
        by_label = {
            label: _measured(_difference(of, figure, name, claim.row), self._over_seeds(claim, figure, label))
            for label, of in compared["labels"].items()
            if label not in left_out
        }
        if not by_label:
            return record | _measured(_undefined("no label was tuned"))
        if claim.margin is None:
            _adjust({label: of["difference"] for label, of in by_label.items()})
        none = {"difference": None, "verdict": None, "why": None}
        return record | {"labels": by_label, "left_out": sorted(left_out), **none}

    def _cannot_judge(self, claim: Claim, figure: Figure) -> str | None:
        """Why a claim is undecidable whatever was measured; None if it is not."""
        missing = [label for label in (claim.row, claim.than) if label is not None and not self._folders[label]]
        if missing:
            return f"row {missing[0]!r} is missing"
        audit = _test_of(self._folders[claim.row][0])
        first = audit["labels"][self.store.classes[0]] if self.store.task == "multi-label" else audit
        if (reason := self._absent(figure, first)) is not None:
            return reason
        if claim.than is not None and not {*self._seeds(claim.row)} & {*self._seeds(claim.than)}:
            return "the rows have no seed in common"
        kept = _kept(self._folders[claim.row])
        return "no iteration of pruning was kept" if kept is not None and not any(kept) else None

    def _seeds(self, row: str) -> list[int]:
        return [seed for seed, _ in self._networks[row]]

    def _beyond_chance(self, claim: Claim, figure: Figure, name: str) -> Record:
        """Whether a row's gap, of several labels each, is more than chance."""
        audits = [_test_of(folder) for folder in self._folders[claim.row]]
        of_labels = {"": audits}
        if self.store.task == "multi-label":
            of_labels = {label: [audit["labels"][label] for audit in audits] for label in self.store.classes}
        found: Record = {}
        by_seed = [
            holm(
                {label: of[k]["attributes"][name]["gaps"][figure.metric]["p_value"] for label, of in of_labels.items()}
            )
            for k in range(len(audits))
        ]
        for label in of_labels:
            judged = judge_gap(
                [of_seed[label] for of_seed in by_seed],
                permutations=self._how["permutations"],
                together=max(1, *(sum(p is not None for p in of_seed.values()) for of_seed in by_seed)),
            )
            found[label] = {"difference": None, "verdict": judged.verdict, "why": judged.why}
        if "" in found:
            return found[""]
        return {"labels": found, "difference": None, "verdict": None, "why": None}

    def _over_seeds(self, claim: Claim, figure: Figure, label: str | None = None) -> Record:
        """The claimed difference of every seed that both rows have, with Student's interval: training again."""
        values = []
        for row in (claim.than, claim.row):
            of_seed = {}
            for seed, folder in self._networks[str(row)]:
                audit = _test_of(folder) if label is None else _test_of(folder)["labels"][label]
                whole = audit["overall"]
                known = whole if figure.attribute is None else audit["attributes"][self._named(figure)]["gaps"]
                of_seed[seed] = known[figure.metric]["value"]
            values.append(of_seed)
        first, second = values
        seeds = [seed for seed in first if seed in second]
        pairs = [(first[seed], second[seed]) for seed in seeds]
        found = difference_over_seeds([one for one, _ in pairs], [other for _, other in pairs])
        return found | {"by_seed": [None if None in pair else pair[1] - pair[0] for pair in pairs]}

    def _judge(self, claim: Claim, record: Record) -> None:
        """Puts the verdict into a claim's record, or into that of each label."""
        for entry in [record] if record["labels"] is None else record["labels"].values():
            found = judge_claim(
                entry["difference"],
                direction=claim.direction,
                published=record["published"] if claim.margin is None and record["labels"] is None else None,
                margin=claim.margin,
                by_seed=entry["seeds"]["by_seed"] if entry["seeds"] else (),
                permutations=self._how["permutations"],
            )
            entry |= {"verdict": found.verdict, "why": found.why}

    def _model(self, label: str) -> Model:
        """A row's test predictions, every seed."""
        if label not in self._models:
            folders, rows = self._folders[label], self.store.rows("test")
            predictions = tuple(
                to_predictions(self.store, rows, kept_probabilities(self.store, folder, "test")) for folder in folders
            )
            seeds = tuple(seed for seed, _ in self._networks[label])
            self._models[label] = Model(label, tuple(map(str, folders)), seeds, predictions)
        return self._models[label]


def _kept(folders: Sequence[Path]) -> list[int] | None:
    """Iterations of pruning behind each folder's network."""
    records = [folder / "prune.json" for folder in folders]
    return [read_json(path)["kept"] for path in records] if records and all(map(Path.is_file, records)) else None


def _measured(difference: Mapping[str, Any], seeds: Record | None = None) -> Record:
    """A difference that is still to be judged."""
    return {"difference": dict(difference), "seeds": seeds, "verdict": None, "why": None}


def _adjust(differences: Mapping[Any, Record]) -> None:
    """Adjusts the p-values of differences that are judged together, in place."""
    adjusted = holm({key: one["p_value"] for key, one in differences.items() if "p_value" in one})
    for key, p in adjusted.items():
        differences[key]["p_holm"] = p


def _undefined(reason: str) -> Record:
    return {"value": None, "low": None, "high": None, "reason": reason}


def _left_out(folder: Path) -> Sequence[str]:
    """Labels that a tuning did not touch, such as one with too few images."""
    record = folder / "tune.json"
    return list(read_json(record)["left_out"]) if record.is_file() else []


def _test_of(folder: Path) -> Mapping[str, Any]:
    """The AUDIT of a run's test split."""
    return read_json(folder / "metrics.json")["test"]


def _difference(compared: Mapping[str, Any], figure: Figure, attribute: str, model: str) -> Mapping[str, Any]:
    if figure.attribute is None:
        return compared["overall"][figure.metric][model]
    gaps = compared["attributes"][attribute]["gaps"]
    return gaps[figure.metric][model] if gaps else _undefined("fewer than two groups have rows")
