"""Fair feature distillation: by hand, against scikit-learn, that it falls in training, and that runs go on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

from mindgap.core.errors import ConfigError, TrainingFailure
from mindgap.data.augment import normalize
from mindgap.data.image_store import Store
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.testing.tiny_training import SMALL, tiny_images, tiny_network, train_small
from mindgap.train.loss import LOSSES
from mindgap.train.mitigation import AttributeFacts, Batch, TrainingFacts, make_mitigation
from mindgap.train.mitigations.mfd import squared_mmd


def mfd(*, classes=1, groups=2, more=0, **options):
    """The mitigation for that many classes, groups and further attributes."""
    names, counts = tuple(f"g{number}" for number in range(groups)), np.full(groups, 5)
    others = tuple(AttributeFacts(f"other{number}", names, counts) for number in range(more))
    facts = TrainingFacts(names, counts, num_classes=classes, loss=LOSSES.get("ce")(), more_attributes=others)
    return make_mitigation("mfd", facts, options)


def batch_of(labels, groups, *more, images=None):
    labels = torch.as_tensor(labels)
    rows = torch.arange(len(labels))
    others = tuple(torch.as_tensor(of) for of in more)
    images = torch.zeros(1) if images is None else images
    return Batch(images, labels, torch.as_tensor(groups), rows, torch.zeros(1), 0, 0, others)


def column(*values):
    return torch.tensor(values)[:, None]


def oracle(taught, learnt, labels, groups, *, classes, count):
    """One class and group after the other, by scikit-learn's kernel in float64; an empty one is 0."""
    taught, learnt = taught.double().numpy(), learnt.double().numpy()
    gamma = 1 / (2 * euclidean_distances(taught, learnt, squared=True).mean())
    values = []
    for label in range(classes):
        for group in range(count):
            of, to = taught[labels == label], learnt[(labels == label) & (groups == group)]
            if not len(to):
                values.append(0.0)
                continue
            within = rbf_kernel(of, gamma=gamma).mean() + rbf_kernel(to, gamma=gamma).mean()
            values.append(within - 2 * rbf_kernel(of, to, gamma=gamma).mean())
    return values


def random_samples(count, *, classes=2, groups=3, seed=0):
    generator = np.random.default_rng(seed)
    taught, learnt = (torch.from_numpy(generator.normal(2, 1, (count, 4))).float() for _ in range(2))
    return taught, learnt, generator.integers(0, classes, count), generator.integers(0, groups, count)


def test_two_and_two_samples_by_hand():
    """Features 0 and 2 against 1 and 1, one of each group: each is (1 + e^−2)/2 + 1 − 2e^−½ from the teacher's."""
    found = mfd().discrepancies(batch_of([0, 0], [0, 1]), column(0.0, 2.0), column(1.0, 1.0))
    value = (1 + math.exp(-2)) / 2 + 1 - 2 * math.exp(-0.5)
    assert found.tolist() == pytest.approx([value, value])


def test_half_of_lambda_times_the_sum_is_added_and_its_gradient_reaches_the_network_alone():
    mitigation, network, teacher = mfd(strength=4.0), tiny_network(), tiny_network(seed=1).eval()
    mitigation.take_teacher(teacher.requires_grad_(requires_grad=False))
    before = [tensor.clone() for tensor in teacher.state_dict().values()]
    batch = batch_of([0] * 12, [0, 1] * 6, images=tiny_images())
    features, _ = mitigation.forward(network.train(), batch.images, batch.groups)
    total = mitigation.objective(torch.full((12,), 2.0), batch, features)
    term = mitigation.discrepancies(batch, teacher.features(batch.images), features).sum()
    assert float(total.detach()) == pytest.approx(2 + 4 / 2 * float(term.detach()))
    total.backward()
    assert network.stem[0].weight.grad.abs().sum() > 0
    assert all(torch.equal(*pair) for pair in zip(before, teacher.state_dict().values(), strict=True))


@pytest.mark.parametrize(("groups", "seed"), [(2, 0), (3, 1), (40, 2)])
def test_it_is_what_scikit_learn_says_empty_cells_being_skipped(groups, seed):
    taught, learnt, labels, members = random_samples(24, classes=3, groups=groups, seed=seed)
    members[::6] = -1
    expected = oracle(taught, learnt, labels, members, classes=3, count=groups)
    found = mfd(classes=3, groups=groups).discrepancies(batch_of(labels, members), taught, learnt)
    assert found.tolist() == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert sum(value > 0 for value in expected) == len(
        {pair for pair in zip(labels, members, strict=True) if pair[1] >= 0}
    )


def test_the_bandwidth_has_no_gradient():
    """One sample a side is k = e^−½ away wherever it is: only a constant bandwidth leaves it a gradient."""
    learnt = column(3.0).requires_grad_()
    (gradient,) = torch.autograd.grad(mfd().discrepancies(batch_of([0], [0]), column(1.0), learnt).sum(), learnt)
    assert float(gradient) == pytest.approx(2 * math.exp(-0.5) * 2 / 4)  # −2·k·(−(u − v)/s), with u − v = 2 and s = 4


def test_it_is_zero_for_features_as_the_teachers_and_never_below():
    taught, learnt, labels, _ = random_samples(16, classes=1)
    one_group = np.zeros(16, dtype=int)
    same = mfd().discrepancies(batch_of(labels, one_group), taught, taught)
    assert same.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    assert float(mfd().discrepancies(batch_of(labels, one_group), taught, learnt).min()) >= 0.0


