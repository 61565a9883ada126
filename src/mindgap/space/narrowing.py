"""Another package's modules with fewer channels than the package builds them with."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mindgap.core.errors import ConfigError

NARROWABLE = (nn.Conv2d, nn.Linear, nn.modules.batchnorm._BatchNorm)  # noqa: SLF001  (torch has no public name for all)


def narrowed_shapes(module: nn.Module, whole: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a module that differ from the whole one's, by their names."""
    shapes = {name: tuple(tensor.shape) for name, tensor in whole.state_dict().items()}
    return {
        name: tuple(tensor.shape)
        for name, tensor in module.state_dict().items()
        if tuple(tensor.shape) != shapes.get(name)
    }


def narrow(module: nn.Module, shapes: Mapping[str, tuple[int, ...]], *, source: str) -> None:
    """Cuts tensors down to their first channels, in place, so that they take the weights of a narrowed network.

    Args:
        module: as its package builds it.
        shapes: see ``narrowed_shapes``.
        source: what the module is called in an error.

    Raises:
        ConfigError: the module has no such tensor, or a smaller one.
    """
    own = module.state_dict()
    for name, shape in shapes.items():
        path, _, leaf = name.rpartition(".")
        part = module.get_submodule(path) if name in own else module
        whole = tuple(own[name].shape) if name in own else ()
        fits = len(whole) == len(shape) and all(1 <= left <= of for left, of in zip(shape, whole, strict=True))
        if not fits or not isinstance(part, NARROWABLE):
            raise ConfigError(
                f"{source}: {name} is {whole or 'missing'} there and cannot become {shape}; check the file"
            )
        tensor = getattr(part, leaf)
        cut = tensor.detach()[tuple(slice(left) for left in shape)].clone()
        setattr(part, leaf, nn.Parameter(cut, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else cut)
        _say_widths(part)


def _say_widths(part: nn.Module) -> None:
    """Writes the numbers of channels of the tensors into a layer."""
    if isinstance(part, nn.Conv2d):
        depthwise = part.groups > 1 and part.weight.shape[1] == 1
        part.out_channels = part.weight.shape[0]
        part.groups = part.out_channels if depthwise else part.groups
        part.in_channels = part.weight.shape[1] * part.groups
    elif isinstance(part, nn.Linear):
        part.out_features, part.in_features = part.weight.shape
    elif isinstance(part, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001
        known = [tensor for tensor in (part.running_mean, part.weight) if isinstance(tensor, Tensor)]
        part.num_features = len(known[-1]) if known else part.num_features
