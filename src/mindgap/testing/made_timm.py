"""A package in the place of timm, with the part of its interface that is used and networks that are built at once."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from types import ModuleType

import torch
from torch import nn

_NAMES = ("mini", "square", "stubborn", "tokens", "wide")


class MadeTimm(ModuleType):
    """What to put into ``sys.modules`` as ``timm``.

    ``mini`` and ``wide`` give maps, ``tokens`` gives none, ``square`` takes images of 224 px alone, and ``stubborn``
    cannot be built without its pool.

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
