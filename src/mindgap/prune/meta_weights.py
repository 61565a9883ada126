"""How much each attribute counts when channels are ranked, learned on held-out images (Wei & Chakraborti, Alg. 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from mindgap.core.config import StrictModel
from mindgap.core.errors import ConfigError, DataError
from mindgap.prune.importance import Layers, ScoringBatch
from mindgap.prune.meta_step import LEAST_IMAGES, ChannelLoss, MetaStep, SampleLoss, meta_step


class MetaOptions(StrictModel):
    """How the weights are learned.

    Attributes:
        inner: ``ascent`` simulates removing what encodes the attributes, θ + α∇L_train; ``literal`` is the paper's
            θ − α∇L_train, which simulates encoding them more.
        iterations: steps of Adam on the weights.
        inner_step: α, of the simulated step, above 0 and at most 1000.
        lr: of Adam, in units of a weight, above 0 and at most 1.
    """

    inner: Literal["ascent", "literal"] = "ascent"
    iterations: int = Field(default=100, ge=1)
    inner_step: float = Field(default=0.1, gt=0, le=1000)
    lr: float = Field(default=0.05, gt=0, le=1)

    @property
    def signed_step(self) -> float:
        """s·α, the step along the gradient of L_train."""
        return self.inner_step if self.inner == "ascent" else -self.inner_step


class BalancedData(Protocol):
    """Batches by attribute; the same each time they are asked for. Any ``ScoringData`` is one."""

    @property
    def group_names(self) -> Mapping[str, tuple[str, ...]]:
        """The groups of each attribute, in the order of their numbers."""
        ...

    def balanced(self, attribute: str) -> Iterable[ScoringBatch]:
        """Batches that hold every group of the attribute alike."""
        ...


@dataclass(frozen=True, eq=False)
class AttributeWeights:
    """Learned weights and how they came about.

    Attributes:
        attributes: the K attributes.
        path: float64 (iterations + 1, K), the weights from the start on, each row of mean 1.
        variances: float64 (iterations, K), variance of each attribute's group losses after the simulated step.
        left_out: of each attribute the groups that had fewer than two images in some meta batch, and there no say.
    """

    attributes: tuple[str, ...]
    path: NDArray[np.float64]
    variances: NDArray[np.float64]
    left_out: Mapping[str, tuple[str, ...]]

    @property
    def weights(self) -> dict[str, float]:
        """The final weight of each attribute."""
        return dict(zip(self.attributes, self.path[-1].tolist(), strict=True))

    @property
    def meta_losses(self) -> NDArray[np.float64]:
        """Float64 (iterations,), L_meta, the sum of the variances."""
        return self.variances.sum(axis=1)


def learn_attribute_weights(
    network: nn.Module,
    layers: Layers,
    *,
    attributes: Sequence[str],
    training: BalancedData,
    meta: BalancedData,
    snnl: ChannelLoss,
    loss: SampleLoss,
    options: MetaOptions | None = None,
    on_iteration: Callable[[int], None] = lambda _: None,
) -> AttributeWeights:
    """Weights w ≥ 0 of mean 1 under which removing what encodes the attributes evens out group losses most.

    From ones; each iteration takes the next balanced batch of each attribute from both sources (from the first again
    after the last), the gradient of L_meta by ``meta_step`` and a step of Adam, then w ← max(0, w) divided by its mean,
    or ones if all are 0. Nothing is drawn: the same network and data give the same weights. A single attribute has
    weight 1; nothing is computed then, and its path is one row.

    Args:
        network: maps images to logits; it is left as it was. It is not made in torch's inference mode, in which this
            may be called.
        layers: whose channels will be ranked, by name.
        attributes: K names, each known to both sources.
        training: images to score by.
        meta: held-out images, such as ``MetaBatches``.
        snnl: a channel's soft nearest neighbour loss.
        loss: of a sample.
        options: None is ``MetaOptions()``.
        on_iteration: told the number of every iteration that is done.

    Raises:
        ConfigError: no attribute, or no parameter that is trained acts on the layers, or the step is too long.
        DataError: fewer than two groups of an attribute have two images in a meta batch, a source is empty, or no
            channel of the layers can be scored, or their values overflow.
    """
    options = options or MetaOptions()
    attributes = tuple(attributes)
    if not attributes:
        raise ConfigError("no attribute is named; name those whose weights are to be learned")
    if len(attributes) == 1:
        return AttributeWeights(attributes, np.ones((1, 1)), np.empty((0, 1)), {attributes[0]: ()})
    names = [meta.group_names[attribute] for attribute in attributes]
    sources = [[_endless(data, attribute) for attribute in attributes] for data in (training, meta)]

    def step(weights: Sequence[float]) -> MetaStep:
        its_training, its_meta = ([next(batches) for batches in source] for source in sources)
        found = meta_step(
            network,
            layers,
            weights,
            training=its_training,
            meta=its_meta,
            groups=[len(own) for own in names],
            snnl=snnl,
            loss=loss,
            step=options.signed_step,
        )
        _check(found, attributes, options)
        return found

    path, steps = _descended(step, len(attributes), options, on_iteration)
    left_out = {
        attribute: _left_out(own, [found.sizes[number] for found in steps])
        for number, (attribute, own) in enumerate(zip(attributes, names, strict=True))
    }
    variances = torch.stack([found.variances for found in steps]).numpy()
    return AttributeWeights(attributes, np.stack(path), variances, left_out)


@torch.inference_mode(mode=False)
def _descended(
    step: Callable[[Sequence[float]], MetaStep], count: int, options: MetaOptions, on_iteration: Callable[[int], None]
) -> tuple[list[NDArray[np.float64]], list[MetaStep]]:
    """Adam's way from ones, the weights (count,) from the start on, and what each step said."""
    weights = torch.ones(count, dtype=torch.float64)
    adam = torch.optim.Adam([weights], lr=options.lr)
    path, steps = [weights.numpy().copy()], list[MetaStep]()
    for iteration in range(options.iterations):
        found = step(weights.tolist())
        weights.grad = found.gradient
        adam.step()
        weights.copy_(normalised(weights))
        path.append(weights.numpy().copy())
        steps.append(found)
        on_iteration(iteration)
    return path, steps


