"""What the mitigations that weight groups lead to in training, where it is known beforehand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from mindgap.core.groups import Groups
from mindgap.testing.batches_of_losses import made
from mindgap.train.batch_ratios import batch_plan
from mindgap.train.loop import TrainSettings, train_network
from mindgap.train.mitigation import Batch

COUNTS, EPOCHS = (90, 10), 60


def share_of_class_one(name: str, **options: object) -> float:
    """What is learnt of images that all look the same, where the 90 of group a are of class 1 and the 10 of b of 0.

    One number is trained, the logit of class 1; the groups pull it apart. Averaged over the second half of the steps.
    """
    ids = np.repeat([0, 1], COUNTS)
    groups, labels = Groups("sex", ("a", "b"), ids), torch.from_numpy(1 - ids)
    mitigation = made(name, *COUNTS, **options)
    plan = batch_plan(groups, mitigation, TrainSettings(batch_size=20))
    batches = np.concatenate([plan.epoch(epoch) for epoch in range(EPOCHS)])
    logit = torch.zeros(1, requires_grad=True)
    seen = []
    for step, positions in enumerate(torch.from_numpy(batches)):
        own, group_ids = labels[positions], torch.from_numpy(ids)[positions]
        logits = torch.stack([torch.zeros(len(own)), logit.expand(len(own))], dim=1)
        batch = Batch(torch.zeros(len(own), 3, 1, 1), own, group_ids, positions, logits, step=step, epoch=0)
        losses = functional.cross_entropy(logits, own, reduction="none")
        (gradient,) = torch.autograd.grad(mitigation.objective(losses, batch, None), logit)
        with torch.no_grad():
            logit -= gradient * (2.0 if step < len(batches) / 4 else 0.2)
        seen.append(logit.sigmoid().item())
    return float(np.mean(seen[len(seen) // 2 :]))


def test_plain_training_serves_the_large_group():
    assert share_of_class_one("erm") == pytest.approx(0.9, abs=0.01)
    assert share_of_class_one("biasless", fat="ratio") == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resample", {}),
        ("reweight", {}),
        ("biasless", {}),
        ("biasless", {"shares": "data"}),
        ("maxgroup", {}),
        ("maxgroup_smooth", {}),
        ("maxgroup_smooth", {"temperature": 1e-6}),
        ("maxgroup_smooth", {"temperature": 1e3}),
        ("groupdro", {"eta": 0.1}),
        ("groupdro", {"eta": 10.0, "memoryless": True}),
    ],
)
def test_a_term_for_the_groups_serves_both_alike(name, options):
    """The mean over groups of the groups' losses, and their largest, are least where both lose log 2."""
    assert share_of_class_one(name, **options) == pytest.approx(0.5, abs=0.03)


def test_a_larger_adjustment_of_groupdro_serves_the_small_group_more():
    """Where the weights rest, L_a + C/√90 = L_b + C/√10: at C = 2, σ(θ) is 1/(1 + e^(2/√10 − 2/√90)) = .396."""
    expected = 1 / (1 + math.exp(2 / math.sqrt(10) - 2 / math.sqrt(90)))
    assert share_of_class_one("groupdro", eta=0.1, adjustment=2.0) == pytest.approx(expected, abs=0.03)


def test_groupdros_weights_move_to_the_group_whose_images_are_harder(store, architecture):
    """In the store the classes of group b differ by a third of what those of a do."""
    result = train_network(
        architecture.build(seed=1),
        store,
        train_rows=store.rows("train"),
        groups=store.groups("sex"),
        settings=TrainSettings(
            epochs=6, batch_size=16, precision="fp32", mitigation="groupdro", mitigation_options={"eta": 1.0}
        ),
        architecture=architecture,
    )
    of_a, of_b = result.mitigation.weights.tolist()
    assert of_b > 2 * of_a
