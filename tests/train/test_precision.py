"""How parts of a network are computed."""

from __future__ import annotations

import pytest
import torch

from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.train.fused_kernels import compiled_operations
from mindgap.train.modes import MODES, fused_mode, is_fused
from mindgap.train.precision import (
    BF16,
    FP32,
    Part,
    PartTiming,
    PrecisionPlan,
    make_plan,
    measure_plan,
    network_parts,
    plan_for_architectures,
)


def block(kernel: int, px: int, *, kind: str = "mb", hidden: int = 16) -> Part:
    spec = BlockSpec(type=kind, out_channels=8, choices={"kernel": kernel, "hidden_channels": hidden})
    return Part(kind="block", spec=spec, in_channels=8, px=px)


def test_parts_know_the_maps_they_are_given(architecture):
    parts = network_parts(architecture)
    assert [(part.kind, part.in_channels, part.px) for part in parts] == [
        ("stem", 3, 16),
        ("block", 8, 8),
        ("block", 8, 8),
        ("block", 16, 4),
        ("head", 16, 4),
    ]
    network, images = architecture.build(), torch.randn(2, 3, 16, 16)
    for part, module in zip(parts, [network.stem, *network.blocks, network.head], strict=True):
        assert images.shape[1:] == (part.in_channels, part.px, part.px)
        images = module(images)


def test_a_pooling_stem_quarters_the_map():
    stem = Stem(kind="7x7+pool", channels=8)
    architecture = Architecture(name="x", input_px=30, num_classes=2, stem=stem, blocks=(), head=Head())
    assert network_parts(architecture)[1].px == architecture.build().stem(torch.randn(2, 3, 30, 30)).shape[-1]


def test_bfloat16_has_to_win_by_more_than_the_noise():
    timing = {"fp32": 1.0, "bf16": 0.99, "fp32-mended": 1.2, "bf16-mended": 1.1}
    assert PartTiming(part=block(5, 8), milliseconds=timing).best == "fp32"
    assert PartTiming(part=block(5, 8), milliseconds=timing | {"bf16-mended": 0.5}).best == "bf16-mended"


def test_a_part_not_timed_follows_the_one_most_like_it():
    timings = (
        PartTiming(part=block(5, 64), milliseconds={"fp32": 2.0, "bf16": 1.0}),
        PartTiming(part=block(5, 8), milliseconds={"fp32": 1.0, "bf16": 2.0}),
        PartTiming(part=block(7, 64), milliseconds={"fp32": 2.0, "bf16-mended": 1.0}),
    )
    plan = PrecisionPlan(timings=timings)
    assert plan.mode(block(5, 64)) == "bf16"
    assert plan.mode(block(5, 32)) == "bf16"
    assert plan.mode(block(5, 10, hidden=20)) == "fp32"
    assert plan.mode(block(7, 8)) == "bf16-mended"
    assert plan.mode(block(3, 64)) == "bf16", "no such kernel was timed, other blocks of the type were"
    assert plan.mode(block(3, 8, kind="rb")) == "fp32", "nor such a type: any block"
    assert plan.mode(Part(kind="stem", spec=Stem(channels=8), in_channels=3, px=64)) == "fp32", "nor any stem"


def test_a_plan_survives_json(architecture):
    plan = measure_plan(network_parts(architecture), batch_size=4)
    assert len(plan.timings) == 5
    assert PrecisionPlan.model_validate_json(plan.model_dump_json()) == plan
    assert len(plan.modes(architecture)) == 5


def test_a_part_is_timed_once_per_process(architecture):
    first = measure_plan(network_parts(architecture), batch_size=4)
    assert measure_plan(network_parts(architecture) * 2, batch_size=4) == first


def test_a_plan_for_many_networks_has_every_kind_of_part_even_in_no_time(architecture):
    plan = plan_for_architectures([architecture, architecture], batch_size=2, seconds=60)
    assert {timing.part.family for timing in plan.timings} == {part.family for part in network_parts(architecture)}
    assert plan_for_architectures([architecture], batch_size=3, seconds=0).timings == ()


def test_named_precisions_are_not_timed(architecture):
    assert make_plan("fp32", architecture, batch_size=8) is FP32
    fused = PrecisionPlan(fixed="bf16-mended-fused")
    assert make_plan("bf16", architecture, batch_size=8) == (BF16 if compiled_operations() is None else fused)
    assert make_plan("bf16", architecture, batch_size=8, device="cuda") == PrecisionPlan(device="cuda", fixed="bf16")


@pytest.mark.skipif(compiled_operations() is None, reason="no C++ compiler here")
def test_fused_modes_are_timed_where_they_can_be_compiled(architecture):
    plan = measure_plan(network_parts(architecture), batch_size=16)
    for timing in plan.timings:
        fused = {mode for mode in timing.milliseconds if is_fused(mode)}
        assert fused
        assert {mode.removesuffix("-fused") for mode in fused} < timing.milliseconds.keys()
        assert "fp32" in timing.milliseconds


def test_every_mode_has_a_fused_twin():
    assert {fused_mode(mode) for mode in MODES} == {mode for mode in MODES if is_fused(mode)}
    assert [fused_mode(mode) for mode in MODES] == [fused_mode(fused_mode(mode)) for mode in MODES]