def normalised(weights: Tensor) -> Tensor:
    """max(0, w) divided by its mean, float64 (K,); ones if nothing is above 0.

    Example:
        3, 1 and -1 become 2.25, 0.75 and 0.
    """
    positive = weights.clamp(min=0.0)
    mean = positive.mean()
    return positive / mean if mean > 0 else torch.ones_like(weights)


def _left_out(names: Sequence[str], sizes: Sequence[Tensor]) -> tuple[str, ...]:
    """The groups that were short of images in some batch."""
    short = (torch.stack(list(sizes)) < LEAST_IMAGES).any(dim=0).tolist()
    return tuple(name for name, out in zip(names, short, strict=True) if out)


def _endless(data: BalancedData, attribute: str) -> Iterator[ScoringBatch]:
    """The attribute's batches, again and again; none is kept."""
    while True:
        number = -1
        for number, batch in enumerate(data.balanced(attribute)):  # noqa: B007  (tells that there was one)
            yield batch
        if number < 0:
            raise DataError(f"attribute {attribute!r}: there is no batch to learn its weight by; leave it out")


def _check(found: MetaStep, attributes: Sequence[str], options: MetaOptions) -> None:
    """Refuses what no weight can be learned from."""
    for attribute, sizes in zip(attributes, found.sizes, strict=True):
        if int((sizes >= LEAST_IMAGES).sum()) < LEAST_IMAGES:
            raise DataError(
                f"attribute {attribute!r}: a meta batch has {sizes.tolist()} images of its groups, and two groups need "
                f"{LEAST_IMAGES} or more each; hold out more images, join groups, or leave the attribute out"
            )
    if not (found.gradient.isfinite().all() and found.variances.isfinite().all()):
        raise ConfigError(f"inner_step is {options.inner_step:g}: group losses are not finite after it; give less")
