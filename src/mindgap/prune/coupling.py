"""Which channels of a network stand or fall together, by torch-pruning's dependency graph."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

from mindgap.core.errors import ConfigError
from mindgap.space.narrowing import NARROWABLE
from mindgap.space.network import Network

Channels = Mapping[str, Collection[int]]
"""Numbers of output channels by the name of their layer."""

Cut = Callable[[list[int]], Any]
_PROBE = "channel_probe_"
_PROBED = torch_pruning.prune_depthwise_conv_out_channels


@dataclass(frozen=True, eq=False)
class Coupled:
    """What goes together with some channels.

    Attributes:
        network: a copy of the network without its hooks, of which nothing is removed yet.
        outputs: by the name of each convolution, norm and linear layer that loses output channels, these, ascending.
        cuts: what removes it all from the copy, each with its channels.
    """

    network: Network
    outputs: Mapping[str, tuple[int, ...]]
    cuts: Sequence[tuple[Cut, list[int]]] = ()

    def remove(self) -> Network:
        """Removes it all from the copy, once."""
        learns = {name: parameter.requires_grad for name, parameter in self.network.named_parameters()}
        with torch.inference_mode(mode=False):
            for cut, channels in self.cuts:
                cut(channels)
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(learns[name])
        return self.network


def coupled_channels(network: Network, channels: Channels, *, px: int) -> Coupled:
    """Finds what has to go with some channels; the network is left as it was.

    What is added to them or multiplied with them goes too, as do their batch norms, their depthwise convolutions and
    the inputs of what follows.

    Args:
        network: on any device, in any mode.
        channels: per layer, of its output (B, C, h, w); the last one cannot go.
        px: side of an image that the network takes.

    Raises:
        ConfigError: a layer has no such channel or would lose all, or something in the network normalises or groups
            channels that would go.
    """
    wanted = {name: sorted(set(given)) for name, given in channels.items() if len(given)}
    bare = _bare_copy(network)
    if not wanted:
        return Coupled(bare, {})
    with traceable(bare):
        counts = _checked_counts(bare, wanted, px=px)
        return _found(bare, wanted, counts, px=px)


def map_channels(network: Network, names: Collection[str], *, px: int) -> dict[str, int]:
    """How many channels the output of some modules has; the network is left as it was.

    Raises:
        ConfigError: one gives no maps (B, C, h, w), or the network does not compute.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    seen = [(network.get_submodule(name), functools.partial(_note, shapes, name)) for name in names]
    with traceable(network):
        try:
            _look(network, _image(network, px), probes=seen)
        except RuntimeError as error:
            raise ConfigError(
                f"the network does not compute ({str(error).splitlines()[0]}); name other layers"
            ) from None
    for name in names:
        if len(shapes.get(name, ())) != 4:
            raise ConfigError(f"{name} gives no maps (B, C, h, w); name a layer of convolutions")
    return {name: shapes[name][1] for name in names}


@contextmanager
def traceable(network: Network) -> Iterator[None]:
    """In evaluation mode, as it is without autocast, with gradients of all parameters, and drawing nothing for good."""
    modes = [(module, module.training) for module in network.modules()]
    learns = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    network.eval().requires_grad_(requires_grad=True)
    try:
        with (
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            torch.autocast(_device(network).type, enabled=False),
            torch.random.fork_rng([_device(network)] if _device(network).type == "cuda" else []),
        ):
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, learnt in learns:
            parameter.requires_grad_(learnt)


def _bare_copy(network: Network) -> Network:
    """A copy without hooks, in which every module computes as its class does."""
    with torch.inference_mode(mode=False):
        bare = copy.deepcopy(network)
    for module in bare.modules():
        module.__dict__.pop("forward", None)
        for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks):  # noqa: SLF001
            hooks.clear()
    return bare


def _device(network: Network) -> torch.device:
    return network.classifier.weight.device


def _image(network: Network, px: int) -> Tensor:
    return torch.zeros(1, 3, px, px, device=_device(network), dtype=network.classifier.weight.dtype)


def _look(network: nn.Module, image: Any, *, probes: Iterable[tuple[nn.Module, Callable[..., Any]]]) -> Tensor:
    """The logits of an image, with a hook on each of some layers."""
    hooks = [layer.register_forward_hook(hook) for layer, hook in probes]
    try:
        return network(image)
    finally:
        for hook in hooks:
            hook.remove()


