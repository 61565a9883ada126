"""The convolutions that make a module's channels are found, and where they cannot be, that is said."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.prune.producing import producing_convolutions, producing_norms
from mindgap.space.architecture import Stem
from mindgap.space.block import BLOCKS
from mindgap.space.layers import conv_unit
from mindgap.space.network import NETWORKS
from mindgap.space.network_builder import build_stem


def names(module: nn.Module, parts: tuple[nn.Module, ...]) -> list[str]:
    by_module = {part: name for name, part in module.named_modules()}
    return [by_module[part] for part in parts]


def test_a_convolution_is_its_own_and_a_units_is_its_first_part() -> None:
    lone, unit = nn.Conv2d(2, 3, 1), conv_unit(2, 3, kernel=3, act="relu6")
    assert producing_convolutions(lone) == (lone,)
    assert producing_norms(lone) == ()
    assert names(unit, producing_convolutions(unit)) == ["conv"]
    assert names(unit, producing_norms(unit)) == ["norm"]
    stem = build_stem(Stem(kind="7x7+pool", channels=4))
    assert names(stem, producing_convolutions(stem)) == ["conv"]


def test_a_residual_block_has_its_bodys_last_and_its_projection() -> None:
    changes, stays = (BLOCKS.get("rb")().build(8, out, 1, kernel=3, hidden_channels=4) for out in (6, 8))
    last = names(changes, producing_convolutions(changes))
    assert len(last) == 2
    assert last[0].startswith("body.")
    assert last[1] == "shortcut.conv"
    assert names(changes, producing_norms(changes)) == [name.replace("conv", "norm") for name in last]
    assert names(stays, producing_convolutions(stays)) == [last[0]]


@pytest.mark.parametrize("network", ["resnet18", "resnet50", "mobilenet_v2", "mnasnet"])
def test_every_part_of_every_reference_network_has_some_with_its_number_of_channels(network: str) -> None:
    architecture = NETWORKS.get(network)(num_classes=2, input_px=32)
    with torch.device("meta"):
        built = architecture.build()
    channels = [architecture.stem.channels, *(spec.out_channels for spec in architecture.blocks)]
    for part, expected in zip([built.stem, *built.blocks], channels, strict=True):
        found = producing_convolutions(part)
        assert found
        assert {conv.out_channels for conv in found} == {expected}


class Foreign(nn.Module):
    """Written as other packages write: functions, a gate, a tuple of branches."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.conv2, self.gate = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.downsample = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True))
        y = y * torch.sigmoid(self.gate(F.adaptive_avg_pool2d(y, 1)))
        y += self.downsample(x)
        return F.silu(y)


def test_other_packages_code_is_read_too() -> None:
    module = Foreign()
    assert names(module, producing_convolutions(module)) == ["conv2", "downsample.0"]
    assert producing_norms(module) == ()


class Named(nn.Module):
    """Gives its arguments by name, the second factor first."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.gate = (nn.Conv2d(3, 4, 1) for _ in range(3))
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = torch.add(self.a(input=x), other=self.b(x))
        return self.act(input=torch.mul(other=self.gate(x), input=F.relu(input=both)))


def test_arguments_that_are_given_by_name_are_read_too() -> None:
    module = Named()
    assert names(module, producing_convolutions(module)) == ["a", "b"]


class Joined(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x], dim=1)


class Choosing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


class Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 1), Joined()), "a Sequential: cat mixes them; name a convolution"),
        (nn.Sequential(nn.Conv2d(1, 2, 1), nn.Softmax(dim=1)), "a Sequential: Softmax mixes them"),
        (nn.Sequential(nn.Conv2d(1, 2, 1), nn.PixelShuffle(1)), "a Sequential: PixelShuffle mixes them"),
        (Choosing(), "a Choosing: its code cannot be traced"),
        (Pair(), "a Pair: it puts out a tuple"),
        (nn.Identity(), "an? Identity: it has no convolution that does"),
    ],
)
def test_what_cannot_be_told_is_said_in_one_line(module: nn.Module, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        producing_convolutions(module)
    assert "\n" not in str(raised.value)
