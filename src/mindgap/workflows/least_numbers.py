"""The numbers that ``audit`` and ``compare`` take, none below or above what makes sense."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mindgap.core.errors import ConfigError

log = logging.getLogger(__name__)

_FEW = 20  # a bound that 1 resample in 40 lies beyond cannot be read off fewer
_LEAST = {"bootstrap": 0, "permutations": 0, "seed": 0, "min_group": 1}
_MOST = {"bootstrap": 1_000_000, "permutations": 1_000_000}


def refuse_too_small(options: Mapping[str, Any]) -> None:
    """Checks the resamples, permutations, seed and least group.

    Raises:
        ConfigError: one is too small, or so large that the work would not end.
    """
    for name, least in _LEAST.items():
        if options[name] < least:
            raise ConfigError(f"{name}={options[name]}: need {least} or more")
    for name, most in _MOST.items():
        if options[name] > most:
            raise ConfigError(f"{name}={options[name]}: need {most} or less")
    if 0 < options["bootstrap"] < _FEW:
        log.warning("%d resamples are too few for a 95 %% interval: ask for 1000 or more", options["bootstrap"])
