"""Costs: closed forms against hooks, latency as a median."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mindgap.core.errors import ConfigError, UnknownNameError
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.cost import Cost, count_cost, head_cost, measure_latency_ms, stem_cost, stem_px
from mindgap.space.layers import conv_cost
from mindgap.space.network import NETWORKS, resolve_network
from mindgap.space.search_space import SearchSpace
from mindgap.testing.network import counted_macs


def sample(space: SearchSpace, seed: int):
    generator = np.random.default_rng(seed)
    episode = space.start()
    while episode.decision is not None:
        episode.choose(int(generator.choice(np.flatnonzero(episode.mask()))))
    return episode.candidate()


def test_a_whole_network_by_hand():
    # 8 px, stem 3→4 at 4×4; MB without expansion 4→6; head 6→5; 5 features to 2 classes.
    architecture = Architecture(
        name="tiny",
        input_px=8,
        num_classes=2,
        stem=Stem(channels=4),
        blocks=(BlockSpec(type="mb", out_channels=6),),
        head=Head(width=5),
    )
    weights = (27 * 4, 9 * 4, 4 * 6, 6 * 5)
    params = sum(weights) + 2 * (4 + 4 + 6 + 5) + 5 * 2 + 2
    assert count_cost(architecture) == Cost(params, 16 * sum(weights) + 10)


def test_stem_and_head_by_hand():
    assert stem_cost(Stem(kind="7x7+pool", channels=64), 64) == Cost(9408 + 128, 9408 * 32 * 32)
    assert stem_px(Stem(kind="7x7+pool", channels=64), 64) == 16
    assert stem_px(Stem(channels=16), 65) == 33
    assert head_cost(Head(width=None), 10, 4, num_classes=3) == Cost(33, 30)


def test_grouped_convolutions_cost_their_groups_share():
    assert conv_cost(8, 8, kernel=3, px=2, groups=8) == Cost(72 + 16, 288)


@pytest.mark.parametrize("name", NETWORKS.names())
@pytest.mark.parametrize("px", [48, 65])
def test_costs_agree_with_a_hooked_forward_pass(name, px):
    architecture = resolve_network(name, num_classes=4, input_px=px)
    assert count_cost(architecture).macs == counted_macs(architecture.build(), px)


@pytest.mark.parametrize("seed", range(6))
def test_costs_of_searched_networks_agree_with_a_hooked_forward_pass(seed):
    architecture = sample(SearchSpace.load("default", num_classes=4, input_px=48), seed).architecture
    assert count_cost(architecture).macs == counted_macs(architecture.build(), 48)


def test_an_unknown_block_or_choice_is_refused():
    values = {"name": "a", "input_px": 32, "num_classes": 2, "stem": Stem(channels=8), "head": Head()}
    with pytest.raises(UnknownNameError, match="did you mean 'mb'"):
        count_cost(Architecture(blocks=(BlockSpec(type="mbx", out_channels=8),), **values))
    with pytest.raises(ConfigError, match="kernels"):
        count_cost(Architecture(blocks=(BlockSpec(type="mb", out_channels=8, choices={"kernels": 3}),), **values))


def test_latency_is_a_positive_median_and_leaves_the_network_in_its_mode():
    network = resolve_network("mobilenet_v2", num_classes=2, input_px=32).build().train()
    averages = network.stem.norm.running_mean.clone()
    assert measure_latency_ms(network, 32, rounds=3) > 0
    assert network.training
    assert torch.equal(network.stem.norm.running_mean, averages)


def test_a_slow_layer_shows_in_the_latency():
    wide = nn.Conv2d(3, 256, 7, padding=3)
    assert measure_latency_ms(wide, 64, rounds=5) > 3 * measure_latency_ms(nn.Identity(), 64, rounds=5)
