"""Batch norms per group and the penalty: by hand, against one network per group, and in training."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from mindgap.core.errors import ConfigError, TrainingFailure
from mindgap.core.groups import Groups
from mindgap.data.image_store import Store
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.testing.tiny_training import SMALL, tiny_groups, tiny_images, tiny_network, train_small
from mindgap.train.batch_ratios import batch_plan
from mindgap.train.evaluate import accuracy, predict_probabilities
from mindgap.train.group_norm import GroupBatchNorm2d
from mindgap.train.loop import TrainSettings
from mindgap.train.loss import LOSSES
from mindgap.train.mitigation import Batch, TrainingFacts, make_mitigation
from mindgap.train.mitigations.fairadabn import GroupMean

IMAGES = 12


def fairadabn(*counts, classes=3, loss="ce", **options):
    names = tuple(f"g{number}" for number in range(len(counts)))
    facts = TrainingFacts(names, np.array(counts), classes, LOSSES.get(loss)())
    return make_mitigation("fairadabn", facts, options)


def batch_of(logits, groups):
    rows = torch.arange(len(groups))
    return Batch(torch.zeros(1), rows, torch.tensor(groups), rows, logits, step=0, epoch=0)


def objective(mitigation, losses, chances, groups):
    """The objective of probabilities instead of logits."""
    batch = batch_of(torch.tensor(chances).log(), groups)
    return float(mitigation.objective(torch.tensor(losses), batch, None))


def adapted(mitigation, *, seed=0):
    """A network whose groups have learnt something of their own."""
    network = mitigation.adapt(tiny_network(seed=seed)).train()
    groups = torch.arange(IMAGES) % len(mitigation.facts.group_names)
    images = tiny_images() * (1 + groups)[:, None, None, None]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(2):
        _, logits = mitigation.forward(network, images, groups)
        mitigation.facts.loss(logits, torch.arange(IMAGES) % 3).mean().backward()
        optimizer.step()
    return network.eval()


def norms_of(network):
    return [module for module in network.modules() if isinstance(module, GroupBatchNorm2d)]


def plain_form(network, group):
    """A plain network with one group's norms."""
    plain = tiny_network().eval()
    count = norms_of(network)[0].groups
    state = {}
    for name, own in plain.state_dict().items():
        theirs = network.state_dict()[name]
        state[name] = theirs if theirs.shape == own.shape else theirs.reshape(count, *own.shape)[group]
    plain.load_state_dict(state)
    return plain


def test_a_sample_per_group_by_hand():
    chances = [[0.9, 0.1], [0.6, 0.4]]
    assert objective(fairadabn(5, 5), [1.0, 3.0], chances, [0, 1]) == pytest.approx(4 + 2 * 0.3**2)
    assert objective(fairadabn(5, 5, alpha=10.0), [1.0, 3.0], chances, [0, 1]) == pytest.approx(4 + 20 * 0.3**2)


def test_losses_are_means_of_groups_and_samples_of_no_group_have_none():
    chances = [[0.5, 0.5]] * 4
    assert objective(fairadabn(5, 5), [1.0, 3.0, 7.0, 50.0], chances, [0, 0, 1, -1]) == pytest.approx(2 + 7)
    assert objective(fairadabn(5, 5), [1.0, 3.0, 2.0, 2.0], chances, [1] * 4) == pytest.approx(2)
    assert objective(fairadabn(5, 5), [1.0] * 4, chances, [-1] * 4) == 0.0


@pytest.mark.parametrize("count", [2, 3, 40])
def test_the_penalty_is_the_sum_over_pairs_of_the_groups_present(count):
    generator = np.random.default_rng(count)
    logits = torch.from_numpy(generator.normal(size=(60, 4)))
    groups = generator.integers(-1, count, 60)
    groups[groups == 1] = 0  # group 1 is absent
    chances = logits.softmax(dim=1).numpy()
    means = [chances[groups == group].mean(axis=0) for group in range(count) if (groups == group).any()]
    expected = sum(((one - other) ** 2).sum() for one, other in itertools.combinations(means, 2))
    found = fairadabn(*[5] * count).disparity(logits.float(), torch.from_numpy(groups))
    assert float(found) == pytest.approx(float(expected), rel=1e-5, abs=1e-6)


def test_the_penalty_of_several_labels_is_on_sigmoids():
    found = fairadabn(5, 5, loss="bce").disparity(torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]), torch.tensor([0, 1]))
    assert float(found) == pytest.approx(0.25**2)


def test_the_penalty_has_a_gradient_that_brings_the_groups_together():
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]], requires_grad=True)
    mitigation, groups = fairadabn(5, 5), torch.tensor([0, 1])
    before = mitigation.disparity(logits, groups)
    (gradient,) = torch.autograd.grad(before, logits)
    assert mitigation.disparity(logits - 2 * gradient, groups) < 0.8 * before


def test_batches_hold_two_images_of_every_group():
    mitigation = fairadabn(6, 3, 2)
    plan = batch_plan(tiny_groups(), mitigation, TrainSettings(batch_size=6))
    drawn = tiny_groups().ids[plan.epoch(0)]
    assert all((drawn == group).sum(axis=1).min() >= 2 for group in range(3))
    with pytest.raises(ConfigError, match="batch size 5 cannot hold 2 images of each of 3 groups"):
        batch_plan(tiny_groups(), mitigation, TrainSettings(batch_size=5))
    one = Groups("sex", ("a", "b"), np.array([0] * 9 + [1]))
    assert (one.ids[batch_plan(one, mitigation, TrainSettings(batch_size=4)).epoch(0)] == 1).sum(axis=1).min() == 2


