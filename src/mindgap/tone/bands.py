"""Tone bands: names for ranges of the individual typology angle. They come from pixels and are no Fitzpatrick types."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import ConfigError, near_names

CUT_OFFS: Mapping[str, tuple[tuple[str, float], ...]] = {
    "wei": (("I", 55), ("II", 41), ("III", 28), ("IV", 10), ("V", -30), ("VI", -90)),
    "kinyanjui": (("very_light", 55), ("light", 48), ("intermediate_2", 41), ("intermediate_1", 28), ("tan_2", 19),
                  ("tan_1", 10), ("dark", -90)),
    "groh": (("I", 40), ("II", 23), ("III", 12), ("IV", 0), ("V", -25), ("VI", -90)),
}  # fmt: skip
"""Bands from light to dark with the angle, in degrees, above which each lies: Wei & Chakraborti, Table 1; Kinyanjui et
al. 2019; Groh et al. 2021."""


def bands_of(degrees: NDArray[np.float64], cut_offs: str = "wei") -> NDArray[np.object_]:
    """The tone band of each angle, object (n,); None of NaN.

    A cut-off itself belongs to the darker band, (41, 55] is II.

    Raises:
        ConfigError: there are no cut-offs of that name.
    """
    if cut_offs not in CUT_OFFS:
        raise ConfigError(f"no cut-offs {cut_offs!r}; {near_names(cut_offs, CUT_OFFS)}")
    names, edges = zip(*CUT_OFFS[cut_offs], strict=True)
    place = np.searchsorted(-np.array(edges[:-1]), -degrees, side="right")
    return np.array([*names, None], dtype=object)[np.where(np.isnan(degrees), len(names), place)]
