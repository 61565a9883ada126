"""Losses."""

from __future__ import annotations

import math

import pytest
import torch

from mindgap.core.errors import ConfigError, UnknownNameError
from mindgap.testing import LossConformance
from mindgap.train.loss import LOSSES, make_loss


class TestEveryLoss(LossConformance):
    @pytest.fixture(params=LOSSES.names())
    def name(self, request):
        return request.param


def test_cross_entropy_of_two_equal_logits_is_log_two():
    losses = make_loss("ce", task="single-label")(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    torch.testing.assert_close(losses, torch.full((3,), math.log(2)))


def test_binary_cross_entropy_is_averaged_over_the_labels_of_a_sample():
    logits = torch.tensor([[0.0, math.log(3)]])
    losses = make_loss("bce", task="multi-label")(logits, torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(losses, torch.tensor([(math.log(2) + math.log(4)) / 2]))


def test_smoothing_moves_the_targets_by_the_share():
    logits = torch.tensor([[2.0, -1.0]])
    plain = make_loss("bce", task="multi-label")(logits, torch.tensor([[0.9, 0.1]]))
    smooth = make_loss("bce", task="multi-label", label_smoothing=0.2)(logits, torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(plain, smooth)
    smooth = make_loss("ce", task="single-label", label_smoothing=0.2)(logits, torch.tensor([0]))
    expected = -(0.9 * logits.log_softmax(1)[:, 0] + 0.1 * logits.log_softmax(1)[:, 1])
    torch.testing.assert_close(smooth, expected)


def test_the_task_decides_the_default():
    assert type(make_loss(None, task="single-label")) is LOSSES.get("ce")
    assert type(make_loss(None, task="multi-label")) is LOSSES.get("bce")


def test_a_loss_for_other_labels_is_refused_in_one_line():
    with pytest.raises(ConfigError, match=r"^loss 'ce' is for single-label data, this store is multi-label; use bce$"):
        make_loss("ce", task="multi-label")
    with pytest.raises(UnknownNameError, match="did you mean 'bce'"):
        make_loss("bcee", task="multi-label")
