"""Binary cross-entropy of every label."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mindgap.train.loss import LOSSES, AbstractLoss, Task


@LOSSES.register("bce")
class BinaryCrossEntropy(AbstractLoss):
    """Binary cross-entropy of the sigmoid, averaged over a sample's labels.

    With smoothing s a label y becomes y(1 − s) + s/2.
    """

    task: ClassVar[Task] = "multi-label"

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Float32 (B,)."""
        targets = labels.to(logits.dtype)
        if self.label_smoothing:
            targets = targets * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1)
