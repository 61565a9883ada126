"""Where verbs write their record and page: checked before the work, so that an hour of it is not lost to a name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgap.core.errors import ConfigError
from mindgap.core.files import no_new_parents_on_failure, write_json
from mindgap.core.out_file import refuse_input, refuse_unwritable

PathLike = str | os.PathLike[str]


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
            refuse_input(place, inputs, option=option)
            refuse_unwritable(place, option=option)
        if len(set(places.values())) < len(places):
            raise ConfigError(f"--json and --html are both {places['--json']}; give two names")
        return cls(places.get("--json"), places.get("--html"))

    def write(self, record: Mapping[str, Any], *, page: Callable[[Path], object] | None = None) -> None:
        """Writes what was asked for; where a file cannot be written, no new folder stays.

        Args:
            record: for the JSON file.
            page: writes the HTML file; None of a verb that has no page.

        Raises:
            CapacityError: a file cannot be written.
        """
        if self.json is not None:
            with no_new_parents_on_failure(self.json):
                write_json(self.json, record)
        if self.html is not None and page is not None:
            with no_new_parents_on_failure(self.html):
                page(self.html)
