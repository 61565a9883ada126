"""Planted channels: the one that is the attribute is the lowest, the one that is the class is not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mindgap.core.errors import ConfigError, DataError
from mindgap.core.groups import Groups
from mindgap.prune.activations import layer_outputs
from mindgap.prune.importance import ScoringBatch, ScoringData, make_importance
from mindgap.prune.scoring_data import StoreScoringData
from mindgap.prune.soft_nearest import channel_snnl
from mindgap.testing.made_scoring import BLUE, DEAD, GREEN, RED, coloured_network, made_scoring_data


def stem_scores(data: ScoringData, **options: object) -> torch.Tensor:
    network = coloured_network()
    return make_importance("snnl", options).score(network, {"stem": network.stem}, data, attribute="sex")["stem"]


@pytest.mark.parametrize("options", [{}, {"feature": "mean"}, {"distance": "cosine"}, {"temperature": 5.0}])
def test_the_channel_that_is_the_attribute_is_the_lowest_and_the_class_is_kept(options: dict[str, object]) -> None:
    scores = stem_scores(made_scoring_data(), **options)
    ranked = scores[~scores.isnan()].argsort()
    alive = (~scores.isnan()).nonzero().flatten()
    assert alive[ranked[0]] == RED
    assert {GREEN, BLUE} <= set(alive[ranked[len(ranked) // 2 :]].tolist())
    assert scores.isnan().nonzero().flatten().tolist() == [DEAD]


def test_the_channel_that_is_the_class_is_the_lowest_where_the_class_is_the_attribute() -> None:
    data = made_scoring_data()
    by_class = Groups("sex", ("a", "b"), data.labels.numpy())
    assert stem_scores(replace(data, groups={"sex": by_class})).nan_to_num(math.inf).argmin() == GREEN


def test_scores_are_the_mean_over_batches() -> None:
    data, network = made_scoring_data(), coloured_network()
    with torch.no_grad():
        parts = [
            channel_snnl(layer_outputs(network, {"stem": network.stem}, batch.images).maps["stem"], batch.groups)
            for batch in data.balanced("sex")
        ]
    assert len(parts) == 3
    expected = torch.stack(parts).double().mean(dim=0)
    torch.testing.assert_close(stem_scores(data), expected, equal_nan=True, rtol=1e-6, atol=1e-7)


class OneStill:
    """The same batches, of which in the first all images are one and the same."""

    def __init__(self, data: StoreScoringData) -> None:
        self.group_names, self.natural, self._data = data.group_names, data.natural, data

    def balanced(self, attribute: str) -> list[ScoringBatch]:
        first, *others = self._data.balanced(attribute)
        return [replace(first, images=first.images[:1].expand_as(first.images)), *others]


def test_a_batch_in_which_a_channel_is_the_same_for_all_images_does_not_count_for_it() -> None:
    data = made_scoring_data()
    one_still = stem_scores(OneStill(data))
    assert one_still.isnan().nonzero().flatten().tolist() == [DEAD]
    assert one_still.nan_to_num(math.inf).argmin() == RED
    assert not torch.equal(one_still[:3], stem_scores(data)[:3])


def found(trial: int, how: str) -> bool:
    """Whether the one of 16 noisy channels is the lowest that is 1.2 standard deviations higher for 1 % of images."""
    n, channels, planted = 2000, 16, 5
    generator = np.random.default_rng(trial)
    ids = np.zeros(n, dtype=np.int64)
    ids[generator.choice(n, n // 100, replace=False)] = 1
    features = torch.randn(n, channels, generator=torch.Generator().manual_seed(trial))
    features[:, planted] += 1.2 * torch.from_numpy(ids)
    data = StoreScoringData(
        images=torch.zeros(n, 1, 1, 3, dtype=torch.uint8),
        rows=torch.arange(n),
        labels=torch.arange(n),  # which tell the row
        groups={"sex": Groups("sex", ("many", "few"), ids)},
        mean=(0, 0, 0),
        std=(1, 1, 1),
        device=torch.device("cpu"),
        batches=5,
        seed=trial,
    )
    batches = data.balanced("sex") if how == "balanced" else data.natural("sex")
    scores = [channel_snnl(features[batch.labels], batch.groups) for batch in batches if batch.groups.any()]
    return bool(scores) and int(torch.stack(scores).mean(dim=0).argmin()) == planted


def test_a_planted_channel_of_one_percent_of_the_images_is_found_by_balanced_batches() -> None:
    trials = 40
    by_balanced, by_natural = (sum(found(trial, how) for trial in range(trials)) for how in ("balanced", "natural"))
    assert by_balanced >= 0.95 * trials
    assert by_natural <= 0.6 * trials


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": 0}, "temperature"),
        ({"temperature": 1e-60}, "temperature"),
        ({"temperature": 1e300}, "temperature"),
        ({"temperature": "automatic"}, "temperature"),
        ({"feature": "maps"}, "feature"),
        ({"distance": "l1"}, "distance"),
    ],
)
def test_options_that_are_none_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_importance("snnl", options)


def test_an_attribute_of_one_group_is_refused() -> None:
    data = made_scoring_data()
    with pytest.raises(DataError, match="attribute 'sex' has one group"):
        stem_scores(replace(data, groups={"sex": Groups("sex", ("a",), np.zeros(120, dtype=np.int64))}))
