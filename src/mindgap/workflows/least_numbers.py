"""The numbers that ``audit`` and ``compare`` take, none below the least that makes sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindgap.core.errors import ConfigError

_LEAST = {"bootstrap": 0, "permutations": 0, "seed": 0, "min_group": 1}


def refuse_too_small(options: Mapping[str, Any]) -> None:
    """Checks the resamples, permutations, seed and least group.

    Raises:
        ConfigError: one is too small.
    """
    for name, least in _LEAST.items():
        if options[name] < least:
            raise ConfigError(f"{name}={options[name]}: need {least} or more")
