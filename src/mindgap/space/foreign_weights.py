"""Weights of the same network from a file, ours or another library's, mapped onto ours."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_safetensors
from torch import Tensor

from mindgap.core.errors import DataError
from mindgap.space.network import Network

CLASSIFIER = "classifier"
SAFETENSORS = ".safetensors"
NOT_LEARNT = "num_batches_tracked"
_STEM = "stem."
_NAMED = 3  # differences that an error names
Layers = dict[str, dict[str, Tensor]]


@dataclass(frozen=True, eq=False)
class ForeignWeights:
    """A file of weights, read once: what is loaded is what the digest is of.

    Attributes:
        path: of the file.
        digest: BLAKE2b of its bytes, 32 hexadecimal digits.
        tensors: by the file's own names.
    """

    path: Path
    digest: str
    tensors: Mapping[str, Tensor]

    @classmethod
    def read(cls, path: Path | str) -> ForeignWeights:
        """Reads a ``.pt``/``.pth`` state dict, executing nothing in it, or a ``.safetensors``.

        A ``state_dict`` or ``model`` entry around the tensors is unwrapped.

        Raises:
            DataError: the file is missing, damaged, or holds anything but tensors.
        """
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot read the weights ({error.strerror}); check the path") from None
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        return cls(Path(path), digest, _tensors_in(content, path=Path(path)))

    def load_into(self, network: Network) -> tuple[str, ...]:
        """Replaces the network's weights, as ``load_foreign_weights`` does.

        Returns:
            Names of the network's tensors that were left as drawn: the classifier's or none.

        Raises:
            DataError: the weights are another network's, or one is NaN or infinite.
        """
        mapped = map_weights(network, self.tensors, source=str(self.path))
        for name, tensor in mapped.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise DataError(f"{self.path}: a value of {name} is NaN or infinite; give weights of a whole training")
        missing = network.load_state_dict(mapped, strict=False).missing_keys
        return tuple(name for name in missing if not name.endswith(NOT_LEARNT))


def load_foreign_weights(network: Network, path: Path | str) -> tuple[str, ...]:
    """Loads torchvision's, timm's or our weights of the same network; a classifier of other classes stays as drawn.

    Args:
        network: a built network; its weights are replaced.
        path: see ``ForeignWeights.read``.

    Returns:
        Names of our tensors that were left as drawn: the classifier's or none.

    Raises:
        DataError: the file is missing, damaged, or holds another network.
    """
    return ForeignWeights.read(path).load_into(network)


def _tensors_in(content: bytes, *, path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == SAFETENSORS:
            return read_safetensors(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on old pickles, which are then refused or read
            tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except UnpicklingError:  # torch's own words advise to execute what is in the file
        raise DataError(
            f"{path}: is no state dict, or holds objects that would have to be executed, which is never done; give a "
            "file of tensors only"
        ) from None
    except (EOFError, LookupError):  # of a text file torch has but an index to tell
        raise DataError(f"{path}: is no file of weights; give one of tensors only") from None
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: cannot read the weights ({reason}); give a file of tensors only") from None
    for wrapper in ("state_dict", "model"):
        if isinstance(tensors, dict) and isinstance(tensors.get(wrapper), dict):
            tensors = tensors[wrapper]
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise DataError(f"{path}: holds something else than named tensors; give a state dict")
    return dict(tensors)


def map_weights(network: Network, tensors: Mapping[str, Tensor], *, source: str = "weights") -> dict[str, Tensor]:
    """Renames foreign tensors to ours: by name if they are ours, else layer by layer in order of definition.

    torchvision, timm and we define the layers of these networks in the same order. A safetensors file forgets the
    order, so only our own names can be read from one. A classifier that is missing or of other classes is left out.

    Raises:
        DataError: the layers differ in number, kind or shape.
    """
    ours, theirs = _by_layer(network.state_dict()), _by_layer(tensors)
    mapped: dict[str, Tensor] = {}
    odd: list[str] = []
    for layer, foreign in _pairs(ours, theirs, source=source).items():
        own, given = ours[layer], theirs[foreign]
        differing = [name for name in own if name != NOT_LEARNT and _shape(own, name) != _shape(given, name)]
        if differing and layer == CLASSIFIER and _takes_alike(own, given):
            continue
        odd += [
            f"{foreign}.{name} is {_shape(given, name) or 'missing'}, {layer}.{name} needs {_shape(own, name)}"
            for name in differing
        ]
        mapped |= {f"{layer}.{name}": given[name] for name in own if name in given}
    if odd:
        raise DataError(f"{source}: {_first(odd, separator='; ')}; give this network's weights")
    return mapped


def _pairs(ours: Layers, theirs: Layers, *, source: str) -> dict[str, str]:
    """Our layers, each with the foreign one that holds its weights; without the classifier if there is none for it."""
    needed, given = [name for name in ours if name != CLASSIFIER], [name for name in theirs if name != CLASSIFIER]
    if set(needed) == set(given):
        return {layer: layer for layer in ours if layer in theirs}
    bare = {layer.removeprefix(_STEM): layer for layer in needed if layer.startswith(_STEM)}
    if len(bare) == len(needed) and set(bare) & set(theirs):
        return _backbone_pairs(bare, theirs, source=source)
    if set(needed) & set(given):
        raise DataError(f"{source}: {_names_differ(set(needed), set(given))}; give this network's weights")
    if source.endswith(SAFETENSORS):
        raise DataError(f"{source}: names of another library, whose order this file has lost; give a .pt state dict")
    if len(theirs) not in {len(ours), len(needed)}:
        raise DataError(
            f"{source}: {len(theirs)} layers with weights, the network has {len(ours)}; give its own weights"
        )
    return dict(zip(ours, theirs, strict=False))


def _backbone_pairs(bare: Mapping[str, str], theirs: Layers, *, source: str) -> dict[str, str]:
    """As ``_pairs`` for a network that is another package's but for its classifier, by that package's names."""
    more = [name for name in theirs if name not in bare]
    if set(bare) - set(theirs) or len(more) > 1:
        raise DataError(f"{source}: {_names_differ(set(bare), set(theirs))}; give this network's weights")
    classifier = {CLASSIFIER: more[0]} if more else {}
    return {layer: name for name, layer in bare.items()} | classifier


def _names_differ(needed: set[str], given: set[str]) -> str:
    said = []
    if needed - given:
        said.append(f"lacks {_first(sorted(needed - given))}")
    if given - needed:
        said.append(f"has {_first(sorted(given - needed))}, which the network has not")
    return " and ".join(said)


def _first(names: Iterable[str], *, separator: str = ", ") -> str:
    listed = list(names)
    more = len(listed) - _NAMED
    return separator.join(listed[:_NAMED]) + (f"{separator}and {more} more" if more > 0 else "")


def _takes_alike(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> bool:
    """Whether two classifiers take the same features."""
    return "weight" in given and given["weight"].shape[1:] == own["weight"].shape[1:]


def _by_layer(tensors: Mapping[str, Tensor]) -> Layers:
    layers: Layers = {}
    for name, tensor in tensors.items():
        layer, _, leaf = name.rpartition(".")
        layers.setdefault(layer, {})[leaf] = tensor
    return layers


def _shape(layer: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(layer[name].shape) if name in layer else None
