"""Conformance kit for losses."""

from __future__ import annotations

import pytest
import torch

from mindgap.train.loss import LOSSES, AbstractLoss


class LossConformance:
    """The contract of a loss; inherit it and give a fixture ``name``."""

    BATCH, CLASSES = 12, 4

    @pytest.fixture
    def loss(self, name: str) -> AbstractLoss:
        return LOSSES.get(name)()

    @pytest.fixture
    def labels(self, loss: AbstractLoss) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        if loss.task == "multi-label":
            return torch.randint(2, (self.BATCH, self.CLASSES), generator=generator).float()
        return torch.randint(self.CLASSES, (self.BATCH,), generator=generator)

    @pytest.fixture
    def logits(self) -> torch.Tensor:
        return torch.randn(self.BATCH, self.CLASSES, generator=torch.Generator().manual_seed(1))

    def test_gives_one_value_per_sample(self, loss: AbstractLoss, logits: torch.Tensor, labels: torch.Tensor) -> None:
        assert loss(logits, labels).shape == (self.BATCH,)
        assert loss(logits, labels).dtype == torch.float32

    def test_a_sample_does_not_depend_on_the_others(
        self, loss: AbstractLoss, logits: torch.Tensor, labels: torch.Tensor
    ) -> None:
        torch.testing.assert_close(loss(logits, labels)[3:5], loss(logits[3:5], labels[3:5]))

    def test_stays_finite_for_confident_logits(
        self, loss: AbstractLoss, logits: torch.Tensor, labels: torch.Tensor
    ) -> None:
        assert torch.isfinite(loss(1e4 * logits, labels)).all()

    def test_a_step_against_the_gradient_lowers_it(
        self, loss: AbstractLoss, logits: torch.Tensor, labels: torch.Tensor
    ) -> None:
        start = logits.clone().requires_grad_()
        before = loss(start, labels).sum()
        (gradient,) = torch.autograd.grad(before, start)
        assert gradient.abs().sum() > 0
        assert loss(start.detach() - 0.01 * gradient, labels).sum() < before

    def test_has_one_line_that_says_what_it_is(self, name: str) -> None:
        assert LOSSES.describe()[name].endswith(".")
