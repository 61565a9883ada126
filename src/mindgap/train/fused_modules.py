"""Which modules of a network are computed by the fused batch norm, and the forwards that do so."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import zip_longest

from torch import Tensor, nn

from mindgap.space.layers import Residual
from mindgap.train.fused_norm import act_of, fused_norm, has_hooks, is_fusable

Forward = Callable[[Tensor], Tensor]


def fused_forwards(module: nn.Module) -> Iterator[tuple[nn.Module, Forward]]:
    """What the forwards of the modules inside (and of the module itself) have to be for its batch norms to be fused.

    A batch norm takes over the activation that follows it in a sequence, which then does nothing; a residual block's
    last one takes over the sum and the activation after it. In evaluation each does what it did. A batch norm whose
    class, settings or hooks are unusual stays as it is.
    """
    taken: set[nn.Module] = set()
    for residual in [child for child in module.modules() if isinstance(child, Residual)]:
        norm = _last_norm(residual)
        if norm is not None:
            taken.add(norm)
            yield residual, functools.partial(_residual, residual, norm)
    for sequence in [child for child in module.modules() if type(child) is nn.Sequential]:
        for norm, after in zip_longest(sequence, [*sequence][1:]):
            if norm in taken or not is_fusable(norm):
                continue
            act = after if after is not None and act_of(after) in {"relu", "relu6"} else None
            yield norm, functools.partial(_normalised, norm, act)
            if act is not None:
                yield act, _same


def _normalised(norm: nn.BatchNorm2d, act: nn.Module | None, images: Tensor) -> Tensor:
    fused = fused_norm(norm, images, act=act_of(act) or "plain")
    if fused is not None:
        return fused
    images = _own_forward(norm, images)
    return images if act is None else _own_forward(act, images)


def _residual(residual: Residual, norm: nn.BatchNorm2d, images: Tensor) -> Tensor:
    if not norm.training:
        return _own_forward(residual, images)
    added = residual.shortcut(images)
    *units, last = residual.body
    layers = [*last.children()][:-1]
    for layer in [*units, *layers]:
        images = layer(images)
    fused = fused_norm(norm, images, act=act_of(residual.act) or "plain", residual=added)
    return residual.act(_own_forward(norm, images) + added) if fused is None else fused


def _last_norm(residual: Residual) -> nn.BatchNorm2d | None:
    """The batch norm whose output the shortcut is added to, unless something has to see it or the sum by itself."""
    body = residual.body
    last = body[-1] if len(body) else None
    norm = last[-1] if isinstance(last, nn.Sequential) and len(last) else None
    usual = type(residual) is Residual and type(body) is nn.Sequential and type(last) is nn.Sequential
    watched = has_hooks(body) or (last is not None and has_hooks(last)) or act_of(residual.act) is None
    return norm if usual and not watched and is_fusable(norm) else None


def _own_forward(module: nn.Module, images: Tensor) -> Tensor:
    return type(module).forward(module, images)


def _same(images: Tensor) -> Tensor:
    return images
