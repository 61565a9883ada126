"""A package in the place of timm, with the part of its interface that is used and networks that are built at once."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from types import ModuleType

import torch
from torch import nn

_NAMES = ("branches", "mini", "square", "stubborn", "tokens", "wide")


class MadeTimm(ModuleType):
    """What to put into ``sys.modules`` as ``timm``.

    ``mini``, ``wide`` and ``branches`` give maps, ``tokens`` gives none, ``square`` takes images of 224 px alone, and
    ``stubborn`` cannot be built without its pool.

    Attributes:
        asked: the name of each network that was created, and whether with pretrained weights.
    """

    def __init__(self) -> None:
        super().__init__("timm")
        self.__spec__ = ModuleSpec("timm", None)
        self.asked: list[tuple[str, bool]] = []

    def is_model(self, name: str) -> bool:
        return name in _NAMES

    def list_models(self) -> list[str]:
        return list(_NAMES)

    def create_model(self, name: str, *, pretrained: bool, num_classes: int, global_pool: str = "avg") -> nn.Module:
        self.asked.append((name, pretrained))
        if name == "stubborn":
            raise TypeError("unexpected keyword argument 'global_pool'\nand a second line")
        if name == "branches":
            return MadeBranches()
        return MadeBackbone(name, num_classes=num_classes, pooled=global_pool == "avg")


class MadeBackbone(nn.Module):
    """Two convolutions of stride 2, and a classifier if it is asked for."""

    def __init__(self, name: str, *, num_classes: int, pooled: bool) -> None:
        super().__init__()
        width = 12 if name == "wide" else 8
        torch.linspace(0, 0.1, 2).tolist()  # as timm's drop rates are, and as no meta tensor can
        self.name, self.pooled = name, pooled
        self.conv1 = nn.Conv2d(3, width, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, num_classes) if num_classes else nn.Identity()
        self.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
        nn.init.constant_(self.bn2.bias, 0.125)  # as nothing of ours is drawn

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.name == "square" and images.shape[-1] != 224:
            raise AssertionError(f"Input height ({images.shape[-1]}) doesn't match model (224).")
        maps = torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(images))))))
        if self.name == "tokens":
            return maps.flatten(2).transpose(1, 2)
        return self.fc(maps.mean(dim=(2, 3)) if self.pooled else maps)


class MadeBranches(nn.Module):
    """A gated residual block, two branches side by side, and a convolution in groups, without pool or classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.squeeze = nn.Conv2d(8, 4, 1)
        self.excite = nn.Conv2d(4, 8, 1)
        self.left = nn.Conv2d(8, 5, 1)
        self.right = nn.Conv2d(8, 6, 3, 1, 1)
        self.wide = nn.Conv2d(11, 12, 1)
        self.groups = nn.Conv2d(12, 12, 3, 1, 1, groups=3)
        self.last = nn.Conv2d(12, 12, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.norm(self.first(images)))
        maps = maps + self.depthwise(maps)
        gate = self.excite(torch.relu(self.squeeze(maps.mean((2, 3), keepdim=True))))
        maps = maps * torch.sigmoid(gate)
        maps = torch.cat([self.left(maps), torch.relu(self.right(maps))], dim=1)
        return self.last(torch.relu(self.groups(self.wide(maps))))
