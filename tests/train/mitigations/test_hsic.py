"""Independence of features and groups: by hand, against its definition, and that it falls in training."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel
from sklearn.preprocessing import normalize as unit_rows

from mindgap.core.errors import ConfigError, TrainingFailure
from mindgap.data.augment import normalize
from mindgap.data.image_store import Store
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.testing.tiny_training import SMALL, train_small
from mindgap.train.loss import LOSSES
from mindgap.train.mitigation import AttributeFacts, Batch, TrainingFacts, make_mitigation


def hsic(*, classes=1, groups=2, more=0, **options):
    """The mitigation for that many classes, groups and further attributes."""
    names, counts = tuple(f"g{number}" for number in range(groups)), np.full(groups, 5)
    others = tuple(AttributeFacts(f"other{number}", names, counts) for number in range(more))
    facts = TrainingFacts(names, counts, num_classes=classes, loss=LOSSES.get("ce")(), more_attributes=others)
    return make_mitigation("hsic", facts, options)


def batch_of(labels, groups, *more):
    labels = torch.as_tensor(labels)
    rows = torch.arange(len(labels))
    others = tuple(torch.as_tensor(of) for of in more)
    return Batch(torch.zeros(1), labels, torch.as_tensor(groups), rows, torch.zeros(1), 0, 0, others)


def four_index(kernel, other):
    """Mean of K_ij (L_ij + L_qr − 2 L_iq) over all ordered four different samples: HSIC by its definition, unbiased."""
    fours = list(itertools.permutations(range(len(kernel)), 4))
    terms = [kernel[i, j] * (other[i, j] + other[q, r] - 2 * other[i, q]) for i, j, q, r in fours]
    return math.fsum(terms) / len(fours)


def kernel_of(features):
    """scikit-learn's Gaussian kernel of the directions, in float64."""
    directions = unit_rows(features)
    m = len(directions)
    return rbf_kernel(directions, gamma=m * (m - 1) / (2 * euclidean_distances(directions, squared=True).sum()))


def random_samples(count, *, classes=1, groups=2, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    members = generator.integers(0, groups, count)
    features = generator.normal(size=(count, 5)) + members[:, None] * np.array([1.0, 0, 0, 0, 0.5])
    return torch.from_numpy(features).float(), labels, members


FOUR = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 3.0]])


def test_four_samples_of_two_groups_by_hand():
    """⅔(1 − e^−¾) for directions that tell the groups, and λ times it is added to the mean loss 2."""
    features = FOUR.clone().requires_grad_()
    batch, mitigation = batch_of([0] * 4, [0, 0, 1, 1]), hsic(strength=6.0)
    value = 2 / 3 * (1 - math.exp(-0.75))
    assert mitigation.dependence(batch, features).tolist() == [[pytest.approx(value)]]
    total = mitigation.objective(torch.tensor([1.0, 3.0, 2.0, 2.0]), batch, features)
    assert float(total.detach()) == pytest.approx(2 + 6 * value)
    total.backward()
    assert features.grad[:, 1][:2].abs().min() > 0, "each group's directions are drawn towards the other's"
    assert features.grad[:, 0][2:].abs().min() > 0


@pytest.mark.parametrize(("count", "groups", "seed"), [(4, 2, 0), (7, 2, 1), (8, 3, 2)])
def test_it_is_the_four_index_definition(count, groups, seed):
    features, labels, members = random_samples(count, groups=groups, seed=seed)
    same = (members[:, None] == members[None, :]).astype(float)
    expected = four_index(kernel_of(features), same)
    found = hsic(groups=groups).dependence(batch_of(labels, members), features)
    assert float(found) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_a_gaussian_kernel_of_the_groups_only_scales_it():
    features, _, members = random_samples(7)
    kernel, same = kernel_of(features), (members[:, None] == members[None, :]).astype(float)
    gaussian = rbf_kernel(np.eye(2)[members], gamma=0.5)
    assert four_index(kernel, gaussian) == pytest.approx((1 - math.exp(-1)) * four_index(kernel, same))


def test_it_is_zero_on_average_where_groups_are_drawn_by_lot_and_not_else():
    features, labels, members = random_samples(80)
    features[:, 0] += 2.0 * torch.from_numpy(members)
    lots = np.random.default_rng(0)
    by_lot = [float(hsic().dependence(batch_of(labels, lots.permutation(members)), features)) for _ in range(200)]
    assert min(by_lot) < 0, "an unbiased estimate of 0 is sometimes below it"
    assert abs(np.mean(by_lot)) < 3 * np.std(by_lot) / math.sqrt(len(by_lot))
    assert float(hsic().dependence(batch_of(labels, members), features)) > max(by_lot)


def test_classes_are_taken_one_by_one():
    features, labels, members = random_samples(40, classes=3)
    together = hsic(classes=3).dependence(batch_of(labels, members), features)
    for label in range(3):
        rows = np.flatnonzero(labels == label)
        alone = hsic().dependence(batch_of(np.zeros(len(rows), dtype=int), members[rows]), features[rows])
        torch.testing.assert_close(together[0, label], alone[0, 0])


