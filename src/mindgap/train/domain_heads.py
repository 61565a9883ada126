"""Domain heads: small networks that learn to tell a sample's groups from what a classifier computes of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Adam

from mindgap.core.config import StrictModel
from mindgap.core.seed import derive_seed
from mindgap.train.mitigation import Batch, TrainingFacts
from mindgap.train.own_figure import OwnFigure


class HeadOptions(StrictModel):
    """Options of domain heads.

    Attributes:
        head_width: hidden units of a head.
        head_lr: learning rate of the heads' own Adam, the same in all steps whatever the run's schedule.
        head_steps: steps of the heads after every step of the network, all on that step's batch.
    """

    head_width: int = Field(default=64, ge=1, le=4096)
    # A head that lags is not hidden from but fooled: the features turn around faster than it learns. On 1,000 made-up
    # images, 15 epochs at 6e-3, three seeds, another head tells the group from the predictions of advrev in .93 to 1.00
    # of cases at 1e-3 and 1 step, .50 to .86 at 1e-2 and 2, .49 to .52 at 1e-2 and 5 (plain training: .86, chance: .5);
    # from the features of advconf .89 to .98, 1.00 and .58 to .69 (plain training: .98).
    head_lr: float = Field(default=1e-2, gt=0, le=1)
    head_steps: int = Field(default=5, ge=1, le=100)


class DomainHeads:
    """One head per attribute, linear–ReLU–linear from (B, F) to the groups it is trained on, with an optimiser.

    A group without a training image has no output: a head would learn that it never is, and an even guess over it could
    not be reached.

    They come into being at the first batch, on its device, with weights that depend on the run's seed alone. ``logits``
    and ``loss`` hold the heads fixed: a gradient reaches the inputs and never a head. ``train`` holds the inputs fixed:
    a gradient reaches the heads and never a network. Over each epoch they tally how many samples they tell rightly, on
    the device, each before they learn from its batch.
    """

    def __init__(self, facts: TrainingFacts, options: HeadOptions) -> None:
        every = [of.group_counts for of in (facts, *facts.more_attributes)]
        self._numbers = [_numbers(counts) for counts in every]
        self._outputs = [max(1, int(np.count_nonzero(counts))) for counts in every]
        self._seed = derive_seed(facts.seed, "domain heads")
        self._options = options
        self._attributes = [facts.attribute, *(of.name for of in facts.more_attributes)]
        self._tallies: dict[str, Any] = {}
        self._built: tuple[nn.ModuleList, Adam] | None = None
        self._saved: dict[str, Any] = {}

    def logits(self, inputs: Tensor) -> list[Tensor]:
        """Logits float32 (B, G) of every attribute's trained groups, from inputs float32 (B, F)."""
        heads, _ = self._ready(inputs)
        return [functional_call(head, _detached(head), (inputs,)) for head in heads]

    def loss(self, inputs: Tensor, batch: Batch) -> Tensor:
        """What the heads minimise, with the heads fixed: the sum of ``group_cross_entropy`` over attributes, scalar."""
        return self._summed(self.logits(inputs), batch)

    def train(self, inputs: Tensor, batch: Batch) -> None:
        """Trains the heads by ``head_steps`` steps to tell the batch's groups from inputs float32 (B, F)."""
        heads, optimizer = self._ready(inputs)
        fixed = inputs.detach()
        for step in range(self._options.head_steps):
            optimizer.zero_grad(set_to_none=True)
            logits = [head(fixed) for head in heads]
            if not step:
                self._tally(logits, batch)
            self._summed(logits, batch).backward()
            optimizer.step()

    def own_figures(self) -> tuple[OwnFigure, ...]:
        """Of each attribute the head's accuracy over the last epoch, beside the largest group's share there.

        Each sample is told by the head as it was before it learnt from the sample's batch, whose images are augmented;
        the network goes on meanwhile. No accuracy promises that another head could not tell more.
        """
        counts = self._tallies.get("counts") or [torch.zeros(1 + groups, dtype=torch.int64) for groups in self._outputs]
        return tuple(_accuracy(name, *of.tolist()) for name, of in zip(self._attributes, counts, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser and the epoch's tallies; what was loaded, or nothing, before the first batch."""
        if self._built is None:
            return self._saved
        heads, optimizer = self._built
        return {"heads": heads.state_dict(), "optimizer": optimizer.state_dict(), "tallies": self._tallies}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what ``state_dict`` gave, at the next batch, when device and width are known."""
        self._built, self._saved, self._tallies = None, state, state.get("tallies", {})

    def _tally(self, logits: list[Tensor], batch: Batch) -> None:
        """Adds a batch to its epoch's tallies: per attribute those told rightly, then those of each trained group."""
        every = zip(logits, self._numbers, (batch.groups, *batch.more_groups), strict=True)
        with torch.no_grad():
            found = [_told(of, numbers[groups]) for of, numbers, groups in every]
            if self._tallies.get("epoch") == batch.epoch:
                found = [of + before.to(of.device) for of, before in zip(found, self._tallies["counts"], strict=True)]
        self._tallies = {"epoch": batch.epoch, "counts": found}

    def _summed(self, logits: list[Tensor], batch: Batch) -> Tensor:
        every = zip(logits, self._numbers, (batch.groups, *batch.more_groups), strict=True)
        return torch.stack([group_cross_entropy(of, numbers[groups]) for of, numbers, groups in every]).sum()

    def _ready(self, inputs: Tensor) -> tuple[nn.ModuleList, Adam]:
        if self._built is None:
            self._built = self._build(inputs.shape[1], inputs.device)
        return self._built

    def _build(self, width: int, device: torch.device) -> tuple[nn.ModuleList, Adam]:
        # A generator of their own: a resumed run, which builds them anew, must not disturb the run's dropout.
        generator = torch.Generator().manual_seed(self._seed)
        hidden = self._options.head_width
        heads = nn.ModuleList(
            nn.Sequential(_linear(width, hidden, generator), nn.ReLU(), _linear(hidden, groups, generator))
            for groups in self._outputs
        ).to(device)
        self._numbers = [numbers.to(device) for numbers in self._numbers]
        optimizer = Adam(heads.parameters(), lr=self._options.head_lr, fused=True)
        if self._saved:
            heads.load_state_dict(self._saved["heads"])
            optimizer.load_state_dict(self._saved["optimizer"])
            self._saved = {}
        return heads, optimizer


def group_cross_entropy(logits: Tensor, groups: Tensor) -> Tensor:
    """Mean of −log softmax(d)_a over the samples whose group a is known, scalar; 0 if none is.

    Args:
        logits: float32 (B, G), d.
        groups: int64 (B,), a, -1 where unknown.

    Example:
        Logits (0, log 3) and groups 1, -1: −log 3/4 = 0.2877, of the first sample alone.
    """
    total = F.cross_entropy(logits, groups, ignore_index=-1, reduction="sum")
    return total / (groups >= 0).sum().clamp(min=1)


def uniform_confusion(logits: Tensor) -> Tensor:
    """Mean over samples of −(1/G) Σ_g log softmax(d)_g, scalar: the cross-entropy of the uniform distribution.

    Alvi et al. 2018 ("Turning a blind eye"). Its least value, log G, is that of a head that cannot tell.

    Args:
        logits: float32 (B, G), d.

    Example:
        Logits (0, 0) give log 2 = 0.6931; (0, log 3), of probabilities 1/4 and 3/4, −½ log 3/16 = 0.8370.
    """
    return -logits.log_softmax(dim=1).mean()


def _told(logits: Tensor, groups: Tensor) -> Tensor:
    """Int64 (1 + G,): how many samples are told rightly, and how many each group has; -1 is in none.

    Args:
        logits: float32 (B, G).
        groups: int64 (B,), -1 where unknown.
    """
    right = (logits.argmax(dim=1) == groups).sum()
    members = (groups[:, None] == torch.arange(logits.shape[1], device=groups.device)).sum(dim=0)
    return torch.cat([right[None], members])


def _accuracy(attribute: str, right: int, *counts: int) -> OwnFigure:
    n = sum(counts)
    return OwnFigure(
        name="accuracy of the head that tells the groups",
        of=attribute,
        value=right / n if n else None,
        n=n,
        unit="augmented training images of the last epoch",
        chance=max(counts) / n if n else None,
        reason=None if n else "no training image has a known group",
    )


def _numbers(counts: NDArray[np.int64]) -> Tensor:
    """The head's number of every group, int64 (G + 1,): -1 without a training image, and in the last place, of -1."""
    trained = counts > 0
    return torch.from_numpy(np.append(np.where(trained, trained.cumsum() - 1, -1), -1))


def _detached(head: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in head.named_parameters()}


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with PyTorch's usual first weights, uniform in ±1/√inputs, drawn from the generator."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")  # draws nothing
    limit = 1.0 / math.sqrt(inputs)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-limit, limit, generator=generator)
    return layer