def _checked_counts(network: Network, wanted: Mapping[str, Sequence[int]], *, px: int) -> dict[str, int]:
    """How many channels the layers have, which is more than they lose."""
    counts = map_channels(network, wanted, px=px)
    for name, channels in wanted.items():
        odd = [channel for channel in channels if not 0 <= channel < counts[name]]
        if odd:
            raise ConfigError(f"{name} has no channel {odd[0]}; its channels are 0 to {counts[name] - 1}")
        if len(channels) == counts[name]:
            raise ConfigError(f"{name} would lose all of its {counts[name]} channels; remove fewer, one has to stay")
    return counts


def _note(shapes: dict[str, tuple[int, ...]], name: str, _: nn.Module, __: Any, output: Any) -> None:
    shapes[name] = tuple(output.shape) if isinstance(output, Tensor) else ()


def _pass(probe: nn.Module, _: nn.Module, __: Any, output: Tensor) -> Tensor:
    return probe(output)


def _found(network: Network, wanted: Mapping[str, Sequence[int]], counts: Mapping[str, int], *, px: int) -> Coupled:
    """What is coupled, seen from a depthwise convolution that each layer's output is passed through for a while."""
    place = {"device": _device(network), "dtype": network.classifier.weight.dtype}
    probes = {name: nn.Conv2d(count, count, 1, groups=count, **place) for name, count in counts.items()}
    for number, probe in enumerate(probes.values()):
        network.add_module(f"{_PROBE}{number}", probe)
    hooks = [(network.get_submodule(name), functools.partial(_pass, probe)) for name, probe in probes.items()]
    graph, groups = _groups(network, functools.partial(_look, probes=hooks), probes, wanted, px=px)
    cuts: dict[tuple[Any, Any], tuple[Cut, set[int]]] = {}
    for dependency, members in groups:
        cut = cuts.setdefault((dependency.target.module, dependency.handler), (dependency, set()))
        cut[1].update(members)
    for number in range(len(probes)):
        delattr(network, f"{_PROBE}{number}")
    return _checked(network, cuts, is_output=graph.is_out_channel_pruning_fn, of=", ".join(wanted))


def _groups(
    network: Network,
    look: Callable[..., Tensor],
    probes: Mapping[str, nn.Module],
    wanted: Mapping[str, Sequence[int]],
    *,
    px: int,
) -> tuple[Any, list[tuple[Any, list[int]]]]:
    """The network's graph, and every place in it that loses channels, with these."""
    graph = torch_pruning.DependencyGraph()
    try:
        graph.build_dependency(network, _image(network, px), forward_fn=look, verbose=False)
        groups = [graph.get_pruning_group(probe, _PROBED, wanted[name]) for name, probe in probes.items()]
    except Exception as error:  # noqa: BLE001  (another package's code may not be traceable in any way)
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise ConfigError(
            f"cannot tell what goes together with channels of {', '.join(wanted)}: torch-pruning cannot trace the "
            f"network ({said}); prune one without what stops it, as a chunk before a concatenation"
        ) from None
    return graph, [member for group in groups for member in group]


def _checked(
    network: Network,
    cuts: Mapping[tuple[Any, Any], tuple[Cut, set[int]]],
    *,
    is_output: Callable[[Any], bool],
    of: str,
) -> Coupled:
    """The cuts that are of modules of the network, and not of sums and the like, which have no numbers of channels."""
    names = {module: name for name, module in network.named_modules()}
    outputs: dict[str, tuple[int, ...]] = {}
    kept: list[tuple[Cut, list[int]]] = []
    for (target, handler), (cut, members) in cuts.items():
        if isinstance(target, nn.Parameter) or (target in names and not _can_lose(target)):
            where = names.get(target, "a parameter of its own")
            raise ConfigError(
                f"channels of {of} pass {where} ({type(target).__name__}), of which single ones cannot be removed; "
                "name other layers"
            )
        if target in names:
            kept.append((cut, sorted(members)))
            if is_output(handler):
                outputs[names[target]] = tuple(sorted(members))
                if len(members) >= _width(target):
                    raise ConfigError(
                        f"{names[target]} would lose all of its {_width(target)} channels, as {of} go together; "
                        "remove fewer, one has to stay"
                    )
    return Coupled(network, outputs, kept)


def _can_lose(module: nn.Module) -> bool:
    """Whether one channel can be removed: not from groups of several, nor where channels are normalised together."""
    if isinstance(module, nn.Conv2d):
        return module.groups == 1 or module.groups == module.in_channels == module.out_channels
    return isinstance(module, NARROWABLE)


def _width(module: nn.Module) -> int:
    if isinstance(module, nn.Conv2d):
        return module.out_channels
    return module.out_features if isinstance(module, nn.Linear) else int(getattr(module, "num_features", 0))
