"""A swarm's batched evaluation is that of one head after the other, and a tuned head goes back into its network."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mindgap.core.errors import ConfigError, ShapeError, UnknownNameError
from mindgap.testing.tiny_training import tiny_images, tiny_network
from mindgap.tune.head import HiddenHead, LinearHead, as_tensor, stacked, swarm_logits
from mindgap.tune.trained_head import trained_head


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def whole(head, vectors, features, **options):
    found = torch.full((len(vectors), head.outputs, len(features)), torch.nan)
    for heads, rows, logits in swarm_logits(head, vectors, features, **options):
        found[heads, :, rows] = logits
    return found


def hidden_classifier(features=6, hidden=5, outputs=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, outputs)).eval()


def test_a_linear_vector_is_weights_then_bias():
    head = LinearHead(2, 1)
    logits = whole(head, torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[1.0, 3.0], [0.0, 1.0]]))
    assert head.dim == 3
    assert logits.tolist() == [[[-0.5, -0.5]]]


def test_a_hidden_vector_is_two_layers():
    head = HiddenHead(1, 1, hidden=2)
    vector = torch.tensor([[1.0, 0.0, -1.0, 0.0, 3.0, 5.0, 1.0]])  # relu(x), relu(−x); 3·, 5·, + 1
    assert head.dim == 7
    assert whole(head, vector, torch.tensor([[2.0], [-2.0]])).tolist() == [[[7.0, 11.0]]]


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    st.integers(1, 7), st.integers(1, 9), st.integers(1, 3), st.integers(0, 3), st.integers(1, 200), st.integers(0, 99)
)
def test_a_swarm_is_judged_as_its_heads_one_by_one(particles, n, outputs, hidden, chunk_floats, seed):
    head = HiddenHead(4, outputs, hidden=hidden) if hidden else LinearHead(4, outputs)
    vectors, features = drawn(particles, head.dim, seed=seed), drawn(n, 4, seed=seed + 1)
    together = whole(head, vectors, features, chunk_floats=chunk_floats)
    for vector, logits in zip(vectors, together, strict=True):
        module = (
            nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, outputs))
            if hidden
            else nn.Linear(4, outputs)
        ).eval()
        trained_head(module, part="all").write(module, vector.double().numpy())
        with torch.no_grad():
            torch.testing.assert_close(logits.T, module(features), rtol=1e-5, atol=1e-5)


def test_no_more_numbers_are_held_than_allowed():
    head = HiddenHead(4, 1, hidden=7)
    parts = list(swarm_logits(head, drawn(6, head.dim), drawn(50, 4), chunk_floats=80))
    assert all(8 * logits.shape[0] * logits.shape[2] <= 80 for _, _, logits in parts)
    assert sum(logits.numel() for _, _, logits in parts) == 6 * 50


@pytest.mark.parametrize("label", [None, 1])
@pytest.mark.parametrize("part", ["last", "all"])
@pytest.mark.parametrize("classifier", [nn.Linear(6, 3), hidden_classifier()], ids=["linear", "hidden"])
def test_the_trained_head_gives_the_networks_logits(classifier, part, label):
    trained = trained_head(classifier, part=part, outputs=None if label is None else [label])
    features = drawn(9, 6)
    logits = whole(trained.head, as_tensor(trained.vector[None], features), trained.inputs_of(features))[0].T
    chosen = [0, 1, 2] if label is None else [label]
    torch.testing.assert_close(logits, classifier(features)[:, chosen].detach())


@pytest.mark.parametrize("part", ["last", "all"])
@pytest.mark.parametrize("classifier", [nn.Linear(6, 3), hidden_classifier()], ids=["linear", "hidden"])
def test_a_tuned_head_is_written_back(classifier, part):
    classifier, features = copy.deepcopy(classifier), drawn(9, 6)
    trained = trained_head(classifier, part=part)
    inputs = trained.inputs_of(features)
    tuned = trained.vector + np.linspace(-1, 1, trained.head.dim)
    expected = whole(trained.head, as_tensor(tuned[None], features), inputs)[0].T
    trained.write(classifier, tuned)
    torch.testing.assert_close(classifier(features).detach(), expected)
    np.testing.assert_allclose(trained_head(classifier, part=part).vector, tuned, atol=1e-6)


def test_a_label_is_written_without_touching_the_others():
    network = tiny_network()
    before = copy.deepcopy(network.state_dict())
    trained = trained_head(network.classifier, outputs=[1])
    trained.write(network.classifier, np.arange(9.0))
    network.eval()
    with torch.no_grad():
        logits, features = network(tiny_images()), network.features(tiny_images())
    torch.testing.assert_close(logits[:, 1], features @ torch.arange(8.0) + 8)
    assert torch.equal(network.classifier.weight[[0, 2]], before["classifier.weight"][[0, 2]])
    assert torch.equal(network.classifier.bias[[0, 2]], before["classifier.bias"][[0, 2]])
    assert all(torch.equal(of, before[name]) for name, of in network.state_dict().items() if "classifier" not in name)


def test_heads_with_units_of_their_own_stack_to_one():
    one, two = HiddenHead(6, 1, hidden=4), HiddenHead(6, 2, hidden=3)
    vectors = [drawn(one.dim), drawn(two.dim, seed=1)]
    features = drawn(9, 6)
    wide, vector = stacked([(one, vectors[0].double().numpy(), [1]), (two, vectors[1].double().numpy(), [2, 0])])
    assert (wide.hidden, wide.outputs) == (7, 3)
    together = whole(wide, as_tensor(vector[None], features), features)[0]
    torch.testing.assert_close(together[[1]], whole(one, vectors[0][None], features)[0])
    torch.testing.assert_close(together[[2, 0]], whole(two, vectors[1][None], features)[0])


@pytest.mark.parametrize(
    "blocks",
    [[(HiddenHead(6, 1, hidden=4), [1])], [(HiddenHead(6, 1, hidden=4), [0]), (HiddenHead(5, 1, hidden=4), [1])]],
    ids=["no output 0", "other features"],
)
def test_heads_that_do_not_make_a_whole_are_not_stacked(blocks):
    with pytest.raises(ShapeError, match="each output once and read the same features"):
        stacked([(head, np.zeros(head.dim), outputs) for head, outputs in blocks])


def test_the_spread_is_the_size_of_the_weights_and_of_what_the_bias_is_added_to():
    linear = nn.Linear(2, 1)
    trained_head(linear).write(linear, np.array([3.0, 4.0, 9.0]))
    trained = trained_head(linear)
    spread = trained.spread(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    np.testing.assert_allclose(spread, [np.sqrt(12.5), np.sqrt(12.5), 3.0], rtol=1e-6)
    np.testing.assert_allclose(trained.spread(torch.zeros(2, 2), reach=0.5), [np.sqrt(12.5) / 2] * 2 + [0.5], rtol=1e-6)
    trained = trained_head(hidden_classifier(), part="all")
    assert (trained.spread(drawn(9, 6)) > 0).all()


@pytest.mark.parametrize(
    ("vector", "told"), [(np.zeros(3), r"must be \(9,\), got shape \(3,\)"), (np.full(9, np.nan), "NaN or infinity")]
)
def test_a_vector_that_is_no_head_is_refused(vector, told):
    classifier = nn.Linear(2, 3)
    with pytest.raises(ShapeError, match=told):
        trained_head(classifier).write(classifier, vector)


@pytest.mark.parametrize(
    ("classifier", "told"),
    [
        (nn.Conv2d(1, 1, 1), "the classifier is Conv2d"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)), "the classifier is Linear, ReLU, Linear"),
        (nn.Linear(2, 2, bias=False), "without bias"),
    ],
)
def test_a_classifier_of_another_form_is_refused(classifier, told):
    with pytest.raises(ConfigError, match=told):
        trained_head(classifier)


def test_a_label_that_is_not_there_is_refused():
    with pytest.raises(UnknownNameError, match="no output 3"):
        trained_head(nn.Linear(2, 3), outputs=[3])


def test_shapes_that_do_not_fit_are_refused():
    head = LinearHead(2, 1)
    with pytest.raises(ShapeError, match=r"heads must be \(P, 3\)"):
        next(swarm_logits(head, torch.zeros(1, 4), torch.zeros(1, 2)))
    with pytest.raises(ShapeError, match=r"features must be \(n, 2\)"):
        next(swarm_logits(head, torch.zeros(1, 3), torch.zeros(1, 3)))