def test_all_groups_start_as_the_plain_network():
    mitigation, images = fairadabn(5, 5, 5), tiny_images()
    network, plain = mitigation.adapt(tiny_network()).eval(), tiny_network().eval()
    torch.testing.assert_close(mitigation.predict(network, images, torch.arange(IMAGES) % 3), plain(images))
    by_mean = mitigation.predict(network, images, None).softmax(dim=1)
    torch.testing.assert_close(by_mean, plain(images).softmax(dim=1))
    assert len(norms_of(network)) > 2
    assert not any(type(module) is torch.nn.BatchNorm2d for module in network.modules())


def test_each_image_is_predicted_by_a_plain_network_with_its_groups_norms():
    mitigation, images, groups = fairadabn(5, 5, 5), tiny_images(), torch.arange(IMAGES) % 3
    network = adapted(mitigation)
    found = mitigation.predict(network, images, groups)
    for group in range(3):
        torch.testing.assert_close(found[groups == group], plain_form(network, group)(images[groups == group]))
    assert not torch.allclose(found, mitigation.predict(network, images, (groups + 1) % 3))


@pytest.mark.parametrize("loss", ["ce", "bce"])
def test_an_image_of_no_group_has_the_mean_probability_of_all_forms(loss):
    mitigation, images = fairadabn(5, 5, 5, loss=loss), tiny_images()
    network = adapted(fairadabn(5, 5, 5))

    def squash(logits):
        return logits.sigmoid() if loss == "bce" else logits.softmax(dim=1)

    expected = torch.stack([squash(plain_form(network, group)(images)) for group in range(3)]).mean(dim=0)
    torch.testing.assert_close(squash(mitigation.predict(network, images, None)), expected)
    mixed = mitigation.predict(network, images, torch.tensor([-1, 0] * 6))
    torch.testing.assert_close(squash(mixed[::2]), expected[::2])
    alone = mitigation.without_groups(network)
    assert isinstance(alone, GroupMean)
    assert not alone.training
    torch.testing.assert_close(squash(alone(images)), expected)


def test_a_group_without_a_training_image_has_no_form():
    mitigation, images = fairadabn(5, 0, 5), tiny_images()
    network = adapted(mitigation)
    expected = torch.stack([plain_form(network, group)(images).softmax(dim=1) for group in (0, 2)]).mean(dim=0)
    for found in (
        mitigation.predict(network, images, None),
        mitigation.predict(network, images, torch.ones(IMAGES, dtype=torch.int64)),
        mitigation.without_groups(network)(images),
    ):
        torch.testing.assert_close(found.softmax(dim=1), expected)
    with pytest.raises(ConfigError, match="fairadabn: no training image has a known group"):
        fairadabn(0, 0)


@pytest.mark.parametrize("alpha", [-1, math.nan, math.inf])
def test_an_alpha_that_is_none_is_refused(alpha):
    with pytest.raises(ConfigError, match=r"^mitigation fairadabn: alpha is"):
        fairadabn(5, 5, alpha=alpha)


@pytest.fixture(scope="module")
def two_groups(tmp_path_factory):
    """200 images; class ``red`` is a third as red in one half of them as in the other."""
    return Store.open(write_tiny_store(tmp_path_factory.mktemp("fairadabn") / "store", n=200, minority=0.5))


def chances(result, store, *, groups=None, task="single-label"):
    return predict_probabilities(
        result.network,
        store.image_tensor(),
        np.arange(store.n),
        architecture=SMALL,
        task=task,
        modes=result.modes,
        mitigation=result.mitigation,
        groups=groups,
    )


def test_groups_that_differ_get_statistics_that_differ_and_both_forms_learn(two_groups):
    result = train_small(two_groups, "fairadabn", epochs=6, batch_size=32)
    first = norms_of(result.network)[0]
    spread = (first.running_mean[0] - first.running_mean[1]).abs() / first.running_var.mean(dim=0).sqrt()
    assert spread.max() > 0.1
    assert not torch.allclose(*first.weight.view(2, -1), atol=1e-4)
    known, unknown = (chances(result, two_groups, groups=of) for of in (two_groups.groups("sex"), None))
    assert not np.allclose(known, unknown, atol=1e-3)
    for found in (known, unknown):
        assert accuracy(two_groups, np.arange(two_groups.n), found) > 0.85
    alone = predict_probabilities(
        result.mitigation.without_groups(result.network),
        two_groups.image_tensor(),
        np.arange(two_groups.n),
        architecture=SMALL,
    )
    np.testing.assert_allclose(alone, unknown, atol=1e-5)


def test_a_stopped_run_goes_on_to_bit_identical_weights(two_groups, tmp_path):
    straight = train_small(two_groups, "fairadabn")

    def stop(record, _):
        if record.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_small(two_groups, "fairadabn", folder=tmp_path, on_epoch=stop)
    resumed = train_small(two_groups, "fairadabn", folder=tmp_path)
    pairs = zip(straight.network.state_dict().values(), resumed.network.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_it_trains_on_several_labels_in_any_precision(make_store, precision):
    store = make_store(multi_label=True)
    result = train_small(store, "fairadabn", precision=precision, loss="bce", epochs=5, batch_size=32)
    found = chances(result, store, groups=store.groups("sex"), task="multi-label")
    assert accuracy(store, np.arange(store.n), found) > 0.85


def test_a_learning_rate_too_high_is_a_failure_with_its_reason(two_groups):
    with pytest.raises(TrainingFailure, match="lower the learning rate"):
        train_small(two_groups, "fairadabn", lr=1e6, schedule="paper", epochs=1)
