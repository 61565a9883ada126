"""Mitigations: that each one's term acts, by hand-computed cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError, UnknownNameError
from mindgap.core.groups import Groups
from mindgap.testing import MitigationConformance
from mindgap.testing.tiny_training import tiny_facts
from mindgap.train.batch_ratios import batch_plan
from mindgap.train.loss import LOSSES
from mindgap.train.mitigation import (
    MITIGATIONS,
    AbstractMitigation,
    Batch,
    BatchWish,
    NoOptions,
    TrainingFacts,
    make_mitigation,
)
from mindgap.train.settings import TrainSettings


class TestEveryMitigation(MitigationConformance):
    plain = frozenset({"erm"})

    @pytest.fixture(params=MITIGATIONS.names())
    def name(self, request):
        return request.param


class Idle(AbstractMitigation):
    """Has all hooks and changes nothing."""

    def batches(self, groups):
        return BatchWish(ratios=self.facts.group_shares)

    def objective(self, losses, batch, features):
        return (losses * torch.ones_like(losses)).sum() / len(losses)


class Weighting(Idle):
    def objective(self, losses, batch, features):
        return (losses * (batch.groups == 1)).mean()


class Composing(Idle):
    def batches(self, groups):
        return BatchWish(ratios=np.full(3, 1 / 3))


class Adapting(Idle):
    def adapt(self, network):
        with torch.no_grad():
            network.classifier.bias.add_(1)
        return network


class Projecting(Idle):
    def after_backward(self, network, batch):
        network.zero_grad(set_to_none=False)


class Distilling(Idle):
    """Changes the weights by a little, and their gradients, in a step of its own."""

    def adapt(self, network):
        self.network = network
        return network

    def extra_step(self, batch):
        with torch.no_grad():
            self.network.classifier.bias.add_(1e-7)
        self.network.zero_grad(set_to_none=False)


class Pruning(Idle):
    def finish(self, network, data):
        with torch.no_grad():
            network.classifier.weight[:, :4] = 0


class Shifting(Idle):
    def predict(self, network, images, groups):
        return network(images) + (groups == 2)[:, None]


@pytest.mark.parametrize(
    ("kind", "hooks"),
    [
        (Idle, set()),
        (Weighting, {"backward"}),
        (Composing, {"batches"}),
        (Adapting, {"adapt"}),
        (Projecting, {"backward"}),
        (Distilling, {"extra_step"}),
        (Pruning, {"finish"}),
        (Shifting, {"predict"}),
    ],
)
def test_the_kit_sees_by_which_hooks_a_mitigation_acts(kind, hooks):
    assert MitigationConformance().acting_hooks(kind(tiny_facts(), NoOptions())) == hooks


def test_the_kit_fails_a_mitigation_that_changes_nothing_and_a_plain_one_that_does():
    kit = TestEveryMitigation()
    with pytest.raises(AssertionError, match="idle changes nothing against plain training"):
        kit.test_acts_unless_it_is_meant_to_be_plain("idle", Idle(tiny_facts(), NoOptions()))
    with pytest.raises(AssertionError, match="erm is meant to be plain training, but acts by backward"):
        kit.test_acts_unless_it_is_meant_to_be_plain("erm", Weighting(tiny_facts(), NoOptions()))


def facts(*counts: int) -> TrainingFacts:
    names = tuple(f"g{number}" for number in range(len(counts)))
    return TrainingFacts(names, np.array(counts), num_classes=2, loss=LOSSES.get("ce")())


def batch_of(groups: list[int]) -> Batch:
    count = len(groups)
    empty = torch.zeros(count, 1)
    positions = torch.arange(count)
    return Batch(empty, positions, torch.tensor(groups), positions, empty, step=0, epoch=0)


def objective(name: str, losses: list[float], groups: list[int], *, counts=(30, 10), **options):
    """The objective and its gradient with respect to each sample's loss."""
    values = torch.tensor(losses, requires_grad=True)
    total = make_mitigation(name, facts(*counts), options).objective(values, batch_of(groups), None)
    (gradient,) = torch.autograd.grad(total, values)
    return float(total.detach()), gradient.tolist()


def test_plain_training_minimises_the_mean():
    assert objective("erm", [1.0, 3.0], [0, 1]) == (2.0, [0.5, 0.5])


