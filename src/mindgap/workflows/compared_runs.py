"""Which runs are one model with several seeds, and what each model is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from mindgap.audit.compared_models import Model
from mindgap.core.config import dump_toml, read_toml
from mindgap.metrics.matched import AnyPredictions
from mindgap.report.short_place import short_place

_NO_MATTER = frozenset({"seed", "bootstrap", "permutations", "device", "workers"})
"""Options that do not make another model: the seed, how it was audited, and where it was trained."""


@dataclass(frozen=True, eq=False)
class Source:
    """A run or a predictions table, with what was read of it."""

    place: Path
    predictions: AnyPredictions


def models_of(sources: Sequence[Source]) -> list[Model]:
    """The models, in the order in which they are first named.

    Runs of equal options are one model if their seeds all differ; two runs of the same options and seed are compared.
    """
    known = [_options(source.place) for source in sources]
    together: dict[str, list[int]] = {}
    for k, options in enumerate(known):
        key = (
            str(k)
            if options is None
            else dump_toml({name: options[name] for name in sorted(options) if name not in _NO_MATTER})
        )
        together.setdefault(key, []).append(k)
    members: list[list[int]] = []
    for places in together.values():
        seeds = [_seed(known[k]) for k in places]
        alone = None in seeds or len(set(seeds)) < len(seeds)
        members += [[k] for k in places] if alone else [places]
    members.sort()
    names = _names([[sources[k].place for k in of_one] for of_one in members])
    return [
        Model(
            name=name,
            sources=tuple(str(sources[k].place) for k in of_one),
            seeds=tuple(_seed(known[k]) for k in of_one),
            predictions=tuple(sources[k].predictions for k in of_one),
        )
        for name, of_one in zip(names, members, strict=True)
    ]


def _options(place: Path) -> dict[str, Any] | None:
    """The options of a run, with its verb; None for a table, or a folder that says nothing of them."""
    config = place / "config.toml"
    if not place.is_dir() or not config.is_file():
        return None
    read = read_toml(config)
    options = read.get("options")
    return {**options, "verb": read.get("verb")} if isinstance(options, dict) else None


def _seed(options: dict[str, Any] | None) -> int | None:
    seed = (options or {}).get("seed")
    return seed if isinstance(seed, int) else None


def _names(members: Sequence[Sequence[Path]]) -> list[str]:
    """Short names; with the folder above where two models would be called the same, and a number where that is too."""
    short = [_common_name([path.resolve().name for path in paths]) for paths in members]
    names: list[str] = []
    for name, paths in zip(short, members, strict=True):
        plain = name if short.count(name) == 1 else short_place(paths[0].resolve())
        numbered = (plain if k == 1 else f"{plain} ({k})" for k in count(1))
        names.append(next(one for one in numbered if one not in names))
    return names


def _common_name(names: Sequence[str]) -> str:
    """What the names of several seeds' folders begin with: ``resnet-0`` and ``resnet-1`` give ``resnet``."""
    if len(names) == 1:
        return names[0]
    letters = takewhile(lambda column: len(set(column)) == 1, zip(*names, strict=False))
    return "".join(column[0] for column in letters).rstrip("0123456789").rstrip("-_. =") or names[0]