def test_a_batch_of_unknown_groups_has_no_term_and_no_gradient():
    taught, learnt, labels, _ = random_samples(6)
    learnt.requires_grad_()
    total = mfd(classes=2).discrepancies(batch_of(labels, [-1] * 6), taught, learnt).sum()
    total.backward()
    assert float(total.detach()) == 0.0
    assert learnt.grad.abs().max() == 0.0


def test_features_all_the_same_leave_it_finite():
    learnt = torch.zeros(4, 3, requires_grad=True)
    found = mfd().discrepancies(batch_of([0] * 4, [0, 0, 1, 1]), torch.zeros(4, 3), learnt)
    found.sum().backward()
    assert found.tolist() == [0.0, 0.0]
    assert learnt.grad.abs().max() == 0.0


def test_terms_of_several_attributes_are_summed():
    taught, learnt, labels, members = random_samples(20, groups=2)
    other = np.where(np.arange(20) % 5 == 0, -1, np.arange(20) % 2)
    both = mfd(classes=2, more=1).discrepancies(batch_of(labels, members, other), taught, learnt)
    alone = [mfd(classes=2).discrepancies(batch_of(labels, of), taught, learnt) for of in (members, other)]
    torch.testing.assert_close(both.sum(), alone[0].sum() + alone[1].sum())
    assert len(both) == 8


def test_a_label_of_several_is_the_class_of_the_samples_in_which_it_is_one():
    taught, learnt, _, members = random_samples(24, groups=2)
    labels = torch.from_numpy(np.random.default_rng(3).integers(0, 2, (24, 3))).float()
    held = torch.stack(
        [labels[:, label] * (torch.from_numpy(members) == group) for label in range(3) for group in range(2)]
    )
    whole = labels.T.repeat_interleave(2, dim=0)
    found = mfd(classes=3).discrepancies(batch_of(labels, members), taught, learnt)
    torch.testing.assert_close(found, squared_mmd(taught, learnt, whole, held))


def test_the_teacher_computes_as_narrow_as_the_images_are():
    mitigation, teacher = mfd(), tiny_network(seed=1).eval()
    mitigation.take_teacher(teacher)
    wide, narrow = (mitigation.taught(tiny_images().to(dtype)) for dtype in (torch.float32, torch.bfloat16))
    assert torch.equal(wide, teacher.features(tiny_images()))
    assert narrow.dtype == torch.float32
    assert not narrow.requires_grad
    assert not torch.equal(narrow, wide)
    torch.testing.assert_close(narrow, wide, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("strength", [0, -1, math.nan, math.inf])
def test_a_strength_that_is_none_is_refused(strength):
    with pytest.raises(ConfigError, match=r"^mitigation mfd: strength is"):
        mfd(strength=strength)


@pytest.fixture(scope="module")
def two_groups(tmp_path_factory):
    """400 images; class ``red`` is a third as red in one half of them as in the other."""
    return Store.open(write_tiny_store(tmp_path_factory.mktemp("mfd") / "store", n=400, minority=0.5))


def test_training_brings_the_groups_nearer_to_the_teacher_than_its_own_are(two_groups):
    rows = two_groups.rows("train")
    batch = batch_of(two_groups.labels[rows], two_groups.groups("sex").ids[rows])
    images = normalize(
        two_groups.image_tensor()[torch.from_numpy(rows)], mean=SMALL.mean, std=SMALL.std, dtype=torch.float32
    )
    alone, result = (train_small(two_groups, name, epochs=20) for name in ("erm", "mfd"))
    with torch.no_grad():
        taught, learnt = (of.eval().features(images) for of in (alone.network, result.network))
        assert torch.equal(result.mitigation.taught(images), taught), "the teacher is the plain network"
        before, after = (mfd(classes=2).discrepancies(batch, taught, of) for of in (taught, learnt))
    assert before[2:].min() > 0.01, "the groups differ in class red"
    assert after.sum() < before.sum() / 3
    assert result.image_passes == 3 * alone.image_passes


def test_a_stopped_run_goes_on_to_bit_identical_weights(two_groups, tmp_path):
    straight = train_small(two_groups, "mfd", folder=tmp_path / "straight")
    seen = []

    def stop(record, _):
        seen.append(record.epoch)
        if record.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_small(two_groups, "mfd", folder=tmp_path / "stopped", on_epoch=stop)
    resumed = train_small(
        two_groups, "mfd", folder=tmp_path / "stopped", on_epoch=lambda record, _: seen.append(record.epoch)
    )
    assert seen == [1, 2, 2, 3]
    assert len(resumed.history) == 3
    pairs = zip(straight.network.state_dict().values(), resumed.network.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_it_trains_on_several_labels_in_any_precision(make_store, precision):
    result = train_small(make_store(multi_label=True), "mfd", precision=precision, loss="bce", epochs=2)
    assert all(math.isfinite(record.objective) for record in result.history)
    assert result.history[-1].objective > result.history[-1].loss


def test_a_learning_rate_too_high_is_a_failure_with_its_reason(two_groups):
    with pytest.raises(TrainingFailure, match=r"(diverged|became|weight).*lower the learning rate"):
        train_small(two_groups, "mfd", lr=1e6, schedule="paper")