def test_biasless_weights_a_group_by_the_largest_share_over_its_own():
    """Three of A with loss 1, one of B with loss 5: weights 1, 1, 1, 3 and (3 + 15)/6 = 3."""
    total, gradient = objective("biasless", [1.0, 1.0, 1.0, 5.0], [0, 0, 0, 1])
    assert total == pytest.approx(3.0)
    assert gradient == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_biasless_of_one_sample_each_is_the_plain_mean():
    total, gradient = objective("biasless", [1.0, 3.0], [0, 1])
    assert total == pytest.approx(2.0)
    assert gradient == pytest.approx([0.5, 0.5])


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 10)), min_size=1, max_size=40))
def test_biasless_is_the_mean_of_the_group_means_whatever_the_shares(samples):
    groups, losses = [group for group, _ in samples], [loss for _, loss in samples]
    total, _ = objective("biasless", losses, groups, counts=(5, 4, 3, 2))
    members = np.array(groups)
    means = [np.array(losses)[members == group].mean() for group in sorted(set(groups))]
    assert total == pytest.approx(np.mean(means), rel=1e-4, abs=1e-5)


def test_biasless_gives_a_sample_without_the_attribute_weight_one():
    """Weights 1, 1, 2 and 1 for the unknown: (1 + 1 + 2·4 + 8)/5 = 3.6."""
    total, gradient = objective("biasless", [1.0, 1.0, 4.0, 8.0], [0, 0, 1, -1])
    assert total == pytest.approx(3.6)
    assert gradient == pytest.approx([0.2, 0.2, 0.4, 0.2])


def test_biasless_by_the_letter_sums_weighted_losses_over_the_batch_size():
    """(1 + 1 + 1 + 3·5)/4 = 4.5: the step is larger by G·max o = 2·0.75 than that of the mean, 3."""
    total, _ = objective("biasless", [1.0, 1.0, 1.0, 5.0], [0, 0, 0, 1], reduction="sum")
    assert total == pytest.approx(4.5)


def test_biasless_with_data_shares_ignores_the_batch():
    """Data 30 : 10 gives B weight 3 in any batch: (1 + 3·5)/(1 + 3) = 4."""
    total, gradient = objective("biasless", [1.0, 5.0], [0, 1], shares="data")
    assert total == pytest.approx(4.0)
    assert gradient == pytest.approx([0.25, 0.75])


def test_biasless_with_a_fat_of_ratio_is_the_plain_mean():
    assert objective("biasless", [1.0, 1.0, 1.0, 5.0], [0, 0, 0, 1], fat="ratio")[0] == pytest.approx(2.0)


def test_maxgroup_follows_the_worst_group_only():
    """Means 2 and 5: the objective is 5 and only B's sample has a gradient."""
    assert objective("maxgroup", [1.0, 3.0, 5.0], [0, 0, 1]) == (5.0, [0.0, 0.0, 1.0])
    assert objective("maxgroup", [4.0, 8.0, 5.0], [0, 0, 1]) == (6.0, [0.5, 0.5, 0.0])


def test_maxgroup_leaves_absent_groups_and_unknown_samples_out():
    assert objective("maxgroup", [1.0, 9.0], [1, -1]) == (1.0, [1.0, 0.0])
    assert objective("maxgroup", [1.0, 9.0], [-1, -1]) == (5.0, [0.5, 0.5])


def test_maxgroup_wants_every_group_in_every_batch():
    wish = make_mitigation("maxgroup", facts(30, 10)).batches(Groups("sex", ("g0", "g1"), np.zeros(4, dtype=np.int64)))
    assert (wish.min_per_group, wish.ratios) == (1, None)


@pytest.mark.parametrize("name", ["maxgroup", "maxgroup_smooth"])
def test_forty_groups_do_not_fit_in_a_batch_of_thirty_two(name):
    groups = Groups("site", tuple(f"g{number}" for number in range(40)), np.arange(80) % 40)
    wanting = make_mitigation(name, facts(*groups.counts()))
    line = r"^batch size 32 cannot hold 1 image of each of 40 groups; raise it to 40 or join groups$"
    with pytest.raises(ConfigError, match=line):
        batch_plan(groups, wanting, TrainSettings(batch_size=32))
    assert batch_plan(groups, wanting, TrainSettings(batch_size=40)).steps_per_epoch == 2


def test_bad_names_and_options_are_refused_in_one_line():
    with pytest.raises(UnknownNameError, match="did you mean 'maxgroup'"):
        make_mitigation("maxgroups", facts(3, 1))
    with pytest.raises(ConfigError, match=r"^mitigation biasless: unknown key 'share'; did you mean 'shares'"):
        make_mitigation("biasless", facts(3, 1), {"share": "data"})
    with pytest.raises(ConfigError, match=r"^mitigation biasless: shares is 'all'"):
        make_mitigation("biasless", facts(3, 1), {"shares": "all"})
