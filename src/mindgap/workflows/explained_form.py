"""Which network of a run can be explained: one that sees an image once, and needs nothing but the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mindgap.space.network import Network
from mindgap.train.trained_model import TrainedModel


@dataclass(frozen=True, eq=False)
class ExplainedForm:
    """A network of a run, and what is to be said of its relation to the run's own predictions.

    Attributes:
        network: in evaluation mode, on the CPU.
        says: a sentence; None where it is the network that the run predicts by.
    """

    network: Network
    says: str | None = None


def explained_form(model: TrainedModel) -> ExplainedForm:
    """The network that is explained.

    Where a mitigation predicts by each image's group that is its form without groups. One whose form without groups is
    a mean over several passes (``fairadabn``) has no one map per image: the form of the largest training group, which
    the network has outside of any group, is explained in its place.
    """
    kept = model.kept
    if kept is None:
        return ExplainedForm(model.network)
    plain = model.without_groups()
    if type(plain) is Network:
        return ExplainedForm(plain, f"explained is the form of {kept.name} that predicts without groups")
    largest = kept.attribute.groups[int(np.argmax(kept.attribute.counts))]
    says = (
        f"explained is {kept.name}'s form of the largest training group, {kept.attribute.name} {largest}, for every "
        "image, as its mean over all groups' forms has no one map"
    )
    return ExplainedForm(model.network, says)
