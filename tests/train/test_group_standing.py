"""Who is best and worst off is measured, and what a weight is worth to them is the formula."""

from __future__ import annotations

import numpy as np
import torch

from mindgap.core.groups import Groups
from mindgap.train.group_standing import Standing, group_standing, rights_and_losses, weight_saliencies


def standing(right: list[float], losses: list[float], ids: list[int], **options: object) -> Standing:
    groups = Groups("sex", ("a", "b", "c"), np.array(ids))
    return group_standing(np.array(right), np.array(losses), groups, where="made", **options)  # pyright: ignore[reportArgumentType]


def test_saliencies_by_hand() -> None:
    values = {"w": torch.tensor([2.0, 1.0])}
    of_worst, of_best = {"w": torch.tensor([3.0, 1.0])}, {"w": torch.tensor([1.0, 4.0])}
    assert weight_saliencies(values, of_worst, of_best, beta=0.5)["w"].tolist() == [5.0, -0.5]


def test_rights_and_losses_by_hand() -> None:
    right, losses = rights_and_losses(torch.tensor([[0.0, 0.0], [3.0, 0.0]]), torch.tensor([1, 0]))
    assert right.tolist() == [0.0, 1.0]
    torch.testing.assert_close(losses, torch.tensor([0.5, 1 / (1 + np.exp(-3.0))]).log().neg().double())
    right, _ = rights_and_losses(torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, 1.0]]))
    assert right.tolist() == [0.5]


def test_the_best_and_the_worst_are_found_and_ties_are_broken_by_the_loss() -> None:
    found = standing([1, 0, 1, 1, 0, 0], [1.0] * 6, [0, 0, 1, 1, 2, -1])
    assert (found.privileged, found.unprivileged) == ("b", "c")
    assert found.images == {"a": 2, "b": 2, "c": 1}
    assert found.accuracy == {"a": 0.5, "b": 1.0, "c": 0.0}
    tied = standing([1, 1], [1.0, 2.0], [0, 1])
    assert (tied.privileged, tied.unprivileged) == ("a", "b")


def test_small_groups_count_only_where_there_are_not_two_large_ones() -> None:
    ids = [0] * 30 + [1] * 30 + [2]
    found = standing([1] * 30 + [0] * 30 + [1], [1.0] * 60 + [0.0], ids)
    assert (found.privileged, found.unprivileged) == ("a", "b")
    found = standing([1] * 30 + [0] * 29 + [1], [1.0] * 59 + [0.0], [0] * 30 + [1] * 29 + [2])
    assert (found.privileged, found.unprivileged) == ("c", "b")


def test_where_nothing_can_be_told_apart_there_is_a_reason() -> None:
    assert standing([1, 1], [1.0, 1.0], [0, 1]).reason == "all groups of sex have the same accuracy and loss"
    few = standing([1, 0], [1.0, 1.0], [0, 1], comparable=np.array([True, False, True]))
    assert (few.privileged, few.reason) == (None, "fewer than two groups of sex have made images to compare")
