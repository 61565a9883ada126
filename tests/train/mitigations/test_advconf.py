"""Uniform confusion: its objective by hand, and whom each of its steps changes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mindgap.testing.tiny_training import GROUPS, LABELS, tiny_facts, tiny_images, tiny_network
from mindgap.train.loss import LOSSES
from mindgap.train.mitigation import Batch, TrainingFacts, make_mitigation


def batch_of(groups, logits=None):
    groups = torch.as_tensor(groups)
    logits = torch.zeros(len(groups), 2) if logits is None else logits
    return Batch(tiny_images(), torch.tensor(LABELS[: len(groups)]), groups, groups, logits, step=0, epoch=0)


def one_step(mitigation, network, *, groups=GROUPS):
    """A step without an optimiser: the objective and the batch; gradients are in the network."""
    features, logits = mitigation.forward(network, tiny_images(), torch.tensor(groups))
    batch = batch_of(groups, logits)
    objective = mitigation.objective(mitigation.facts.loss(logits, batch.labels), batch, features)
    objective.backward()
    return objective, batch


def gradients(network):
    return [parameter.grad.clone() for parameter in network.parameters()]


def test_two_samples_by_hand():
    """Head outputs (0, 0) and (0, log 3), losses 1 and 3, α = 2: 2 + 2·(log 2 − ½ log 3/16)/2."""
    facts = TrainingFacts(("a", "b"), np.array([1, 1]), 2, loss=LOSSES.get("ce")())
    mitigation = make_mitigation("advconf", facts, {"alpha": 2, "head_width": 1})
    features = torch.tensor([[0.0], [1.0]], requires_grad=True)
    first, _, last = mitigation.heads._ready(features)[0][0]
    with torch.no_grad():
        for parameter, value in ((first.weight, 1.0), (first.bias, 0.0), (last.bias, 0.0)):
            parameter.fill_(value)
        last.weight.copy_(torch.tensor([[0.0], [math.log(3)]]))
    objective = mitigation.objective(torch.tensor([1.0, 3.0]), batch_of([0, 1]), features)
    confusion = (math.log(2) - 0.5 * math.log(3 / 16)) / 2
    assert float(objective.detach()) == pytest.approx(2 + 2 * confusion)
    assert float(objective.detach()) == pytest.approx(3.5301, abs=1e-4)
    objective.backward()  # α · ½ · log 3 · (p_1 − ½) of the second, whose probability is 3/4
    assert float(features.grad[1]) == pytest.approx(2 * 0.5 * math.log(3) * 0.25)


def test_the_networks_step_gives_the_heads_no_gradient_and_the_heads_step_the_network_none():
    mitigation, network = make_mitigation("advconf", tiny_facts()), tiny_network()
    _, batch = one_step(mitigation, network)
    heads = mitigation.heads._ready(mitigation._features)[0]
    assert all(parameter.grad is None for parameter in heads.parameters())
    before, weights = gradients(network), [parameter.clone() for parameter in network.parameters()]
    heads_before = [parameter.clone() for parameter in heads.parameters()]
    mitigation.extra_step(batch)
    assert all(map(torch.equal, gradients(network), before))
    assert all(map(torch.equal, network.parameters(), weights))
    assert not any(map(torch.equal, heads.parameters(), heads_before)), "the heads learn"


def test_the_confusions_gradient_reaches_what_makes_the_features_and_not_the_classifier():
    plain, confused = tiny_network(), tiny_network()
    one_step(make_mitigation("erm", tiny_facts()), plain)
    one_step(make_mitigation("advconf", tiny_facts()), confused)
    torch.testing.assert_close(plain.classifier.weight.grad, confused.classifier.weight.grad)
    stems = [next(network.stem.parameters()).grad for network in (plain, confused)]
    assert not torch.allclose(*stems)


def test_with_alpha_0_the_network_is_trained_plainly_and_the_heads_learn_all_the_same():
    plain, other = tiny_network(), tiny_network()
    mitigation = make_mitigation("advconf", tiny_facts(), {"alpha": 0})
    one_step(make_mitigation("erm", tiny_facts()), plain)
    _, batch = one_step(mitigation, other)
    for one, same in zip(gradients(plain), gradients(other), strict=True):
        torch.testing.assert_close(one, same)
    before = float(mitigation.heads.loss(mitigation._features, batch))
    for _ in range(20):
        mitigation.extra_step(batch)
    assert float(mitigation.heads.loss(mitigation._features, batch)) < before


@pytest.mark.parametrize(("options", "expected"), [({"head_steps": 2}, 2), ({}, 5)])
def test_the_heads_take_their_steps_after_one_of_the_network(options, expected):
    mitigation = make_mitigation("advconf", tiny_facts(), options)
    _, batch = one_step(mitigation, tiny_network())
    mitigation.extra_step(batch)
    (steps,) = {int(state["step"]) for state in mitigation.state_dict()["optimizer"]["state"].values()}
    assert steps == expected


def test_confusion_is_of_all_samples_known_or_not():
    known, unknown = (make_mitigation("advconf", tiny_facts()) for _ in range(2))
    first, _ = one_step(known, tiny_network())
    second, _ = one_step(unknown, tiny_network(), groups=(-1,) * len(GROUPS))
    assert float(first.detach()) == float(second.detach())
