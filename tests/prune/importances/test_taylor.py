"""Taylor scores against gates on single channels and images."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from mindgap.prune.importance import make_importance
from mindgap.testing.made_scoring import RED, coloured_network, made_scoring_data


def test_equal_the_derivative_by_a_gate_on_each_channel_image_by_image() -> None:
    network, data = coloured_network(), made_scoring_data(40, batch_size=20, batches=2)
    layers = {name: network.get_submodule(name) for name in ("stem", "head")}
    ours = make_importance("taylor").score(network, layers, data, attribute=None)
    for name, layer in layers.items():
        gate = torch.ones(len(ours[name]), requires_grad=True)
        handle = layer.register_forward_hook(lambda _, __, output, gate=gate: output * gate[:, None, None])
        total, count = torch.zeros(len(gate)), 0
        for batch in data.natural():
            for image, label in zip(batch.images, batch.labels, strict=True):
                (slope,) = torch.autograd.grad(F.cross_entropy(network(image[None])[0], label), gate)
                total, count = total + slope.abs(), count + 1
        handle.remove()
        alive = ~ours[name].isnan()
        assert alive.sum() > 2
        torch.testing.assert_close(ours[name][alive].float(), total[alive] / count, rtol=1e-4, atol=1e-7)


def test_a_channel_that_nothing_reads_scores_zero() -> None:
    network = coloured_network()
    with torch.no_grad():
        for conv in network.blocks.modules():
            if isinstance(conv, torch.nn.Conv2d) and conv.in_channels == 8:
                conv.weight[:, RED] = 0.0
    scores = make_importance("taylor").score(network, {"stem": network.stem}, made_scoring_data(), attribute=None)
    assert scores["stem"][RED] == 0
    assert (scores["stem"].nan_to_num(1.0)[1:] > 0).all()


def test_frozen_weights_do_not_matter() -> None:
    plain, frozen = coloured_network(), coloured_network().requires_grad_(requires_grad=False)
    ours, theirs = (
        make_importance("taylor").score(network, {"head": network.head}, made_scoring_data(), attribute=None)
        for network in (plain, frozen)
    )
    torch.testing.assert_close(ours, theirs, equal_nan=True)
