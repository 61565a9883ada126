"""Time per candidate: linear in what its network computes, fitted to timed parts."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.search.cost_model import COUNTS, TYPICAL, CostModel, fit, network_counts, part_counts
from mindgap.search.measured import cost_model, sample_architectures
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.cost import count_cost
from mindgap.space.search_space import SearchSpace
from mindgap.train.precision import FP32, PartTiming, PrecisionPlan, network_parts
from mindgap.train.settings import TrainSettings


@pytest.fixture(scope="module")
def sample():
    space = SearchSpace.load("default", num_classes=7, input_px=32, group_counts={"a": 3, "b": 4})
    return sample_architectures(space)[:10]


def one_block(**choices):
    block = BlockSpec(type="mb", out_channels=8, choices={"kernel": 3, "hidden_channels": 16} | choices)
    return Architecture(
        name="one", input_px=8, num_classes=2, stem=Stem(channels=4), blocks=(block,), head=Head(width=None)
    )


def test_the_counts_of_a_block_by_hand():
    """4 → 16 → 8 channels on a map of 4 px: 1×1 and depthwise 3×3 convolutions, three norms, two ReLU6."""
    counts = dict(zip(COUNTS, part_counts(network_parts(one_block())[1]), strict=True))
    assert counts == {
        "dense MACs": 16 * (4 * 16 + 16 * 8),
        "depthwise MACs": 16 * 9 * 16,
        "convolved values": 16 * ((4 + 16) + (16 + 16) + (16 + 8)),
        "other values": 16 * (16 + 16 + 16 + 16 + 8),
        "layers": 8,
    }


def test_multiply_adds_are_those_of_the_network_but_for_the_classifier(sample):
    for architecture in sample:
        counts = dict(zip(COUNTS, network_counts(architecture), strict=True))
        classifier = (architecture.head.width or 0) * architecture.num_classes
        assert counts["dense MACs"] + counts["depthwise MACs"] + classifier == count_cost(architecture).macs


def timed(sample, weights, *, mode="bf16", batch=64):
    parts = {part.model_dump_json(): part for one in sample for part in network_parts(one)}.values()
    ms = [1e3 * batch * float(np.dot(weights, part_counts(part))) for part in parts]
    timings = tuple(
        PartTiming(part=part, milliseconds={"fp32": 9 * value, mode: value})
        for part, value in zip(parts, ms, strict=True)
    )
    return PrecisionPlan(batch_size=batch, timings=timings)


def test_weights_are_found_again_from_timed_parts(sample):
    weights = (6e-12, 3e-11, 1e-9, 2e-9, 1e-5)
    plan = timed(sample, weights)
    model = fit(plan, plan, images_per_epoch=128)
    assert model.seconds == pytest.approx(weights, rel=1e-3)
    assert model.timed > 10
    expected = 1.3 * float(np.dot(weights, network_counts(sample[0])))
    assert model.image_seconds(sample[0]) == pytest.approx(expected, rel=1e-3)
    assert model.epoch_seconds(sample[0]) == pytest.approx(128 * expected, rel=1e-3)


def test_a_fixed_mode_is_fitted_to_its_own_timings(sample):
    timings = timed(sample, (6e-12, 3e-11, 1e-9, 2e-9, 1e-5))
    slow, fast = fit(FP32, timings, images_per_epoch=1), fit(timings, timings, images_per_epoch=1)
    assert slow.image_seconds(sample[0]) == pytest.approx(9 * fast.image_seconds(sample[0]), rel=1e-3)


def test_without_timed_parts_the_weights_are_typical_ones(sample):
    assert fit(FP32, FP32, images_per_epoch=7) == CostModel(images_per_epoch=7)


def test_a_few_timed_parts_set_the_level_of_the_typical_weights(sample):
    plan = timed(sample, 2.5 * np.array(TYPICAL))
    few, fewer = (plan.model_copy(update={"timings": plan.timings[:count]}) for count in (5, 2))
    model = fit(few, few, images_per_epoch=7)
    assert model.seconds == pytest.approx(2.5 * np.array(TYPICAL), rel=1e-3)
    assert model.timed == 5
    assert fit(fewer, fewer, images_per_epoch=7) == CostModel(images_per_epoch=7)


def test_a_search_with_a_budget_times_parts_even_if_its_precision_is_fixed(tmp_path, monkeypatch, store, plan_of):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plan = plan_of(store)
    assert plan.cost.timed == 0
    space = plan.open_space(store, run=tmp_path / "run")
    settings = TrainSettings(precision="fp32", batch_size=32, device="cpu")
    model = cost_model(space, settings, plan.precision_plan, rows=100, timed=True)
    assert model.timed > 0
    assert model.images_per_epoch == 128
