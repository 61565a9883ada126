"""Domain heads: what they minimise, whom their gradients reach, and how they come back."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mindgap.core.errors import ConfigError
from mindgap.train.domain_heads import DomainHeads, HeadOptions, group_cross_entropy, uniform_confusion
from mindgap.train.loss import LOSSES
from mindgap.train.mitigation import AttributeFacts, Batch, TrainingFacts, make_mitigation


def facts(*group_counts, seed=0):
    """Facts of attributes with so many groups each."""
    first, *more = [AttributeFacts(f"a{n}", tuple(map(str, range(n))), np.ones(n, int)) for n in group_counts]
    ce = LOSSES.get("ce")()
    return TrainingFacts(first.group_names, first.group_counts, 2, loss=ce, seed=seed, more_attributes=tuple(more))


def batch_of(*groups):
    first, *more = (torch.as_tensor(of) for of in groups)
    empty = torch.zeros(len(first), 2)
    return Batch(empty, first, first, first, empty, step=0, epoch=0, more_groups=tuple(more))


def inputs_of(count=8, width=5):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(3))


def test_the_heads_loss_is_the_cross_entropy_of_the_groups_that_are_known():
    logits = torch.tensor([[0.0, math.log(3)], [5.0, -5.0]])
    assert float(group_cross_entropy(logits, torch.tensor([1, -1]))) == pytest.approx(-math.log(3 / 4))
    assert float(group_cross_entropy(logits, torch.tensor([0, -1]))) == pytest.approx(-math.log(1 / 4))
    assert float(group_cross_entropy(logits, torch.tensor([-1, -1]))) == 0.0


def test_the_heads_loss_agrees_with_the_mean_over_the_known_samples():
    logits, groups = inputs_of(50, 4), torch.arange(50) % 5 - 1
    known = groups >= 0
    torch.testing.assert_close(group_cross_entropy(logits, groups), F.cross_entropy(logits[known], groups[known]))


def test_confusion_is_log_g_where_a_head_cannot_tell_and_more_elsewhere():
    assert float(uniform_confusion(torch.zeros(3, 2))) == pytest.approx(math.log(2))
    assert float(uniform_confusion(torch.full((3, 40), 7.0))) == pytest.approx(math.log(40))
    assert float(uniform_confusion(torch.tensor([[0.0, math.log(3)]]))) == pytest.approx(-0.5 * math.log(3 / 16))


def test_confusion_is_the_divergence_of_the_uniform_distribution_and_log_g():
    logits = inputs_of(30, 4)
    uniform = torch.distributions.Categorical(probs=torch.full((30, 4), 0.25))
    divergence = torch.distributions.kl_divergence(uniform, torch.distributions.Categorical(logits=logits))
    torch.testing.assert_close(uniform_confusion(logits), divergence.mean() + math.log(4))


def test_the_loss_of_several_attributes_is_their_sum():
    heads, inputs = DomainHeads(facts(2, 3), HeadOptions()), inputs_of(4)
    groups = (torch.tensor([0, 1, -1, 0]), torch.tensor([2, 1, 0, -1]))
    parts = [group_cross_entropy(logits, of) for logits, of in zip(heads.logits(inputs), groups, strict=True)]
    assert [logits.shape[1] for logits in heads.logits(inputs)] == [2, 3]
    torch.testing.assert_close(heads.loss(inputs, batch_of(*groups)), parts[0] + parts[1])


def test_a_loss_reaches_the_inputs_and_no_head():
    heads, inputs = DomainHeads(facts(2), HeadOptions()), inputs_of().requires_grad_()
    (heads.loss(inputs, batch_of([0, 1] * 4)) + uniform_confusion(heads.logits(inputs)[0])).backward()
    assert inputs.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in heads._ready(inputs)[0].parameters())


def test_training_changes_every_weight_of_the_heads_and_reaches_no_input():
    heads, inputs = DomainHeads(facts(2, 3), HeadOptions(head_width=4)), inputs_of().requires_grad_()
    before = [parameter.clone() for parameter in heads._ready(inputs)[0].parameters()]
    heads.train(inputs, batch_of([0, 1] * 4, [0, 1, 2, 0, 1, 2, 0, 1]))
    assert inputs.grad is None
    for old, new in zip(before, heads._ready(inputs)[0].parameters(), strict=True):
        assert not torch.equal(old, new)


def test_training_lowers_the_loss_until_the_groups_are_told():
    heads, inputs = DomainHeads(facts(2), HeadOptions(head_lr=0.01, head_steps=100)), inputs_of()
    groups = torch.tensor([0, 1] * 4)
    first = float(heads.loss(inputs, batch_of(groups)))
    heads.train(inputs, batch_of(groups))
    assert float(heads.loss(inputs, batch_of(groups))) < 0.1 < first
    assert torch.equal(heads.logits(inputs)[0].argmax(dim=1), groups)


def test_where_no_group_is_known_nothing_is_learnt():
    heads, inputs = DomainHeads(facts(2), HeadOptions(head_steps=3)), inputs_of()
    before = heads.logits(inputs)[0]
    heads.train(inputs, batch_of([-1] * 8))
    assert torch.equal(heads.logits(inputs)[0], before)


@pytest.mark.parametrize("groups", [[0] * 8, [0] * 7 + [39], [-1] * 7 + [5], [39, -1] * 4])
def test_forty_groups_of_which_few_are_there(groups):
    heads, inputs = DomainHeads(facts(40), HeadOptions(head_steps=2)), inputs_of()
    first = float(heads.loss(inputs, batch_of(groups)))
    heads.train(inputs, batch_of(groups))
    assert heads.logits(inputs)[0].shape == (8, 40)
    assert 0 < float(heads.loss(inputs, batch_of(groups))) < first


def test_weights_depend_on_the_seed_alone_and_the_global_stream_is_left_alone():
    inputs, state = inputs_of(), torch.get_rng_state()
    first = DomainHeads(facts(2), HeadOptions()).logits(inputs)[0]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(DomainHeads(facts(2), HeadOptions()).logits(inputs)[0], first)
    assert not torch.equal(DomainHeads(facts(2, seed=1), HeadOptions()).logits(inputs)[0], first)
    torch.set_rng_state(state)


def test_first_weights_have_the_scale_of_a_linear_layers():
    first, _, last = DomainHeads(facts(2), HeadOptions())._ready(inputs_of())[0][0]
    assert [tuple(layer.weight.shape) for layer in (first, last)] == [(64, 5), (2, 64)]
    for layer in (first, last):
        limit = 1 / math.sqrt(layer.in_features)
        assert 0.8 * limit < float(layer.weight.detach().abs().max()) <= limit


def test_heads_that_come_back_from_a_file_go_on_as_if_they_had_stayed(tmp_path):
    inputs, batch = inputs_of(), batch_of([0, 1] * 4)
    stays = DomainHeads(facts(2), HeadOptions())
    stays.train(inputs, batch)
    torch.save(stays.state_dict(), tmp_path / "heads.pt")
    back = DomainHeads(facts(2), HeadOptions())
    back.logits(inputs)  # weights of its own, which must go
    back.load_state_dict(torch.load(tmp_path / "heads.pt", weights_only=True))
    for heads in (stays, back):
        heads.train(inputs, batch)
    assert torch.equal(stays.logits(inputs)[0], back.logits(inputs)[0])
    torch.testing.assert_close(stays.state_dict(), back.state_dict(), rtol=0, atol=0)


def told(heads):
    return [(figure.of, figure.value, figure.n, figure.chance) for figure in heads.own_figures()]


def test_over_an_epoch_they_tally_what_they_tell_before_they_learn_it(tmp_path):
    heads = DomainHeads(facts(2, 3), HeadOptions(head_lr=1e-9))
    first, second = inputs_of(6), inputs_of(8)
    guesses = [logits.argmax(dim=1) for logits in heads.logits(torch.cat([first, second]))]
    unknown = torch.full((6,), -1)
    wrong = [(guess[:6] + 1) % groups for guess, groups in zip(guesses, (2, 3), strict=True)]
    assert [figure.value for figure in heads.own_figures()] == [None, None]
    heads.train(second, replace(batch_of([0] * 8, [0] * 8), epoch=0))
    heads.train(first, replace(batch_of(wrong[0], unknown), epoch=1))
    heads.train(second, replace(batch_of(guesses[0][6:], guesses[1][6:]), epoch=1))
    every = [torch.cat([wrong[0], guesses[0][6:]]), guesses[1][6:]]
    largest = [int(of.bincount().max()) for of in every]
    assert told(heads) == [("", 8 / 14, 14, largest[0] / 14), ("a3", 1.0, 8, largest[1] / 8)]
    torch.save(heads.state_dict(), tmp_path / "heads.pt")
    back = DomainHeads(facts(2, 3), HeadOptions(head_lr=1e-9))
    back.load_state_dict(torch.load(tmp_path / "heads.pt", weights_only=True))
    assert told(back) == told(heads)
    for of in (heads, back):
        of.train(first, replace(batch_of(wrong[0], unknown), epoch=1))
    assert told(back) == told(heads)
    assert told(back)[0][1:3] == (8 / 20, 20)


def test_an_accuracy_of_nobody_is_not_defined_and_says_why():
    heads = DomainHeads(facts(2), HeadOptions())
    heads.train(inputs_of(), batch_of([-1] * 8))
    (figure,) = heads.own_figures()
    assert (figure.value, figure.chance, figure.n) == (None, None, 0)
    assert figure.reason == "no training image has a known group"


@pytest.mark.parametrize("name", ["advconf", "advrev"])
@pytest.mark.parametrize(("option", "value"), [("alpha", -1), ("head_width", 0), ("head_lr", 0), ("head_steps", 0)])
def test_options_out_of_bounds_are_refused(name, option, value):
    with pytest.raises(ConfigError, match=f"mitigation {name}: {option} is {value}"):
        make_mitigation(name, facts(2), {option: value})
