"""Where ``audit`` writes: checked before the work begins, so that an hour of it is not lost to a wrong name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgap.core.errors import CapacityError, ConfigError
from mindgap.core.files import no_new_parents_on_failure, write_json

PathLike = str | os.PathLike[str]

_OF_A_FOLDER = frozenset({
    "store.json", "table.parquet", "images.bin", "masks.bin", "twins.bin", "dropped.csv", "config.toml",
    "provenance.json", "metrics.json", "search.json", "compare.json", "prune.json", "tune.json", "predictions.parquet",
    "architecture.json", "weights.safetensors", "log.jsonl", "ledger.db", "report.html",
})  # fmt: skip
"""Files of a store or a run, which an audit of it may not replace."""


@dataclass(frozen=True)
class Outputs:
    """The files to write; None is one that nobody asked for."""

    json: Path | None
    html: Path | None

    @classmethod
    def checked(cls, json: PathLike | None, html: PathLike | None, *, inputs: Sequence[Path]) -> Outputs:
        """Checks that both can be written and that neither is, or belongs to, what is read; a link stays a link.

        Raises:
            CapacityError: there is no permission to write.
            ConfigError: a name is a folder, an input, a file of the run or store, or both have the same.
        """
        places = {option: Path(path).resolve() for option, path in (("--json", json), ("--html", html)) if path}
        for option, place in places.items():
            _refuse_input(option, place, inputs)
            _refuse_unwritable(option, place)
        if len(set(places.values())) < len(places):
            raise ConfigError(f"--json and --html are both {places['--json']}; give two names")
        return cls(places.get("--json"), places.get("--html"))

    def write(self, record: Mapping[str, Any], *, page: Callable[[Path], object]) -> None:
        """Writes what was asked for; where a file cannot be written, no new folder stays.

        Args:
            record: for the JSON file.
            page: writes the HTML file.

        Raises:
            CapacityError: a file cannot be written.
        """
        if self.json is not None:
            with no_new_parents_on_failure(self.json):
                write_json(self.json, record)
        if self.html is not None:
            with no_new_parents_on_failure(self.html):
                page(self.html)


def _refuse_input(option: str, place: Path, inputs: Sequence[Path]) -> None:
    for given in (path.resolve() for path in inputs):
        same = place == given or (place.exists() and given.exists() and place.samefile(given))
        if same or (given.is_dir() and place.parent == given and place.name in _OF_A_FOLDER):
            raise ConfigError(f"{option} {place}: that file is an input and would be lost; choose another name")


def _refuse_unwritable(option: str, place: Path) -> None:
    if place.is_dir():
        raise ConfigError(f"{option} {place}: is a folder; give the name of a file")
    if place.exists() and not place.is_file():
        raise ConfigError(f"{option} {place}: is no ordinary file; give the name of one")
    above = next(folder for folder in place.parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise CapacityError(f"{place}: cannot write into {above}; choose another place for {option}")
