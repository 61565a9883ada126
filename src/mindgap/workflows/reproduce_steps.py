"""The runs of a recipe: each step calls its verb, once or once per seed, and goes on where it was stopped."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindgap.core.errors import ConfigError, OutOfMemoryFailure, TrainingFailure
from mindgap.core.files import read_json
from mindgap.workflows.reproduce_recipe import BASED, MAIN, Recipe, Scale, Step

Networks = tuple[tuple[int, Path], ...]
"""Runs with predictions, each with its seed."""
COMMON = ("device", "bootstrap", "permutations")
OURS = frozenset({"out", "seed", "force", "device", "bootstrap", "permutations", "workers", "attribute", "store"})
"""Options that the verb gives its steps; a recipe does not."""
WORKERS = ("search", "compare")
FALLIBLE = ("train", *BASED)
"""Verbs of which one seed may come to nothing, and the others are reported."""


@dataclass(frozen=True)
class Made:
    """What a step left.

    Attributes:
        step: the step.
        options: what its verb was asked, batches resolved, other references as they stand.
        folders: run folder of every seed that has a network.
        seeds: of these runs.
        record: what the verb returned for the first of them.
        failed: why another seed has none, by its number.
        lost: image passes and seconds of trainings that failed, where they are known.
    """

    step: Step
    options: Mapping[str, Any]
    folders: tuple[Path, ...]
    seeds: tuple[int, ...]
    record: Mapping[str, Any]
    failed: Mapping[int, str] = field(default_factory=dict)
    lost: tuple[Mapping[str, float], ...] = ()

    def members(self) -> dict[str, Networks]:
        """Networks with predictions, by what a row calls them."""
        if self.step.verb == "compare":
            return {
                name: tuple((run["seed"], self.folders[0] / run["folder"]) for run in of["runs"] if _is_done(run))
                for name, of in self.record["methods"].items()
            }
        if not self._has_rows():
            return {"": tuple(zip(self.seeds, self.folders, strict=True))}
        found: dict[str, list[tuple[int, Path]]] = {}
        for seed, folder in zip(self.seeds, self.folders, strict=True):
            for name, row in read_json(folder / "prune.json")["table"]["rows"].items():
                found.setdefault(name, []).append((seed, Path(row["run"])))
        return {name: tuple(of) for name, of in found.items()}

    def why_missing(self, member: str) -> str:
        """Why a row has no network."""
        if not self.folders:
            return f"step {self.step.name}: {next(iter(self.failed.values()))}"
        if self._has_rows() and (why := read_json(self.folders[0] / "prune.json")["table"]["missing"]):
            return str(why)
        if self.step.verb == "compare" and member in self.record["methods"]:
            return str(self.record["methods"][member]["reason"])
        return f"step {self.step.name} left no network {member or self.step.name!r}"

    def runs(self) -> int:
        """Trainings, searches, prunings or tunings that it is made of."""
        if self.step.verb == "compare":
            return sum(len(networks) for networks in self.members().values())
        return len(self.folders)

    def spent(self) -> dict[str, float | None]:
        """Image passes and seconds of all seeds, with those that failed, and a pruning's counterparts and controls.

        None where they are not counted.
        """
        return {name: self._sum(name) for name in ("image_passes", "seconds")}

    def _has_rows(self) -> bool:
        return self.step.verb == "prune" and bool(self.options.get("rows"))

    def _sum(self, name: str) -> float | None:
        if self.step.verb == "compare":
            return sum(of[name] or 0 for of in self.record["methods"].values())
        if self.step.verb == "search":
            return sum(trial.get(name) or 0 for trial in self.record["trials"])
        if self.step.verb not in {"train", "prune"}:
            return None
        folders = [*self.folders, *(place for folder in self.folders for place in sorted(folder.glob("rows/*")))]
        trained = sum(read_json(folder / "metrics.json")["training"].get(name) or 0 for folder in folders)
        trained += sum(one.get(name) or 0 for one in self.lost)
        pruned = [read_json(folder / "prune.json") for folder in folders if (folder / "prune.json").is_file()]
        return trained + sum(one.get(name) or 0 for record in pruned for one in record["control"])


def _is_done(run: Mapping[str, Any]) -> bool:
    return run["state"] == "complete"


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
        known: attributes of the store.
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
    known: tuple[str, ...] = ()
    seed: int = 0
    made: dict[str, Made] = field(default_factory=dict)

    def carry_out(self, step: Step) -> Made:
        """Calls the step's verb; a training that diverges leaves its seed out, with the reason.

        Raises:
            TrainingFailure: not a training of one seed, but a search or a comparison came to nothing, or memory ran
                out, for which something else on the machine may be the cause: the same call goes on.
        """
        options = step.options_at(self.scale)
        asked_seeds = int(options.pop("seeds", 1)) if step.verb != "compare" else 1
        base = self._base(step, options)
        seeds = tuple(self.seed + number for number in range(asked_seeds)) if base is None else base.seeds
        failed = {} if base is None else dict(base.failed)
        several = len(seeds) + len(failed) > 1
        done: list[tuple[int, Path, Mapping[str, Any], dict[str, Any]]] = []
        lost: list[Mapping[str, float]] = []
        for seed in seeds:
            folder = self.out / (f"{step.name}_{seed}" if several else step.name)
            try:
                resolved = self._resolved(options, seed)
                record = self._call(step, resolved, folder, seed=seed)
            except TrainingFailure as failure:
                if step.verb not in FALLIBLE or isinstance(failure, OutOfMemoryFailure):
                    raise
                failed[seed] = str(failure)
                lost.append(failure.spent)
            else:
                done.append((seed, folder, record, resolved))
        told = dict(options)
        if done and "ratios" in done[0][3]:
            told["ratios"] = done[0][3]["ratios"]
        made = Made(
            step, told, tuple(folder for _, folder, *_ in done), tuple(seed for seed, *_ in done),
            done[0][2] if done else {}, failed, tuple(lost),
        )  # fmt: skip
        self.made[step.name] = made
        return made

    def _base(self, step: Step, options: Mapping[str, Any]) -> Made | None:
        """The step whose runs a pruning or a tuning starts from."""
        return self.made[str(options["run"]).removeprefix("@")] if step.verb in BASED else None

    def _resolved(self, options: Mapping[str, Any], seed: int) -> dict[str, Any]:
        found = {}
        for key, value in options.items():
            refers = isinstance(value, str) and value.startswith("@")
            found[key] = self._refer(value[1:], seed) if refers else value
        return found

    def _refer(self, reference: str, seed: int) -> str:
        """What a reference stands for: of a step of several seeds, the run of this one.

        Raises:
            TrainingFailure: that run came to nothing.
        """
        name, _, what = reference.partition(".")
        made = self.made[name]
        if seed in made.failed or not made.folders:
            raise TrainingFailure(made.failed.get(seed) or next(iter(made.failed.values())))
        folder = dict(zip(made.seeds, made.folders, strict=True)).get(seed, made.folders[-1])
        if what == "ratios":
            record = made.record
            chosen = next(trial for trial in record["trials"] if trial["slot"] == record["chosen"])
            return ",".join(f"{group}={share!r}" for group, share in chosen["ratios"].items())
        return str(folder)

    def _call(self, step: Step, options: Mapping[str, Any], folder: Path, *, seed: int) -> Mapping[str, Any]:
        verb = verb_of(step)
        known = inspect.signature(verb).parameters
        given = {name: value for name, value in self.given.items() if name in known}
        if step.verb in WORKERS:
            given["workers"] = self.workers
        if step.verb == "compare":
            given["min_group"] = 1  # as the other verbs audit: one table has one rule
        if step.verb == "prune":
            named = [self.attribute if of == MAIN else of for figure in self.recipe.figures if (of := figure.attribute)]
            given["attributes"] = ",".join(
                dict.fromkeys(name for name in (self.attribute, *named) if name in self.known)
            )
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
        known = inspect.signature(verb_of(step)).parameters
        own = step.options_at(scale)
        allowed = (
            {"seeds"} | (set(known) - OURS) | ({"trials", "epochs", "batch_size"} if step.verb == "compare" else set())
        )
        for name in own:
            if name not in allowed:
                raise ConfigError(f"recipe {recipe.name}, step {step.name}: {step.verb} has no option {name!r} here")
        if not isinstance(own.get("seeds", 1), int) or own.get("seeds", 1) < 1:
            raise ConfigError(f"recipe {recipe.name}, step {step.name}: seeds={own['seeds']!r}: give 1 or more")
        lacking = [name for name, of in known.items() if of.default is of.empty and of.kind is of.KEYWORD_ONLY]
        lacking += ["methods", "network"] if step.verb == "compare" else []
        for name in lacking:
            if name != "out" and name not in own:
                raise ConfigError(f"recipe {recipe.name}, step {step.name}: {step.verb} needs the option {name!r}")
