"""The contract of a block."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import islice, product
from typing import Any

import pytest
import torch
from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.block import BLOCKS, counted_cost
from mindgap.space.cost import count_cost
from mindgap.space.layers import shrunk
from mindgap.space.network_builder import build_block

CASES = 12
IN_CHANNELS = (16, 24)
PX = 9


def sampled_specs(name: str) -> Iterator[tuple[int, BlockSpec]]:
    """C1 and block for choices spread over all combinations of the block's options."""
    block = BLOCKS.get(name)()
    options = block.choices()
    combinations = list(product(*options.values()))
    for in_channels in IN_CHANNELS:
        for values in islice(combinations, 0, None, max(1, len(combinations) // CASES)):
            choices: dict[str, Any] = dict(zip(options, values, strict=True))
            out_channels = choices.pop("out_channels", in_channels)
            yield (
                in_channels,
                BlockSpec(type=name, out_channels=out_channels, stride=block.search_stride, choices=choices),
            )


class BlockConformance:
    """Inherit it and give the fixture ``name``, the registered name of the block."""

    def test_it_says_in_one_line_what_it_is(self, name: str) -> None:
        first = (inspect.getdoc(BLOCKS.get(name)) or "").partition("\n")[0]
        assert first.endswith((".", ":"))

    def test_choices_are_finite_and_fit_its_build(self, name: str) -> None:
        options = BLOCKS.get(name)().choices()
        for choice, values in options.items():
            assert isinstance(values, tuple), choice
            assert len(set(values)) == len(values) > 0, choice
            assert all(value is None or isinstance(value, (bool, int, float, str)) for value in values), choice

    def test_an_unknown_choice_is_refused(self, name: str) -> None:
        with pytest.raises(ConfigError, match="no_such_choice"):
            BLOCKS.get(name)().check(**next(sampled_specs(name))[1].choices, no_such_choice=1)

    def test_the_map_has_the_promised_shape(self, name: str) -> None:
        for in_channels, spec in sampled_specs(name):
            maps = build_block(spec, in_channels)(torch.randn(2, in_channels, PX, PX))
            side = shrunk(PX, spec.stride)
            assert maps.shape == (2, spec.out_channels, side, side), spec

    def test_its_cost_is_that_of_the_built_module(self, name: str) -> None:
        block = BLOCKS.get(name)()
        for in_channels, spec in sampled_specs(name):
            stated = block.cost(in_channels, spec.out_channels, spec.stride, PX, **spec.choices)
            counted = counted_cost(block, in_channels, spec.out_channels, spec.stride, PX, spec.choices)
            assert stated == counted, spec

    def test_every_parameter_learns_and_gradients_are_finite(self, name: str) -> None:
        for in_channels, spec in islice(sampled_specs(name), 4):
            module = build_block(spec, in_channels).train()
            module(torch.randn(4, in_channels, PX, PX, requires_grad=True)).square().sum().backward()
            for parameter in module.parameters():
                assert parameter.grad is not None
                assert bool(parameter.grad.isfinite().all())

    def test_it_is_the_same_function_each_time_in_eval_mode(self, name: str) -> None:
        in_channels, spec = next(sampled_specs(name))
        module = build_block(spec, in_channels).eval()
        images = torch.randn(2, in_channels, PX, PX)
        assert torch.equal(module(images.clone()), module(images.clone()))

    def test_it_leaves_its_input_alone(self, name: str) -> None:
        in_channels, spec = next(sampled_specs(name))
        images = torch.randn(2, in_channels, PX, PX)
        kept = images.clone()
        build_block(spec, in_channels)(images)
        assert torch.equal(images, kept)

    def test_it_stands_in_a_network(self, name: str) -> None:
        _, spec = next(sampled_specs(name))
        architecture = Architecture(
            name="one block", input_px=16, num_classes=3, stem=Stem(channels=16), blocks=(spec,), head=Head(width=8)
        )
        network = architecture.build(seed=1)
        again = Architecture.from_json(architecture.to_json()).build(seed=1)
        pairs = zip(network.state_dict().values(), again.state_dict().values(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
        assert network(torch.randn(2, 3, 16, 16)).shape == (2, 3)
        assert count_cost(architecture).params == sum(map(nn.Parameter.numel, network.parameters()))
