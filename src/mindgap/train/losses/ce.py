"""Cross-entropy over classes."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mindgap.train.loss import LOSSES, AbstractLoss


@LOSSES.register("ce")
class CrossEntropy(AbstractLoss):
    """Cross-entropy of the softmax: −log p(y).

    Example:
        Two equal logits cost log 2 = 0.6931, whatever the label.
    """

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Float32 (B,)."""
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)
