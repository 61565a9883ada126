"""A hidden head is trained for accuracy on features, the same from the same seed, and its best epoch is kept."""

from __future__ import annotations

import pytest
import torch

from mindgap.core.errors import TrainingFailure
from mindgap.tune.first_stage import LabelledFeatures, train_hidden_head


def xor(n, seed):
    features = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed)) * 10
    return features, (features[:, 0] * features[:, 1] > 0).long()


def test_it_learns_what_no_linear_head_can():
    train, judged = (LabelledFeatures(*xor(2000, seed)) for seed in (0, 1))
    head = train_hidden_head(train, judged, hidden=32, outputs=2, seed=0, epochs=10)
    assert not head.training
    assert (head(judged.features).argmax(dim=1) == judged.labels).float().mean() > 0.9


def test_labels_are_outputs_of_their_own():
    features, labels = xor(2000, 0)
    both = torch.stack([labels, 1 - labels], dim=1).float()
    data = LabelledFeatures(features, both)
    head = train_hidden_head(data, data, hidden=32, outputs=2, seed=0, epochs=20)
    assert ((head(features) > 0) == both.bool()).float().mean() > 0.9


def test_the_loss_is_the_mean_cross_entropy():
    single = LabelledFeatures(torch.zeros(2, 1), torch.tensor([0, 1]))
    assert float(single.loss(torch.zeros(2, 2))) == pytest.approx(0.693147, abs=1e-6)
    several = LabelledFeatures(torch.zeros(2, 1), torch.tensor([[0.0], [1.0]]))
    assert float(several.loss(torch.zeros(1, 1), torch.tensor([1]))) == pytest.approx(0.693147, abs=1e-6)


def test_the_same_seed_gives_the_same_head_whatever_ran_before():
    data = LabelledFeatures(*xor(100, 0))
    heads = []
    for seed in (3, 3, 4):
        torch.rand(7)
        heads.append(train_hidden_head(data, data, hidden=4, outputs=2, seed=seed, epochs=2)[0].weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_the_best_epoch_by_the_judged_rows_is_kept():
    features, labels = torch.ones(400, 2), torch.ones(400, dtype=torch.long)
    train, judged = LabelledFeatures(features, labels), LabelledFeatures(features, 1 - labels)  # gets worse and worse
    one, many = (train_hidden_head(train, judged, hidden=16, outputs=2, seed=0, epochs=epochs) for epochs in (1, 8))
    assert torch.equal(one[0].weight, many[0].weight)


def test_features_that_are_not_finite_are_refused():
    data = LabelledFeatures(torch.full((4, 2), torch.nan), torch.zeros(4, dtype=torch.long))
    with pytest.raises(TrainingFailure, match="finite in no epoch"):
        train_hidden_head(data, data, hidden=2, outputs=2, seed=0, epochs=1)
