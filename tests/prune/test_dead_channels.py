"""Dead channels are found over all batches, and a layer of nothing else is refused."""

from __future__ import annotations

import math

import pytest
import torch

from mindgap.core.errors import DataError
from mindgap.prune.dead_channels import check_scores, dead_channels, scores_of_living
from mindgap.prune.importance import ScoringBatch
from mindgap.testing.made_scoring import DEAD, coloured_network, made_scoring_data


def test_the_dead_one_alone_is_found_and_not_by_its_place_in_the_map() -> None:
    network = coloured_network()
    dead = dead_channels(network, {"stem": network.stem}, made_scoring_data().natural())
    assert dead["stem"].nonzero().flatten().tolist() == [DEAD]
    assert network.stem(torch.zeros(1, 3, 16, 16))[0, DEAD].unique().numel() == 1


def test_a_channel_that_moves_from_batch_to_batch_only_is_not_dead() -> None:
    network, one = coloured_network(), torch.zeros(4, dtype=torch.int64)
    batches = [
        ScoringBatch(torch.full((4, 3, 16, 16), value), labels=one, groups=one, rows=one) for value in (0.1, 0.9)
    ]
    layers = {"stem": network.stem}
    assert dead_channels(network, layers, batches[:1])["stem"].all()
    assert not dead_channels(network, layers, batches)["stem"][:3].any()


def test_scores_of_the_dead_are_not_numbers() -> None:
    scores = scores_of_living({"a": torch.tensor([1.0, 2.0])}, {"a": torch.tensor([True, False])})
    assert scores["a"].dtype == torch.float64
    assert scores["a"].isnan().tolist() == [True, False]


def test_a_layer_without_a_score_is_refused() -> None:
    check_scores({"a": torch.tensor([math.nan, 1.0])})
    with pytest.raises(DataError, match="none of the 2 channels of layer 'b' can be scored") as raised:
        check_scores({"a": torch.tensor([1.0]), "b": torch.tensor([math.nan, math.nan])})
    assert "\n" not in str(raised.value)
    with pytest.raises(DataError, match="channel 1 of layer 'c' has the score inf"):
        check_scores({"c": torch.tensor([1.0, math.inf])})
