"""A network described as data: what is searched, stored, drawn, counted and built."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize

from mindgap.core.config import StrictModel, parse
from mindgap.core.errors import ConfigError, DataError
from mindgap.core.files import atomic_path, write_text

if TYPE_CHECKING:
    from mindgap.space.network import Network

ARCHITECTURE_FILE = "architecture.json"
WEIGHTS_FILE = "weights.safetensors"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Choice = bool | int | float | str | None


class Stem(StrictModel):
    """The first layer: ``3x3`` is a 3×3 convolution of stride 2, ``7x7+pool`` the ResNets' (stride 4 in all)."""

    kind: Literal["3x3", "7x7+pool"] = "3x3"
    channels: int = Field(gt=0)
    activation: str = "relu6"

    @property
    def stride(self) -> int:
        """Pixels of the image per pixel of the first block's input: 2, or 4 with the pool."""
        return 2 if self.kind == "3x3" else 4


class Backbone(StrictModel):
    """A whole network of timm without its pool and classifier, in the place of a stem; needs ``mindgap[backbones]``.

    Attributes:
        kind: the package it is of.
        name: its name there.
        channels: of its last maps.
        stride: pixels of the image per pixel of its last maps.
        narrowed: shapes of its tensors by name, where channels were removed.
    """

    kind: Literal["timm"] = "timm"
    name: str
    channels: int = Field(gt=0)
    stride: int = Field(gt=0)
    narrowed: dict[str, tuple[int, ...]] = Field(default_factory=dict)


def _member(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "Backbone" if kind == "timm" else "Stem"


AnyStem = Annotated[Annotated[Stem, Tag("Stem")] | Annotated[Backbone, Tag("Backbone")], Discriminator(_member)]


class BlockSpec(StrictModel):
    """One block: its registered type, C3, its stride and its choices; C1 is the C3 before it."""

    type: str
    out_channels: int = Field(gt=0)
    stride: int = Field(default=1, ge=1, le=2)
    choices: dict[str, Choice] = Field(default_factory=dict)


class Head(StrictModel):
    """What follows the blocks: a 1×1 convolution to ``width`` channels, the map's average, a layer of ``hidden`` units.

    Of the convolution and the hidden layer (linear, ReLU) there is none where the number is None.
    """

    width: int | None = Field(default=None, gt=0)
    hidden: int | None = Field(default=None, gt=0, exclude_if=lambda value: value is None)
    activation: str = "relu6"


class Architecture(StrictModel):
    """A whole network as data.

    Attributes:
        version: version of this form.
        name: name for people.
        input_px: side of the square input image it is meant for, pixels.
        num_classes: number of logits.
        mean: per-channel mean of pixel/255 that is taken off the input.
        std: per-channel standard deviation of pixel/255 that the input is divided by.
        stem: the first layer, or another package's network.
        blocks: the blocks in order.
        head: what follows them.
        dropout: rate before the classifier, 0..1.
    """

    version: Literal[1] = 1
    name: str
    input_px: int = Field(ge=8)
    num_classes: int = Field(ge=1)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    stem: AnyStem
    blocks: tuple[BlockSpec, ...]
    head: Head
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @field_validator("std")
    @classmethod
    def _positive(cls, value: tuple[float, float, float], _: ValidationInfo) -> tuple[float, float, float]:
        if min(value) <= 0:
            raise ValueError("every standard deviation must be above 0")
        return value

    def build(self, *, seed: int = 0) -> Network:
        """The network with freshly drawn weights; the same seed gives the same weights, whatever ran before.

        Raises:
            ConfigError: a block's choices do not fit.
            UnknownNameError: a block's type is not registered.
            CapacityError: the package of a backbone is not installed.
        """
        from mindgap.space.network_builder import build_network

        return build_network(self, seed=seed)

    def for_task(self, *, num_classes: int, input_px: int) -> Architecture:
        """The same network for another number of classes and another image size."""
        return self.model_copy(update={"num_classes": num_classes, "input_px": input_px})

    def to_json(self) -> str:
        """The architecture as JSON text; ``from_json`` reads it back unchanged."""
        return json.dumps(self.model_dump(mode="json"), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str = "architecture") -> Architecture:
        """Reads what ``to_json`` wrote.

        Raises:
            DataError: the text is not JSON or does not describe an architecture.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"{source}: not valid JSON ({error}); the file is damaged or of another kind") from None
        if not isinstance(values, dict):
            raise DataError(f"{source}: holds a {type(values).__name__}; an architecture is a JSON object")
        try:
            return parse(cls, values, source=source)
        except ConfigError as error:
            raise DataError(str(error)) from None


def save_network(folder: Path | str, architecture: Architecture, network: Network) -> None:
    """Writes ``architecture.json`` and ``weights.safetensors`` into the folder, each whole or not at all.

    Raises:
        CapacityError: the folder cannot be written.
    """
    folder = Path(folder)
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(weight_bytes(network))
    write_text(folder / ARCHITECTURE_FILE, architecture.to_json())


def weight_bytes(network: Network) -> bytes:
    """The content of ``weights.safetensors``."""
    return serialize({name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()})


def load_network(
    folder: Path | str, *, adapt: Callable[[Network], Network] | None = None
) -> tuple[Architecture, Network]:
    """Reads what ``save_network`` wrote; the network is on the CPU, in training mode.

    Args:
        folder: that was written into.
        adapt: gives the freshly built network the form in which it was trained; None is the architecture's own.

    Raises:
        DataError: a file is missing, damaged, or the weights belong to another architecture.
    """
    folder = Path(folder)
    architecture = read_architecture(folder / ARCHITECTURE_FILE)
    network = architecture.build() if adapt is None else adapt(architecture.build())
    path = folder / WEIGHTS_FILE
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: cannot read the weights ({reason}); write the run again") from None
    own = network.state_dict()
    odd = sorted(set(own) ^ set(tensors)) or [name for name in own if own[name].shape != tensors[name].shape]
    if odd:
        raise DataError(f"{path}: not the weights of {architecture.name!r}, they differ at {odd[0]}; check the run")
    network.load_state_dict(tensors)
    return architecture, network


def read_architecture(path: Path | str) -> Architecture:
    """Reads one architecture file.

    Raises:
        DataError: the file is missing, damaged, or does not describe an architecture.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise DataError(f"{path}: cannot read the file ({reason}); check the path") from None
    return Architecture.from_json(text, source=str(path))
