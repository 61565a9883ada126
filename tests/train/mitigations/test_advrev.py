"""The projected adversary: the gradient by hand, by numpy over a whole network, and what it sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError
from mindgap.testing.tiny_training import GROUPS, LABELS, tiny_facts, tiny_images, tiny_network
from mindgap.train.mitigation import Batch, make_mitigation
from mindgap.train.mitigations.advrev import turned_away

VECTORS = st.lists(st.floats(-10, 10, width=32), min_size=3, max_size=3)


def step(mitigation, network, *, groups=GROUPS):
    """The network's step, without its optimiser: gradients are in the network."""
    features, logits = mitigation.forward(network, tiny_images(), torch.tensor(groups))
    labels = torch.tensor(LABELS)
    batch = Batch(tiny_images(), labels, torch.tensor(groups), labels, logits, step=0, epoch=0)
    mitigation.objective(mitigation.facts.loss(logits, labels), batch, features).backward()
    mitigation.after_backward(network, batch)
    return batch


def made(network, **options):
    mitigation = make_mitigation("advrev", tiny_facts(), options)
    mitigation.adapt(network)
    return mitigation


def separate_gradients(*, sees):
    """g_c and g_d of every parameter by two passes of their own, float64 or None where there is none."""
    found = []
    for adversary in (False, True):
        network = tiny_network()
        mitigation = made(network, sees=sees)
        features, logits = mitigation.forward(network, tiny_images(), torch.tensor(GROUPS))
        labels = torch.tensor(LABELS)
        batch = Batch(tiny_images(), labels, torch.tensor(GROUPS), labels, logits, step=0, epoch=0)
        seen = mitigation.seen(batch, features)
        loss = mitigation.heads.loss(seen, batch) if adversary else F.cross_entropy(logits, labels)
        loss.backward()
        found.append([None if p.grad is None else p.grad.double().numpy() for p in network.parameters()])
    return zip(*found, strict=True)


def test_two_parameters_by_hand():
    """g_c = (3, 4), g_d = (2, 0), α = ½: the projection is (3, 0) and (3 − 1 − 3, 4) is left."""
    gradient, adversary = torch.tensor([3.0, 4.0]), torch.tensor([2.0, 0.0])
    assert turned_away(gradient, adversary, alpha=0.5).tolist() == [-1.0, 4.0]
    assert turned_away(gradient, adversary, alpha=0.0).tolist() == [0.0, 4.0]
    assert turned_away(gradient, torch.tensor([4.0, -3.0]), alpha=1.0).tolist() == [-1.0, 7.0], "at right angles"


@pytest.mark.parametrize("size", [0.0, 1e-30])
def test_a_gradient_of_zero_projects_nothing(size):
    assert turned_away(torch.tensor([3.0, 4.0]), torch.full((2,), size), alpha=1.0).tolist() == [3.0, 4.0]


@settings(deadline=None, derandomize=True)
@given(VECTORS, VECTORS, st.floats(0, 5))
def test_along_the_adversarys_gradient_only_alpha_times_it_is_left(gradient, adversary, alpha):
    g_c, g_d = torch.tensor(gradient), torch.tensor(adversary)
    left = turned_away(g_c, g_d, alpha=alpha)
    along = float((left * g_d).sum())
    assert along == pytest.approx(-alpha * float(g_d.square().sum()), rel=1e-4, abs=1e-2)


@pytest.mark.parametrize("sees", ["prediction", "prediction_and_label", "features"])
def test_every_tensor_of_a_network_is_given_the_formula_of_two_separate_passes(sees):
    network = tiny_network()
    step(made(network, sees=sees, alpha=0.7), network)
    turned = 0
    for parameter, (g_c, g_d) in zip(network.parameters(), separate_gradients(sees=sees), strict=True):
        expected = g_c
        if g_d is not None and np.square(g_d).sum() > 0:
            expected = g_c - 0.7 * g_d - np.vdot(g_c, g_d) / np.vdot(g_d, g_d) * g_d
            turned += not np.allclose(expected, g_c, rtol=1e-3)
        np.testing.assert_allclose(parameter.grad.numpy(), expected, rtol=2e-3, atol=1e-6)
    assert turned > 4


def test_an_adversary_of_the_features_leaves_the_classifier_alone():
    plain, network = tiny_network(), tiny_network()
    step(make_mitigation("erm", tiny_facts()), plain)
    step(made(network, sees="features"), network)
    torch.testing.assert_close(plain.classifier.weight.grad, network.classifier.weight.grad)
    assert not torch.allclose(next(plain.parameters()).grad, next(network.parameters()).grad)


def test_where_no_group_is_known_the_gradients_are_those_of_plain_training():
    plain, network = tiny_network(), tiny_network()
    step(make_mitigation("erm", tiny_facts()), plain, groups=(-1,) * 12)
    step(made(network), network, groups=(-1,) * 12)
    for one, other in zip(plain.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_frozen_stages_are_left_out_and_a_frozen_network_is_left_to_its_classifier():
    network = tiny_network()
    network.stem.requires_grad_(requires_grad=False)
    step(made(network), network)
    assert all(parameter.grad is None for parameter in network.stem.parameters())
    assert network.classifier.weight.grad is not None
    network = tiny_network()
    for part in (network.stem, network.blocks, network.head):
        part.requires_grad_(requires_grad=False)
    step(made(network, sees="features"), network)
    assert network.classifier.weight.grad is not None


def test_the_adversary_learns_in_its_own_step_only_and_the_network_does_not():
    network = tiny_network()
    mitigation = made(network)
    batch = step(mitigation, network)
    heads = mitigation.heads._ready(mitigation._inputs)[0]
    assert all(parameter.grad is None for parameter in heads.parameters())
    weights = [parameter.clone() for parameter in heads.parameters()]
    gradients = [parameter.grad.clone() for parameter in network.parameters()]
    mitigation.extra_step(batch)
    assert not any(map(torch.equal, heads.parameters(), weights))
    assert all(torch.equal(p.grad, old) for p, old in zip(network.parameters(), gradients, strict=True))


def test_it_sees_the_softmax_and_on_demand_the_label_or_the_features():
    logits, features = torch.tensor([[0.0, np.log(3.0)]]), torch.tensor([[7.0]])
    batch = Batch(features, torch.tensor([1]), torch.tensor([0]), torch.tensor([0]), logits.float(), step=0, epoch=0)
    seen = {sees: made(tiny_network(), sees=sees).seen(batch, features) for sees in ("prediction", "features")}
    torch.testing.assert_close(seen["prediction"], torch.tensor([[0.25, 0.75]]))
    assert seen["features"].tolist() == [[7.0]]
    both = made(tiny_network(), sees="prediction_and_label").seen(batch, None)
    torch.testing.assert_close(both, torch.tensor([[0.25, 0.75, 0.0, 1.0]]))
    with pytest.raises(ConfigError, match="mitigation advrev: sees is 'logits'"):
        made(tiny_network(), sees="logits")


def test_of_several_labels_it_sees_every_sigmoid():
    logits, labels = torch.tensor([[0.0, np.log(3.0)]]).float(), torch.tensor([[1.0, 0.0]])
    batch = Batch(logits, labels, torch.tensor([0]), torch.tensor([0]), logits, step=0, epoch=0)
    seen = made(tiny_network(), sees="prediction_and_label").seen(batch, None)
    torch.testing.assert_close(seen, torch.tensor([[0.5, 0.75, 1.0, 0.0]]))