def test_samples_of_unknown_group_are_left_out():
    features, labels, members = random_samples(20)
    unknown = np.where(np.arange(20) % 4 == 0, -1, members)
    kept = np.flatnonzero(unknown >= 0)
    torch.testing.assert_close(
        hsic().dependence(batch_of(labels, unknown), features),
        hsic().dependence(batch_of(labels[kept], members[kept]), features[kept]),
    )


@pytest.mark.parametrize(
    "groups", [[0, 0, 1, -1], [0] * 4, [-1] * 4], ids=["three of known group", "one group", "all unknown"]
)
def test_a_class_too_small_or_of_one_group_has_no_term_and_no_gradient(groups):
    features = FOUR.clone().requires_grad_()
    batch = batch_of([0] * 4, groups)
    assert hsic().dependence(batch, features).tolist() == [[0.0]]
    hsic().objective(torch.ones(4, requires_grad=True), batch, features).backward()
    assert features.grad.abs().max() == 0.0


def test_groups_of_one_sample_and_an_attribute_of_forty_values_are_as_defined():
    features, labels, _ = random_samples(8)
    members = np.array([0, 0, 0, 5, 5, 17, 38, 39])
    same = (members[:, None] == members[None, :]).astype(float)
    found = hsic(groups=40).dependence(batch_of(labels, members), features)
    assert float(found) == pytest.approx(four_index(kernel_of(features), same), rel=1e-3, abs=1e-6)
    each_its_own = hsic(groups=40).dependence(batch_of(labels, np.arange(8)), features)
    assert float(each_its_own) == 0.0


def test_terms_of_several_attributes_are_summed():
    features, labels, members = random_samples(20, classes=2)
    other = np.where(np.arange(20) % 5 == 0, -1, np.arange(20) % 2)
    both = hsic(classes=2, more=1).dependence(batch_of(labels, members, other), features)
    alone = [hsic(classes=2).dependence(batch_of(labels, of), features) for of in (members, other)]
    torch.testing.assert_close(both, torch.cat(alone))


def test_a_label_of_several_is_the_class_of_the_samples_in_which_it_is_one():
    features, _, members = random_samples(24)
    other = np.arange(24) % 2
    labels = torch.from_numpy(np.random.default_rng(3).integers(0, 2, (24, 3))).float()
    found = hsic(classes=3, more=1).dependence(batch_of(labels, members, other), features)
    assert found.shape == (2, 3)
    for row, of in enumerate((members, other)):
        for label in range(3):
            rows = torch.nonzero(labels[:, label])[:, 0]
            alone = hsic().dependence(batch_of([0] * len(rows), of[rows]), features[rows])
            torch.testing.assert_close(found[row, label], alone[0, 0])


@pytest.mark.parametrize("features", [torch.zeros(6, 3), torch.ones(6, 3), torch.eye(6, 3)])
def test_features_without_direction_or_all_the_same_leave_it_finite(features):
    features = features.clone().requires_grad_()
    total = hsic().objective(torch.ones(6), batch_of([0] * 6, [0, 1] * 3), features)
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(features.grad).all()
    assert features.grad.abs().max() < 100


@pytest.mark.parametrize("strength", [0, -1, math.nan, math.inf])
def test_a_strength_that_is_none_is_refused(strength):
    with pytest.raises(ConfigError, match=r"^mitigation hsic: strength is"):
        hsic(strength=strength)


@pytest.fixture(scope="module")
def two_groups(tmp_path_factory):
    """400 images; class ``red`` is a third as red in one half of them as in the other."""
    return Store.open(write_tiny_store(tmp_path_factory.mktemp("hsic") / "store", n=400, minority=0.5))


def test_training_makes_it_fall_and_plain_training_does_not(two_groups):
    rows = two_groups.rows("train")
    batch = batch_of(two_groups.labels[rows], two_groups.groups("sex").ids[rows])
    images = normalize(
        two_groups.image_tensor()[torch.from_numpy(rows)], mean=SMALL.mean, std=SMALL.std, dtype=torch.float32
    )
    values = {}
    for mitigation, options in (("erm", {}), ("hsic", {"strength": 30.0})):
        network = train_small(two_groups, mitigation, epochs=6, mitigation_options=options).network
        with torch.no_grad():
            values[mitigation] = hsic(classes=2).dependence(batch, network.eval().features(images))[0].tolist()
    (dark, red), (_, red_after) = values["erm"], values["hsic"]
    assert abs(dark) < 0.01, "the groups do not differ in this class"
    assert red > 0.1
    assert red_after < red / 5


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_it_trains_on_several_labels_in_any_precision(make_store, precision):
    result = train_small(make_store(multi_label=True), "hsic", precision=precision, loss="bce", epochs=2)
    assert all(math.isfinite(record.objective) for record in result.history)
    assert result.history[-1].objective != result.history[-1].loss


def test_a_learning_rate_too_high_is_a_failure_with_its_reason(two_groups):
    with pytest.raises(TrainingFailure, match=r"(diverged|became|weight).*lower the learning rate"):
        train_small(two_groups, "hsic", lr=1e6, schedule="paper", epochs=3)
