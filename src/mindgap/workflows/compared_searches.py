"""Whether what is compared are searches, and what they reached."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mindgap.audit.compared_models import Model
from mindgap.core.config import read_toml
from mindgap.core.files import read_json
from mindgap.search.search_comparison import SearchRuns, compare_searches


def searches_record(models: Sequence[Model]) -> dict[str, Any] | None:
    """What ``compare_searches`` says of the runs; None unless every one of them is a search.

    Raises:
        DataError: a run's file is damaged.
    """
    places = [[Path(source) for source in model.sources] for model in models]
    if not all((place / "search.json").is_file() for of_one in places for place in of_one):
        return None
    return compare_searches(
        [
            SearchRuns(model.name, tuple(_record(place) for place in of_one))
            for model, of_one in zip(models, places, strict=True)
        ]
    )


def _record(place: Path) -> dict[str, Any]:
    options = read_toml(place / "config.toml").get("options", {})
    return {**read_json(place / "search.json"), "fingerprint": options.get("fingerprint")}
