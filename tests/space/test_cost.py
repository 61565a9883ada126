"""Costs: closed forms against hooks, latency as a median, the block table as plain data."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mindgap.core.errors import ConfigError, UnknownNameError
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.cost import Cost, count_cost, head_cost, measure_latency_ms, stem_cost, stem_px
from mindgap.space.latency_measurement import measure_latency_table, reachable_px
from mindgap.space.latency_table import BlockLatencyTable, LatencyGrid
from mindgap.space.layers import conv_cost
from mindgap.space.network import NETWORKS, resolve_network
from mindgap.space.search_space import SearchSpace
from mindgap.testing.network import counted_macs

SMALL_SPACE = """
positions = 3
plugins = false
head_widths = [16, 64]
[[blocks]]
type = "mb"
choices = {kernel = [3], hidden_channels = [16, 32, 64], out_channels = [16, 32, 64]}
[[blocks]]
type = "db"
choices = {kernel = [3], hidden_channels = [16, 64], out_channels = [16, 64]}
[[blocks]]
type = "skip"
"""


@pytest.fixture
def small_space(tmp_path) -> SearchSpace:
    path = tmp_path / "small.toml"
    path.write_text(SMALL_SPACE, encoding="utf-8")
    return SearchSpace.load(path, num_classes=3, input_px=32)


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


def test_latency_is_linear_between_measured_channels():
    grid = LatencyGrid(axes=((10, 20), (1, 3)), ms=(1.0, 3.0, 5.0, 9.0))
    assert grid.at((10, 1)) == 1.0
    assert grid.at((20, 3)) == 9.0
    assert grid.at((15, 2)) == pytest.approx((1 + 3 + 5 + 9) / 4)
    assert LatencyGrid(axes=((16,),), ms=(2.0,)).at((16,)) == 2.0
    with pytest.raises(ConfigError, match="10 to 20 channels, not 21"):
        grid.at((21, 1))


def test_a_table_adds_up_its_parts_by_hand():
    table = BlockLatencyTable(
        grids={
            "stem": LatencyGrid(axes=((16,),), ms=(1.0,)),
            "mb px=16 kernel=3": LatencyGrid(axes=((16, 32), (16, 32), (16, 32)), ms=(2.0, 4.0) * 4),
            "skip px=16": LatencyGrid(axes=((16, 32),), ms=(0.25, 0.25)),
            "head px=16": LatencyGrid(axes=((16, 32), (64,)), ms=(3.0, 5.0)),
        }
    )
    blocks = (
        BlockSpec(type="mb", out_channels=24, choices={"kernel": 3, "hidden_channels": 16}),
        BlockSpec(type="skip", out_channels=24),
    )
    architecture = Architecture(
        name="a", input_px=32, num_classes=2, stem=Stem(channels=16), blocks=blocks, head=Head(width=64)
    )
    assert table.latency_ms(architecture) == pytest.approx(1 + 3 + 0.25 + 4)
    assert BlockLatencyTable.model_validate_json(table.model_dump_json()) == table
    with pytest.raises(ConfigError, match="no 'skip px=8'"):
        table.latency_ms(architecture.for_task(num_classes=2, input_px=16).model_copy(update={"blocks": blocks[1:]}))


def test_a_measured_table_covers_every_candidate_of_its_space(small_space):
    table = measure_latency_table(small_space, rounds=1)
    assert reachable_px(small_space, 16) == [16, 8, 4]
    latencies = [table.latency_ms(sample(small_space, seed).architecture) for seed in range(30)]
    assert min(latencies) > 0
    assert BlockLatencyTable.model_validate_json(table.model_dump_json()) == table


def test_measuring_leaves_the_global_generator_alone(small_space):
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    measure_latency_table(small_space, rounds=1)
    assert torch.equal(torch.rand(2), expected)


def test_a_fixed_network_is_measured_whole():
    space = SearchSpace.load("default", num_classes=3, input_px=32, fixed_network="mobilenet_v2")
    table = measure_latency_table(space, rounds=1)
    assert table.latency_ms(space.decode([]).architecture) > 0
    limited = SearchSpace.load(
        "default", num_classes=3, input_px=32, fixed_network="mobilenet_v2", max_latency_ms=1e-4, latency_table=table
    )
    assert limited.rejection(limited.decode([])).startswith("latency ")
