"""Examples for the page of a store: which images are shown beside their twins."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mindgap.audit.tone_table import Tones, band_rank, flag_words
from mindgap.core.errors import ConfigError
from mindgap.core.seed import numpy_generator
from mindgap.data.image_store import Store
from mindgap.data.table import column_of
from mindgap.report.example_sheet import ExampleSheet, ExampleWords, example_sheet

MOST = 200
"""A page of more is not looked at, and slow."""


def refuse_examples(number: int, store: Store, *, page: object) -> None:
    """Refuses a number of examples that cannot be shown.

    Args:
        number: of examples; 0 is none.
        store: that they are of.
        page: file of the page; None where there is none.

    Raises:
        ConfigError: too few, too many, no page, or no twins.
    """
    if not 0 <= number <= MOST:
        raise ConfigError(f"examples={number}: need 0 (none) to {MOST}")
    if number and (store.twins is None or "ita_degrees" not in store.table.columns):
        raise ConfigError(f"{store.path}: has no twins, so --examples {number} does not fit; make them by mindgap tone")
    if number and page is None:
        raise ConfigError(f"--examples {number}: they are shown on the page alone; give it a file by --html")


def examples_of(store: Store, tones: Tones, *, number: int, seed: int) -> ExampleSheet:
    """Draws the examples and their sheet, from a store with twins.

    Args:
        store: with twins.
        tones: of its images.
        number: how many, all where there are fewer.
        seed: the same seed draws the same.
    """
    rows = draw_rows(tones, number, numpy_generator(seed, "tone examples"))
    pixels, twins, masks = store.images, cast("NDArray[np.uint8]", store.twins), store.masks
    lesions = np.zeros((len(rows), *pixels.shape[1:3]), dtype=np.uint8) if masks is None else masks[rows]
    return example_sheet(pixels[rows], lesions, twins[rows], [_words(store, row) for row in rows])


def draw_rows(tones: Tones, number: int, generator: np.random.Generator) -> list[int]:
    """Draws rows from every tone band and from those of unknown tone in turn; in each, with and without flags in turn.

    Args:
        tones: of all images.
        number: of rows; all are drawn where there are fewer.
        generator: of the draw.

    Returns:
        Row numbers, of light bands first and of unknown tone last.
    """
    bands = np.full(len(tones.degrees), None, dtype=object) if tones.bands is None else tones.bands
    names = sorted({str(band) for band in bands if band is not None}, key=band_rank)
    strata = [[row for row, band in enumerate(bands) if band == name] for name in (*names, None)]
    queues = [_in_turn(rows, tones, generator) for rows in strata]
    drawn = sorted((turn, stratum) for stratum, queue in enumerate(queues) for turn in range(len(queue)))[:number]
    return [queues[stratum][turn] for stratum, turn in sorted((stratum, turn) for turn, stratum in drawn)]


def _in_turn(rows: list[int], tones: Tones, generator: np.random.Generator) -> list[int]:
    """Rows in random order, one without a flag and one with flags in turn while there are both."""
    shuffled = generator.permutation(rows).astype(np.int64).tolist()
    is_flagged = {row: tones.flags is not None and bool(flag_words(tones.flags[row])) for row in shuffled}
    clear, flagged = ([row for row in shuffled if is_flagged[row] == kind] for kind in (False, True))
    places = {row: (turn, kind) for kind, queue in enumerate((clear, flagged)) for turn, row in enumerate(queue)}
    return sorted(shuffled, key=places.__getitem__)


def _words(store: Store, row: int) -> ExampleWords:
    def cell(name: str) -> Any:
        return column_of(store.table, name).iloc[row] if name in store.table.columns else None

    def number(name: str) -> float:
        found = cell(name)
        return math.nan if found is None or pd.isna(found) else float(found)

    def word(name: str) -> str | None:
        found = cell(name)
        return None if found is None or pd.isna(found) else str(found)

    return ExampleWords(
        id=str(store.ids[row]),
        band=word("tone"),
        degrees=number("ita_degrees"),
        iqr_degrees=number("ita_iqr_degrees"),
        flags=tuple(flag_words(word("ita_flags"))),
        target_degrees=number("twin_target_degrees"),
        twin_band=word("twin_tone"),
        twin_degrees=number("twin_ita_degrees"),
    )
