"""Every registered block keeps the contract; a plug-in is one file elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.space.architecture import BlockSpec
from mindgap.space.block import BLOCKS, AbstractBlock, counted_cost, middle_channels
from mindgap.space.layers import Cost, Residual
from mindgap.space.network_builder import build_block
from mindgap.testing import BlockConformance
from mindgap.testing.block import sampled_specs

PLUG_IN = '''
from torch import nn

from mindgap.space.block import AbstractBlock


class DilatedBlock(AbstractBlock):
    """One dilated 3×3 convolution with batch norm and ReLU."""

    searchable = True

    def choices(self):
        return {"kernel": (3,), "dilation": (1, 2), "out_channels": (16, 32)}

    def build(self, in_channels, out_channels, stride, *, kernel, dilation):
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, dilation, dilation=dilation, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU())
'''

PLUG_IN_TEST = """
import pytest
from mindgap.testing import BlockConformance


class TestDilated(BlockConformance):
    @pytest.fixture
    def name(self):
        return "dilated"


def test_it_is_listed_and_searched():
    from mindgap.space.block import BLOCKS
    from mindgap.space.search_space import SearchSpace

    assert BLOCKS.describe()["dilated"] == "One dilated 3×3 convolution with batch norm and ReLU."
    space = SearchSpace.load("default", num_classes=3, input_px=32)
    types = [block.type for block in space.blocks]
    assert types == ["mb", "db", "rb", "cb", "skip", "dilated"]
    assert space.kinds()["dilation"] == 2
    assert space.kinds()["dilated.kernel"] == 1
    candidate = space.decode([types.index("dilated"), 0, 1, 1] + [types.index("skip")] * 7 + [0])
    first = candidate.architecture.blocks[0]
    assert (first.type, first.out_channels, first.choices) == ("dilated", 32, {"kernel": 3, "dilation": 2})
    assert space.rejection(candidate) is None
    candidate.architecture.build()
"""


class TestEveryBlock(BlockConformance):
    @pytest.fixture(params=BLOCKS.names())
    def name(self, request):
        return request.param


def test_the_blocks_of_the_paper_are_registered():
    assert {"mb", "db", "rb", "cb", "skip", "bottleneck"} <= set(BLOCKS.names())


def test_mb_costs_what_a_hand_count_says():
    # 16→48 by 1×1 at 8×8, 5×5 depthwise, 48→24 by 1×1; batch norm adds 2 per channel and no MACs.
    weights = (16 * 48, 25 * 48, 48 * 24)
    expected = Cost(sum(weights) + 2 * (48 + 48 + 24), 64 * sum(weights))
    block = BLOCKS.get("mb")()
    assert block.cost(16, 24, 1, 8, kernel=5, hidden_channels=48) == expected
    assert expected == Cost(3360, 199_680)


def test_db_halves_the_map_after_the_expansion():
    # Expansion at 8×8, depthwise and projection at 4×4.
    expected_macs = 64 * 16 * 48 + 16 * (9 * 48 + 48 * 24)
    assert BLOCKS.get("db")().cost(16, 24, 2, 8, kernel=3, hidden_channels=48).macs == expected_macs


def test_mb_adds_its_input_only_where_channels_and_stride_allow():
    images = torch.randn(2, 16, 8, 8)
    for out_channels, stride, adds in ((16, 1, True), (24, 1, False), (16, 2, False)):
        spec = BlockSpec(type="mb", out_channels=out_channels, stride=stride, choices={"hidden_channels": 32})
        module = build_block(spec, 16).eval()
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                nn.init.zeros_(norm.weight)
        assert torch.equal(module(images), images) == adds


def test_db_never_adds_its_input():
    module = build_block(BlockSpec(type="db", out_channels=16, choices={"hidden_channels": 32}), 16)
    assert isinstance(module, nn.Sequential)


def test_rb_projects_only_where_the_shape_changes():
    for out_channels, stride, projected in ((16, 1, False), (24, 1, True), (16, 2, True)):
        module = build_block(BlockSpec(type="rb", out_channels=out_channels, stride=stride), 16)
        assert isinstance(module.shortcut, nn.Identity) != projected


@pytest.mark.parametrize(("name", "kind"), [("mb", nn.ReLU6), ("db", nn.ReLU6), ("rb", nn.ReLU), ("cb", nn.ReLU)])
def test_activations_are_those_of_the_paper(name, kind):
    block = BLOCKS.get(name)()
    module = block.build(16, 16, block.search_stride, kernel=3, hidden_channels=24)
    activations = [part for part in module.modules() if isinstance(part, (nn.ReLU, nn.ReLU6))]
    assert len(activations) == 2
    assert {type(part) for part in activations} == {kind}


@pytest.mark.parametrize("name", ["mb", "db", "rb", "cb", "bottleneck"])
def test_every_convolution_is_followed_by_batch_norm_and_depthwise_ones_are_plain(name):
    module = BLOCKS.get(name)().build(16, 32, 2, kernel=5, hidden_channels=24)
    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    assert [conv.out_channels for conv in convolutions] == [norm.num_features for norm in norms]
    assert all(type(conv) is nn.Conv2d and conv.bias is None for conv in convolutions)
    depthwise = [conv for conv in convolutions if conv.groups > 1]
    assert [conv.groups for conv in depthwise] == ([24] if name in ("mb", "db") else [])


def test_without_a_middle_width_each_block_has_its_own_rule():
    mb = BLOCKS.get("mb")().build(16, 24, 1)
    assert [conv.out_channels for conv in mb.modules() if isinstance(conv, nn.Conv2d)] == [16, 24]
    bottleneck = BLOCKS.get("bottleneck")().build(16, 64, 1)
    assert bottleneck.body.spatial.conv.out_channels == 16
    assert middle_channels(16, hidden_channels=None, expand=6, otherwise=1) == 96


def test_a_block_without_closed_form_is_counted_on_the_meta_device():
    class Squeeze(AbstractBlock):
        """A gate from the map's mean."""

        def choices(self):
            return {}

        def build(self, in_channels, out_channels, stride):
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(in_channels, out_channels, 1))

    assert Squeeze().cost(8, 4, 1, 32) == Cost(8 * 4 + 4, 8 * 4)
    assert counted_cost(Squeeze(), 8, 4, 1, 32, {}) == Cost(36, 32)


