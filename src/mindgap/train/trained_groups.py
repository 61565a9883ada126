"""Which groups a mitigation with parts per group can train."""

from __future__ import annotations

import torch
from torch import Tensor

from mindgap.core.errors import ConfigError
from mindgap.train.mitigation import TrainingFacts


def trained_groups(facts: TrainingFacts, *, name: str) -> Tensor:
    """Whether each group has a training image, bool (G,).

    Args:
        facts: of the run.
        name: of the mitigation.

    Raises:
        ConfigError: none has, so that no part of a group's own can be trained.
    """
    trained = torch.from_numpy(facts.group_counts > 0)
    if not trained.any():
        raise ConfigError(
            f"mitigation {name}: no training image has a known group of {', '.join(facts.group_names)}; "
            "take another attribute or mitigation"
        )
    return trained
