"""The runs of a recipe: each step calls its verb, once or once per seed, and goes on where it was stopped."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindgap.core.errors import ConfigError
from mindgap.core.files import read_json
from mindgap.workflows.reproduce_recipe import BASED, Recipe, Scale, Step

COMMON = ("device", "bootstrap", "permutations")
WORKERS = ("search", "compare")


@dataclass(frozen=True)
class Made:
    """What a step left.

    Attributes:
        step: the step.
        options: what its verb was asked, batches resolved, other references as they stand.
        folders: run folder of every seed.
        record: what the verb returned for the first seed.
    """

    step: Step
    options: Mapping[str, Any]
    folders: tuple[Path, ...]
    record: Mapping[str, Any]

    def members(self) -> dict[str, tuple[Path, ...]]:
        """Folders with predictions, one per seed, by what a row calls them."""
        if self.step.verb == "compare":
            methods = self.record["methods"]
            return {
                name: tuple(self.folders[0] / run["folder"] for run in of["runs"] if run["state"] == "complete")
                for name, of in methods.items()
            }
        if self.step.verb != "prune" or not self.options.get("rows"):
            return {"": self.folders}
        found: dict[str, list[Path]] = {}
        for folder in self.folders:
            for name, row in read_json(folder / "prune.json")["rows"]["rows"].items():
                found.setdefault(name, []).append(Path(row["run"]))
        return {name: tuple(of) for name, of in found.items()}

    def spent(self) -> dict[str, float | None]:
        """Image passes and seconds of all seeds; None where the verb does not count them."""
        return {name: self._sum(name) for name in ("image_passes", "seconds")}

    def _sum(self, name: str) -> float | None:
        if self.step.verb == "compare":
            return sum(of[name] or 0 for of in self.record["methods"].values())
        if self.step.verb == "search":
            return sum(trial.get(name) or 0 for trial in self.record["trials"])
        if self.step.verb == "train":
            return sum(read_json(folder / "metrics.json")["training"][name] for folder in self.folders)
        return None


@dataclass
class Steps:
    """Carries out a recipe's steps on a store.

    Attributes:
        recipe: whose steps.
        scale: of their budgets.
        store: folder of the images.
        attribute: the one that the table is about.
        out: folder under which every step has its own.
        given: options that all verbs get that know them.
        workers: of those that work in several processes.
        seed: the first one.
        made: what is done, by name.
    """

    recipe: Recipe
    scale: Scale
    store: Path
    attribute: str
    out: Path
    given: Mapping[str, Any]
    workers: int
    seed: int = 0
    made: dict[str, Made] = field(default_factory=dict)

    def carry_out(self, step: Step) -> Made:
        """Calls the step's verb."""
        options = step.options_at(self.scale)
        seeds = int(options.pop("seeds", 1)) if step.verb != "compare" else 1
        base = self._base(step, options)
        if base is not None:
            seeds = len(base.folders)
        folders, first, asked = [], None, {}
        for number in range(seeds):
            folder = self.out / (step.name if seeds == 1 else f"{step.name}_{self.seed + number}")
            resolved = self._resolved(options, number)
            record = self._call(step, resolved, folder, seed=self.seed + number)
            folders.append(folder)
            first, asked = (record, resolved) if first is None else (first, asked)
        told = options | ({"ratios": asked["ratios"]} if "ratios" in asked else {})
        made = Made(step, told, tuple(folders), first or {})
        self.made[step.name] = made
        return made

    def _base(self, step: Step, options: Mapping[str, Any]) -> Made | None:
        """The step whose runs a pruning or a tuning starts from."""
        return self.made[str(options["run"]).removeprefix("@")] if step.verb in BASED else None

    def _resolved(self, options: Mapping[str, Any], number: int) -> dict[str, Any]:
        found = {}
        for key, value in options.items():
            refers = isinstance(value, str) and value.startswith("@")
            found[key] = self._refer(value[1:], number) if refers else value
        return found

    def _refer(self, reference: str, number: int) -> str:
        name, _, what = reference.partition(".")
        made = self.made[name]
        folder = made.folders[min(number, len(made.folders) - 1)]
        if what == "ratios":
            record = made.record
            chosen = next(trial for trial in record["trials"] if trial["slot"] == record["chosen"])
            return ",".join(f"{group}={share:.6g}" for group, share in chosen["ratios"].items())
        return str(folder)

    def _call(self, step: Step, options: Mapping[str, Any], folder: Path, *, seed: int) -> Mapping[str, Any]:
        verb = verb_of(step)
        known = inspect.signature(verb).parameters
        given = {name: value for name, value in self.given.items() if name in known}
        if step.verb in WORKERS:
            given["workers"] = self.workers
        if step.verb in {"train", "search", "compare", "tune"}:
            given["attribute"] = self.attribute
        asked = given | {"seed": seed} | dict(options)
        if step.verb in BASED:
            return verb(asked.pop("run"), out=folder, **asked)
        return verb(self.store, out=folder, **asked)


def verb_of(step: Step) -> Callable[..., Mapping[str, Any]]:
    """The function of a step's verb, imported when it is first wanted."""
    return getattr(importlib.import_module(f"mindgap.workflows.{step.verb}"), step.verb)


def check_options(recipe: Recipe, scale: Scale) -> None:
    """Refuses options that a step's verb does not know.

    Raises:
        ConfigError: one is unknown.
    """
    for step in recipe.steps:
        known = set(inspect.signature(verb_of(step)).parameters) | {"seeds"}
        if step.verb == "compare":
            known |= {"methods", "trials", "network"}
        for name in step.options_at(scale):
            if name not in known:
                raise ConfigError(f"recipe {recipe.name}, step {step.name}: {step.verb} has no option {name!r}")
