"""Which convolutions make the output channels of a module."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mindgap.core.errors import ConfigError

_CHANNELWISE = tuple(
    f"torch.nn.modules.{kind}"
    for kind in ("activation", "batchnorm", "dropout", "instancenorm", "pooling", "upsampling")
)
_MIXING = (nn.MultiheadAttention, nn.Softmax, nn.Softmin, nn.LogSoftmax, nn.Softmax2d, nn.GLU)
_SUMS = frozenset({"add", "iadd", "sub", "isub"})
_OF_THE_FIRST = frozenset(
    {
        *("mul", "imul", "clamp", "contiguous", "clone", "detach", "to"),
        *("relu", "relu6", "leaky_relu", "silu", "gelu", "elu", "hardswish", "hardtanh", "mish", "sigmoid", "tanh"),
        *("dropout", "dropout2d", "batch_norm", "interpolate"),
        *("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"),
    }
)
"""Functions and methods that keep the channels of their first argument; a product's second is a gate."""


@dataclass
class _Producers:
    convolutions: list[nn.Conv2d] = field(default_factory=list)
    norms: list[nn.Module] = field(default_factory=list)


def producing_convolutions(module: nn.Module) -> tuple[nn.Conv2d, ...]:
    """The convolutions inside a module whose output channels are the module's own, up to what acts channel by channel.

    A convolution is its own, a ``conv_unit``'s the one it has, a residual block's are the last of its body and, where
    the shape changes, its projection's. Channel c of the module is a function of the filters c of these and, where
    there is an identity shortcut, of the module's input. Of a product, as with squeeze and excitation, the first factor
    counts and the gate does not. Modules of other packages are read likewise, by tracing their Python code.

    Raises:
        ConfigError: the channels are made in another way, as by a concatenation; or no convolution makes them.
    """
    return tuple(_producers(module).convolutions)


def producing_norms(module: nn.Module) -> tuple[nn.Module, ...]:
    """The batch norms between these convolutions and the module's output; their scales are one per channel.

    Raises:
        ConfigError: as ``producing_convolutions``.
    """
    return tuple(_producers(module).norms)


def _producers(module: nn.Module) -> _Producers:
    whole = nn.Sequential(module)  # so that a lone convolution is a call of a module, too
    try:
        graph = _Tracer().trace(whole)
    except Exception as error:  # noqa: BLE001  (another package's code may not be traceable in any way)
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise _unknown(module, f"its code cannot be traced ({said})") from None
    found = _Producers()
    output = next(node for node in graph.nodes if node.op == "output").args[0]
    waiting, seen = [output], set[fx.Node]()
    while waiting:
        node = waiting.pop(0)
        if not isinstance(node, fx.Node):
            raise _unknown(module, f"it puts out a {type(node).__name__}")
        if node not in seen:
            seen.add(node)
            waiting.extend(_before(node, whole, found, module))
    if not found.convolutions:
        raise _unknown(module, "it has no convolution that does")
    return found


class _Tracer(fx.Tracer):
    """Does not look into convolutions and batch norms that other packages derive."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (nn.Conv2d, _BatchNorm)) or super().is_leaf_module(m, module_qualified_name)


def _before(node: fx.Node, whole: nn.Module, found: _Producers, module: nn.Module) -> list[Any]:
    """Where the channels of a node's value come from; convolutions and norms are noted on the way."""
    if node.op == "placeholder":
        return []
    if node.op == "call_module":
        called = whole.get_submodule(str(node.target))
        if isinstance(called, nn.Conv2d):
            found.convolutions.append(called)
            return []
        if isinstance(called, _BatchNorm) and called.affine:
            found.norms.append(called)
        if _keeps_channels(called):
            return [_first(node)]
        raise _unknown(module, f"{type(called).__name__} mixes them")
    name = _name(node)
    if name in _SUMS:
        return [arg for arg in (*node.args, *node.kwargs.values()) if isinstance(arg, fx.Node)]
    if name in _OF_THE_FIRST:
        return [_first(node)]
    raise _unknown(module, f"{name} mixes them")


def _first(node: fx.Node) -> Any:
    """The first argument, which torch names ``input``."""
    return node.args[0] if node.args else node.kwargs.get("input")


def _keeps_channels(module: nn.Module) -> bool:
    kinds = {kind.__module__ for kind in type(module).__mro__}
    return isinstance(module, (nn.Identity, nn.GroupNorm)) or (
        not isinstance(module, _MIXING) and any(kind in kinds for kind in _CHANNELWISE)
    )


def _name(node: fx.Node) -> str:
    target = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    return name.strip("_")


def _unknown(module: nn.Module, why: str) -> ConfigError:
    return ConfigError(
        f"cannot tell which convolutions make the channels of a {type(module).__name__}: {why}; "
        "name a convolution as the layer, or score by snnl or taylor"
    )
