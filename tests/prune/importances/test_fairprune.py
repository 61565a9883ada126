"""FairPrune's channel scores against the Hessian, and a planted channel that serves one group alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.autograd.functional import hessian
from torch.func import functional_call

from mindgap.core.errors import DataError
from mindgap.core.groups import Groups
from mindgap.prune.importance import make_importance
from mindgap.prune.importances.fairprune import _measured, _of_group
from mindgap.prune.scoring_data import StoreScoringData
from mindgap.testing.made_scoring import coloured_network, made_scoring_data
from mindgap.testing.two_channels import two_channels
from mindgap.train.mitigation import TrainingData


def of_training(data: TrainingData, *, labels: torch.Tensor | None = None) -> StoreScoringData:
    """All images of such data in one balanced batch."""
    return StoreScoringData(
        images=data.images,
        rows=data.train.rows,
        labels=data.train.labels if labels is None else labels,
        groups={"sex": data.train.groups},
        mean=data.mean,
        std=data.std,
        device=torch.device("cpu"),
        batch_size=120,
        batches=1,
    )


@pytest.mark.parametrize("curvature", ["ggn", "fisher", "hutchinson"])
def test_the_channel_that_serves_the_better_off_alone_goes_first(curvature: str) -> None:
    network, data = two_channels()
    options = {"curvature": curvature, "draws": 100}
    score = make_importance("fairprune", options).score(
        network.eval(), {"stem": network.stem}, of_training(data), attribute="sex"
    )["stem"]
    assert score[0] < 0 < score[1]


def test_who_is_better_off_is_measured_not_assumed() -> None:
    """With the labels of a turned round, b is better off, and the channel that serves b alone goes first."""
    network, data = two_channels()
    of_a = torch.from_numpy(data.train.groups.ids == 0)
    turned = torch.where(of_a, 1 - data.train.labels, data.train.labels)
    score = make_importance("fairprune").score(
        network.eval(), {"stem": network.stem}, of_training(data, labels=turned), attribute="sex"
    )["stem"]
    assert score[1] < 0 < score[0]


def test_scores_are_the_sums_of_the_formula_over_the_hessians_diagonal() -> None:
    network, data = two_channels()
    network.eval()
    beta = 0.5
    ours = make_importance("fairprune", {"beta": beta}).score(
        network, {"stem": network.stem}, of_training(data), attribute="sex"
    )["stem"]
    weight = network.get_parameter("stem.conv.weight").detach()

    def diagonal(group: int) -> torch.Tensor:
        members = torch.from_numpy(data.train.groups.ids == group)
        images, labels = data.images[members].permute(0, 3, 1, 2).float() / 255, data.train.labels[members]

        def loss(flat: torch.Tensor) -> torch.Tensor:
            logits = functional_call(network, {"stem.conv.weight": flat.view_as(weight)}, (images,))
            return F.cross_entropy(logits, labels)

        curvature = hessian(loss, weight.flatten())
        assert isinstance(curvature, torch.Tensor)
        return curvature.diagonal().view_as(weight)

    saliency = 0.5 * weight.square() * (diagonal(1) - beta * diagonal(0))  # a is better off
    torch.testing.assert_close(ours.float(), saliency.flatten(1).sum(dim=1), rtol=1e-4, atol=1e-8)


def test_samples_bound_the_images_of_each_group() -> None:
    network = coloured_network()

    def scores(samples: int) -> torch.Tensor:
        importance = make_importance("fairprune", {"samples": samples})
        return importance.score(network, {"head": network.head}, made_scoring_data(), attribute="sex")["head"]

    assert not torch.equal(scores(3).nan_to_num(), scores(9).nan_to_num())
    torch.testing.assert_close(scores(48), scores(1000), equal_nan=True)


def test_an_image_counts_once_however_often_it_is_drawn() -> None:
    """Of 8 images of c, 7 of them wrong, no 30 are made: c is set aside, and a and b are compared."""
    network, data = two_channels()
    ids = np.where(np.arange(120) < 8, 2, data.train.groups.ids)
    labels = torch.where(torch.from_numpy(ids == 2), 1 - data.train.labels, data.train.labels)
    groups = Groups("sex", ("a", "b", "c"), ids)
    drawn = replace(of_training(data, labels=labels), groups={"sex": groups}, batch_size=24, batches=20)
    standing = _measured(network.eval(), drawn, "sex")
    assert standing.images == {"a": 56, "b": 56, "c": 8}
    assert (standing.privileged, standing.unprivileged) == ("a", "b")
    assert standing.accuracy["c"] == 1 / 8


@pytest.mark.parametrize(("most", "expected"), [(5, 5), (40, 12)])
def test_samples_are_images_that_differ(most: int, expected: int) -> None:
    data = made_scoring_data(120, batches=4, unknown=0.0)
    parts = [images for images, _ in _of_group(data, "sex", 2, most=most)]
    images = torch.cat(parts)
    assert len(images) == len(images.unique(dim=0)) == expected


def test_groups_that_fare_alike_are_refused() -> None:
    network, data = two_channels()
    data.train.labels[1::20] = 1 - data.train.labels[1::20]  # right again, as all are
    with torch.no_grad():
        network.classifier.weight.zero_()
    with pytest.raises(DataError, match=r"all groups of sex have the same accuracy and loss; take another") as raised:
        make_importance("fairprune").score(network.eval(), {"stem": network.stem}, of_training(data), attribute="sex")
    assert "\n" not in str(raised.value)
