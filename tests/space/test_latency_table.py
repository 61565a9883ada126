"""The block latency table: plain data that covers its space and adds up its parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindgap.core.errors import ConfigError
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.latency_measurement import measure_latency_table, reachable_px
from mindgap.space.latency_table import BlockLatencyTable, LatencyGrid
from mindgap.space.search_space import SearchSpace

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