def test_an_unknown_choice_names_the_known_ones():
    with pytest.raises(ConfigError, match="kernel, hidden_channels, expand, activation"):
        BLOCKS.get("mb")().check(kernell=3)


def test_a_plug_in_by_entry_point_is_listed_searched_and_conforms(tmp_path: Path):
    package = tmp_path / "plug"
    package.mkdir()
    (package / "dilated_plug.py").write_text(PLUG_IN, encoding="utf-8")
    (package / "test_plug.py").write_text(PLUG_IN_TEST, encoding="utf-8")
    metadata = package / "dilated_plug-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: dilated-plug\nVersion: 1.0\n", encoding="utf-8")
    entry = "[mindgap.blocks]\ndilated = dilated_plug:DilatedBlock\n"
    (metadata / "entry_points.txt").write_text(entry, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(package), str(package)],
        check=False,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(package), "OMP_NUM_THREADS": "1", "PATH": ""},
        cwd=package,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "10 passed" in ran.stdout


@pytest.mark.parametrize(
    ("name", "shape", "shortcut", "built", "said"),
    [
        ("mb", (16, 16, 1), "none", nn.Sequential, {"shortcut": "none"}),
        ("mb", (16, 16, 1), "identity", nn.Identity, {}),
        ("mb", (16, 24, 1), "none", nn.Sequential, {}),
        ("rb", (16, 16, 1), "projection", nn.Sequential, {"shortcut": "projection"}),
        ("rb", (16, 16, 1), "identity", nn.Identity, {}),
        ("rb", (16, 16, 2), "projection", nn.Sequential, {}),
        ("bottleneck", (16, 16, 1), "projection", nn.Sequential, {"shortcut": "projection"}),
        ("cb", (16, 16, 1), "none", nn.Sequential, {}),
    ],
)
def test_a_shortcut_can_be_said_and_is_where_the_rule_would_have_another(name, shape, shortcut, built, said):
    block = BLOCKS.get(name)()
    choices = {"kernel": 3, "hidden_channels": 8, "shortcut": shortcut}
    module = block.build(*shape, **choices)
    assert isinstance(module, Residual) == (shortcut != "none")
    assert type(module.shortcut if isinstance(module, Residual) else module) is built
    assert block.cost(*shape, 8, **choices) == counted_cost(block, *shape, 8, choices)
    assert block.choices_of(module, *shape, **choices) == {"kernel": 3, "hidden_channels": 8} | said


@pytest.mark.parametrize(
    ("name", "shape", "shortcut", "message"),
    [
        ("mb", (16, 16, 1), "projection", "shortcut is 'projection' for 16 to 16 channels .* takes none or identity"),
        ("mb", (16, 24, 1), "identity", "identity only where the shape stays"),
        ("rb", (16, 16, 1), "none", "takes identity or projection"),
        ("db", (16, 16, 2), "identity", "this block takes none"),
    ],
)
def test_a_shortcut_that_the_block_or_the_shape_has_not_is_refused(name, shape, shortcut, message):
    with pytest.raises(ConfigError, match=message):
        BLOCKS.get(name)().build(*shape, hidden_channels=8, shortcut=shortcut)


def test_a_bottleneck_can_have_two_widths_inside():
    block, choices = BLOCKS.get("bottleneck")(), {"hidden_channels": 5, "spatial_channels": 3}
    module = block.build(16, 24, 2, **choices)
    shapes = [tuple(conv.weight.shape[:2]) for conv in module.body.modules() if isinstance(conv, nn.Conv2d)]
    assert shapes == [(5, 16), (3, 5), (24, 3)]
    assert block.cost(16, 24, 2, 8, **choices) == counted_cost(block, 16, 24, 2, 8, choices)
    assert block.choices_of(module, 16, 24, 2) == choices
    with pytest.raises(ConfigError, match="a block of 0 channels"):
        block.build(16, 24, 1, spatial_channels=0)
    with pytest.raises(ConfigError, match="no choice 'spatial_channels'"):
        BLOCKS.get("rb")().check(spatial_channels=3)


@pytest.mark.parametrize("name", ["mb", "db", "rb", "cb", "bottleneck", "skip"])
def test_the_choices_of_a_block_as_built_are_those_it_was_built_by(name):
    block = BLOCKS.get(name)()
    for in_channels, spec in sampled_specs(name):
        shape = (in_channels, spec.out_channels, spec.stride)
        assert block.choices_of(build_block(spec, in_channels), *shape, **spec.choices) == spec.choices
