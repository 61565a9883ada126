"""How long the learning rate decays at the end of a run; apart, so that workers may plan without torch."""

from __future__ import annotations

_DECAY_SHARE = 0.2


def default_decay_epochs(epochs: int) -> int:
    """The epochs, at the end, over which ``trapezoid`` lets the learning rate decay: a fifth, at least one."""
    return max(1, round(_DECAY_SHARE * epochs))
