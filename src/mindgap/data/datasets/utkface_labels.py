"""UTKFace as a multi-label task: age bands and races as labels, gender as attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from mindgap.data.dataset import DATASETS
from mindgap.data.datasets.utkface import RACES, UtkFace
from mindgap.data.manifest import Manifest
from mindgap.data.table import column_of, require_column

EDGES_YEARS = (0, 20, 40, 60, 120)
BANDS = tuple(f"age_{low}-{high}" for low, high in pairwise(EDGES_YEARS))
LABELS = (*BANDS, *(f"race_{race}" for race in RACES.values()))


@DATASETS.register("utkface_labels")
class UtkFaceLabels(UtkFace):
    """UTKFace crops: four age bands and five races as nine yes-or-no labels, gender as attribute.

    The labels are not crossed: of 13,000 images nine of the 20 pairs of band and race have under 20 of a gender in a
    test split of 15 %, too few for a figure. Bands hold their lower end, the last both ends. A row whose age is not in
    0..120, or whose race is none of the five, has no labels and is dropped. Columns that already bear a label's name
    are taken as they are.
    """

    def manifest(self) -> Manifest:
        """Columns image_id, age, gender, race, as of ``utkface``; the labels are made of age and race."""
        return replace(super().manifest(), label=None, classes=None, labels=LABELS, attributes=("gender",))

    def table(self, images: Path, metadata: Sequence[Path], *, key: str | None) -> pd.DataFrame:
        """The table of ``utkface`` with a column of 0/1 per label.

        Raises:
            UnknownNameError: there is no column age or race to make a label of.
        """
        table = super().table(images, metadata, key=key)
        made: dict[str, pd.Series] = {}
        if not set(BANDS) <= set(table.columns):
            require_column(table, "age", source="metadata")
            made |= _hot(_band(column_of(table, "age")), BANDS)
        if not set(LABELS[len(BANDS) :]) <= set(table.columns):
            require_column(table, "race", source="metadata")
            made |= _hot("race_" + column_of(table, "race").replace(RACES), LABELS[len(BANDS) :])
        return table.assign(**{name: column for name, column in made.items() if name not in table.columns})


def _band(ages: pd.Series) -> pd.Series:
    """The name of each age's band, missing outside all."""
    years = np.array(pd.to_numeric(ages, errors="coerce"), dtype=np.float64)
    number = np.searchsorted(EDGES_YEARS, years, side="right") - 1
    number[years == EDGES_YEARS[-1]] = len(BANDS) - 1
    number[~((years >= EDGES_YEARS[0]) & (years <= EDGES_YEARS[-1]))] = -1
    return pd.Series(np.array([*BANDS, None], dtype=object)[number], index=ages.index, dtype="str")


def _hot(words: pd.Series, names: Sequence[str]) -> dict[str, pd.Series]:
    """A column per name, ``1`` in the rows of that word, missing where the word is none of them."""
    known = words.isin(list(names))
    return {name: (words == name).map({True: "1", False: "0"}).where(known).astype("str") for name in names}
