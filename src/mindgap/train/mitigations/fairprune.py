"""Pruning of the weights that serve the best-off group."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from mindgap.core.config import StrictModel
from mindgap.core.errors import TrainingFailure
from mindgap.core.notes import note
from mindgap.core.seed import derive_seed, numpy_generator
from mindgap.core.small_group import SMALL_GROUP
from mindgap.data.augment import normalize
from mindgap.space.network import Network
from mindgap.train.curvature import Curvature, hessian_diagonal
from mindgap.train.group_standing import group_standing, rights_and_losses, weight_saliencies
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, LabelledRows, TrainingData, TrainingFacts
from mindgap.train.own_figure import OwnFigure
from mindgap.train.squared_gradients import prunable_weights
from mindgap.train.tuning_range import Range, TuningRanges

log = logging.getLogger(__name__)
_BATCH, _CURVED_BATCH = 256, 16


class FairPruneOptions(StrictModel):
    """Options of FairPrune.

    Attributes:
        fraction: p, share of the convolution and linear weights that is set to zero, over all layers together.
        beta: β, how much a weight's use to the privileged group counts towards its removal. Weights of a negative score
            go first; near 1 there are many, and few of them can cost every group accuracy.
        curvature: the Hessian's diagonal: ``ggn`` is exact in the Gauss-Newton form, ``fisher`` uses the gradients of
            the samples' own labels (one backward pass instead of one per class). ``hutchinson`` estimates the
            Hessian's own, which for networks of ReLUs is that of ``ggn``; in networks of over some thousand weights
            its noise alone decides which weights go, and may leave a network that knows nothing.
        samples: training images per group on which it is taken, drawn without replacement; all if there are fewer.
        draws: random vectors per 16 images, for ``hutchinson``.
    """

    fraction: float = Field(default=0.35, ge=0, le=0.5)
    beta: float = Field(default=0.33, ge=0.1, le=0.9)
    curvature: Curvature = "ggn"
    samples: int = Field(default=256, ge=1)
    draws: int = Field(default=8, ge=1)


@MITIGATIONS.register("fairprune")
class FairPrune(AbstractMitigation):
    """Sets to zero, after training, the weights that matter least to the worst-off group and most to the best-off.

    Wu et al. 2022: the fraction p of convolution and linear weights (no biases, no batch norms) with the smallest
    s_j = ½θ_j²(H_jj^unpriv − β H_jj^priv) is removed, with H the Hessian of a group's mean loss (``curvature.py``) on
    training images without augmentation. ½θ_j²H_jj is what zeroing θ_j alone adds to the loss, to second order.

    Which group is privileged is measured on the validation images: the one of the highest accuracy, and the one of the
    lowest is unprivileged (ties by mean loss), among the groups with at least 30 validation images or, where there are
    not two of these, with any. More than two groups: best against worst is our extension, the others do not count.
    Without validation images that may steer, as in cross-validation, the training images measure it, on which a network
    that has learnt them by heart shows no gap. Where no two groups can be told apart nothing is removed, and a note
    says so. Nothing becomes faster, since the zeros stay in full tensors, and nothing promises that the unprivileged
    group gains, or keeps its accuracy: a score is that of one weight alone, and many go together. With many classes
    ``ggn`` takes long: take ``fisher``, or fewer ``samples``.

    Example:
        Weights 2 and 1, H = 3 and 1 of the unprivileged, 1 and 4 of the privileged group, β = ½:
        s = ½·4·(3 − ½) = 5 and ½·1·(1 − 2) = −½; with p = ½ the second is removed.
    """

    options_model: ClassVar[type[StrictModel]] = FairPruneOptions
    tuned: ClassVar[TuningRanges] = MappingProxyType(
        {"fraction": Range(0.05, 0.35, log=False), "beta": Range(0.1, 0.9, log=False)}
    )

    def __init__(self, facts: TrainingFacts, options: Any) -> None:
        super().__init__(facts, options)
        self._record: dict[str, Any] = {}

    @property
    def record(self) -> Mapping[str, Any]:
        """What was found and done; empty before ``finish``.

        ``measured_on`` which images, ``images`` and ``accuracy`` of each group that has any there, ``privileged`` and
        ``unprivileged`` group (None: nothing was removed, for a ``reason``), ``pruned`` share of each weight by name,
        ``removed`` of so many ``weights`` in all.
        """
        return MappingProxyType(self._record)

    def finish(self, network: Network, data: TrainingData) -> None:
        """Measures the groups and prunes; the network stays in the mode, training or evaluation, that it came in.

        Raises:
            TrainingFailure: a weight's score is not finite.
        """
        training = network.training
        network.eval()
        try:
            self._record = self._measure(network, data)
            if self._record["reason"] is None:
                self._record |= self._prune(network, data)
            note(log, f"fairprune: {_sentence(self._record, self.options.fraction)}")
        finally:
            network.train(mode=training)

    def _measure(self, network: Network, data: TrainingData) -> dict[str, Any]:
        judged, where = (data.train, "training") if data.validation is None else (data.validation, "validation")
        right, losses = _right_and_losses(network, data, judged)
        trained = data.train.groups.counts() > 0
        standing = group_standing(right, losses, judged.groups, where=where, comparable=trained)
        weights = sum(weight.numel() for weight in _trained_weights(network).values())
        return {"measured_on": where, **vars(standing), "pruned": {}, "removed": 0, "weights": weights}

    def _prune(self, network: Network, data: TrainingData) -> dict[str, Any]:
        """Zeroes the weights of the smallest scores; how many, and the share of each weight tensor."""
        names, beta = self.facts.group_names, self.options.beta
        best, worst = (names.index(self._record[who]) for who in ("privileged", "unprivileged"))
        weights = _trained_weights(network)
        count = int(Fraction(str(self.options.fraction)) * sum(weight.numel() for weight in weights.values()))
        if not count:
            return {"pruned": dict.fromkeys(weights, 0.0)}
        of_worst, of_best = (self._curvature(network, data, group) for group in (worst, best))
        removed = smallest(list(weight_saliencies(weights, of_worst, of_best, beta=beta).values()), count=count)
        for weight, gone in zip(weights.values(), removed, strict=True):
            weight.masked_fill_(gone, 0.0)
        shares = {name: float(gone.float().mean()) for name, gone in zip(weights, removed, strict=True)}
        return {"pruned": shares, "removed": count}

    def _curvature(self, network: Network, data: TrainingData, group: int) -> dict[str, Tensor]:
        """The Hessian's diagonal of one group, on a sample of its training images."""
        options, train, seed = self.options, data.train, self.facts.seed
        members = np.flatnonzero(train.groups.ids == group)
        if len(members) > options.samples:
            draw = numpy_generator(seed, "fairprune samples", group)
            members = np.sort(draw.choice(members, size=options.samples, replace=False))
        device = next(network.parameters()).device
        generator = torch.Generator(device).manual_seed(derive_seed(seed, "fairprune signs", group))
        return hessian_diagonal(
            network,
            _batches(data, train, members, device=device, size=_CURVED_BATCH),
            kind=options.curvature,
            draws=options.draws,
            generator=generator,
        )

    def own_figures(self) -> tuple[OwnFigure, ...]:
        """The accuracy of either group as it was before pruning, and the share of the weights that were removed."""
        record = self._record
        if not record:
            return ()
        groups = [] if record["reason"] is not None else ["privileged", "unprivileged"]
        unit = f"{record['measured_on']} images"
        of_groups = [
            OwnFigure(
                f"accuracy of the {who} group, before pruning",
                of=record[who],
                value=record["accuracy"][record[who]],
                n=record["images"][record[who]],
                unit=unit,
            )
            for who in groups
        ]
        total, reason = (
            record["weights"],
            record["reason"] or ("all weights are frozen" if not record["weights"] else None),
        )
        share = record["removed"] / total if total else None
        return (*of_groups, OwnFigure("share set to zero", "", share, total, "weights", reason=reason))

    def state_dict(self) -> dict[str, Any]:
        """What was found and done."""
        return dict(self._record)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what ``state_dict`` gave."""
        self._record = dict(state)


def smallest(scores: Sequence[Tensor], *, count: int) -> list[Tensor]:
    """Where the ``count`` smallest values of several tensors are, bool of their shapes; of equal ones the first.

    Raises:
        TrainingFailure: a value is not finite.
    """
    flat = torch.cat([score.flatten() for score in scores])
    if not torch.isfinite(flat).all():
        raise TrainingFailure("a weight's use to a group is not finite; lower the learning rate")
    chosen = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
    chosen[flat.sort(stable=True).indices[:count]] = True
    parts = chosen.split([score.numel() for score in scores])
    return [part.view(score.shape) for part, score in zip(parts, scores, strict=True)]


def _trained_weights(network: Network) -> dict[str, Tensor]:
    """The weights that may be removed: frozen ones stay."""
    trained = {name for name, weight in network.named_parameters() if weight.requires_grad}
    return {name: weight for name, weight in prunable_weights(network).items() if name in trained}


def _right_and_losses(
    network: Network, data: TrainingData, rows: LabelledRows
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of labels predicted rightly and loss of every row, float64 (n,)."""
    device = next(network.parameters()).device
    parts = []
    with torch.no_grad():
        for images, labels in _batches(data, rows, np.arange(len(rows.rows)), device=device, size=_BATCH):
            parts.append(rights_and_losses(network(images).float(), labels))
    right, losses = torch.cat(parts, dim=1).cpu().numpy() if parts else np.empty((2, 0))
    return right, losses


def _batches(
    data: TrainingData, rows: LabelledRows, positions: NDArray[np.int64], *, device: torch.device, size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Normalised images and labels of some of the rows, on the device, in batches."""
    for chunk in torch.from_numpy(positions).split(size):
        chosen = rows.rows[chunk.to(rows.rows.device)].to(data.images.device)
        images = data.images.index_select(0, chosen).to(device)
        yield normalize(images, mean=data.mean, std=data.std), rows.labels[chunk.to(rows.labels.device)].to(device)


def _sentence(record: Mapping[str, Any], fraction: float) -> str:
    if record["reason"] is not None:
        return f"no weight is removed: {record['reason']}"
    pair = [record["privileged"], record["unprivileged"]]
    best, worst = (f"{who} ({record['accuracy'][who]:.3f} of {record['images'][who]})" for who in pair)
    few = min(record["images"][who] for who in pair) < SMALL_GROUP
    doubt = f"; fewer than {SMALL_GROUP} images do not tell who is better off" if few else ""
    where = f"by the accuracy on {record['measured_on']} images"
    return f"{best} is better off than {worst} {where}; {fraction:.1%} of the weights are set to zero{doubt}"
