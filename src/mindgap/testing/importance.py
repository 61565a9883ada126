"""Conformance kit for channel importances."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from mindgap.core.errors import ConfigError
from mindgap.core.groups import Groups
from mindgap.prune.importance import IMPORTANCES, AbstractImportance, make_importance
from mindgap.prune.scoring_data import StoreScoringData
from mindgap.space.network import Network
from mindgap.testing.made_scoring import coloured_network, made_scoring_data


class ImportanceConformance:
    """The contract of an importance; inherit it and give a fixture ``name``.

    The kit scores the layers of a small network. It does not show that the lowest channels are the right ones to
    remove: give the importance a test of its own with a planted channel.

    Attributes:
        layers: names of the layers it scores.
    """

    layers: ClassVar[tuple[str, ...]] = ("stem", "blocks.0", "head")

    @pytest.fixture
    def importance(self, name: str) -> AbstractImportance:
        return make_importance(name)

    @pytest.fixture
    def network(self) -> Network:
        return coloured_network()

    @pytest.fixture
    def data(self) -> StoreScoringData:
        return made_scoring_data()

    def scores(self, importance: AbstractImportance, network: Network, data: StoreScoringData) -> dict[str, Tensor]:
        """The scores of the kit's layers, by the groups of ``sex`` where they count."""
        layers = {layer: network.get_submodule(layer) for layer in self.layers}
        return importance.score(network, layers, data, attribute="sex" if importance.by_attribute else None)

    def test_has_one_line_that_says_what_it_is(self, name: str) -> None:
        assert IMPORTANCES.describe()[name].endswith(".")

    def test_refuses_an_option_that_it_does_not_have(self, name: str) -> None:
        with pytest.raises(ConfigError, match="no_such_option"):
            make_importance(name, {"no_such_option": 1})

    def test_gives_every_channel_of_every_layer_one_number(
        self, importance: AbstractImportance, network: Network, data: StoreScoringData
    ) -> None:
        scores = self.scores(importance, network, data)
        assert {layer: tuple(score.shape) for layer, score in scores.items()} == {
            "stem": (8,),
            "blocks.0": (6,),
            "head": (5,),
        }
        assert list(scores) == list(self.layers)
        for score in scores.values():
            assert (score.dtype, score.device.type, score.requires_grad) == (torch.float64, "cpu", False)
            assert score.isfinite().sum() > 1
            assert len(set(score[score.isfinite()].tolist())) > 1

    def test_gives_the_same_scores_again(
        self, importance: AbstractImportance, network: Network, data: StoreScoringData
    ) -> None:
        once, again = (self.scores(importance, network, data) for _ in range(2))
        for layer in self.layers:
            torch.testing.assert_close(once[layer], again[layer], rtol=0, atol=0, equal_nan=True)

    def test_gives_them_where_gradients_are_switched_off(
        self, importance: AbstractImportance, network: Network, data: StoreScoringData
    ) -> None:
        expected = self.scores(importance, network, data)
        with torch.inference_mode():
            scores = self.scores(importance, network, data)
        for layer in self.layers:
            torch.testing.assert_close(scores[layer], expected[layer], equal_nan=True)

    def test_leaves_the_network_as_it_was(
        self, importance: AbstractImportance, network: Network, data: StoreScoringData
    ) -> None:
        frozen = network.get_parameter("stem.conv.weight")
        frozen.requires_grad = False
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        self.scores(importance, network, data)
        assert not frozen.requires_grad
        assert all(weight.requires_grad for weight in network.parameters() if weight is not frozen)
        assert all(weight.grad is None for weight in network.parameters())
        assert not any(module.training or hooks(module) for module in network.modules())
        after = network.state_dict()
        assert list(before) == list(after)
        assert all(torch.equal(before[name], after[name]) for name in before)

    def test_a_channel_that_is_the_same_for_all_images_is_not_scored(
        self, importance: AbstractImportance, network: Network, data: StoreScoringData
    ) -> None:
        norm = network.get_submodule("head.norm")
        assert isinstance(norm, nn.BatchNorm2d)
        scored = self.scores(importance, network, data)["head"].isfinite()
        channel = int(scored.nonzero()[0, 0])
        with torch.no_grad():
            norm.weight[channel], norm.bias[channel] = 0.0, 0.7
        without = self.scores(importance, network, data)["head"]
        assert without[channel].isnan()
        assert (without.isfinite() != scored).sum() == 1

    def test_a_channels_score_goes_with_it(
        self, importance: AbstractImportance, network: Network, data: StoreScoringData
    ) -> None:
        before = self.scores(importance, network, data)["head"]
        order = torch.tensor([3, 0, 4, 1, 2])
        parts = [network.get_submodule("head.conv"), network.get_submodule("head.norm")]
        with torch.no_grad():
            for tensor in [tensor for part in parts for tensor in part.state_dict().values() if tensor.ndim]:
                tensor.copy_(tensor[order])
            network.classifier.weight.copy_(network.classifier.weight[:, order])
        after = self.scores(importance, network, data)["head"]
        torch.testing.assert_close(after, before[order], rtol=1e-4, atol=1e-7, equal_nan=True)

    def test_groups_count_where_they_are_said_to(
        self, importance: AbstractImportance, network: Network, data: StoreScoringData
    ) -> None:
        ids = data.groups["sex"].ids
        others = replace(data, groups={"sex": Groups("sex", ("a", "b", "c"), (ids + 1) * (ids < 2) * (ids >= 0))})
        one, other = (self.scores(importance, network, which)["stem"].nan_to_num() for which in (data, others))
        assert torch.equal(one, other) is not importance.by_attribute

    def test_asks_for_the_attribute_it_needs(
        self, importance: AbstractImportance, network: Network, data: StoreScoringData
    ) -> None:
        if not importance.by_attribute:
            return
        with pytest.raises(ConfigError, match="name one"):
            importance.score(network, {"head": network.head}, data, attribute=None)

    def test_scores_by_several_labels(
        self, importance: AbstractImportance, network: Network, data: StoreScoringData
    ) -> None:
        both = torch.stack([data.labels, 1 - data.labels], dim=1).float()
        score = self.scores(importance, network, replace(data, labels=both))["head"]
        assert score.isfinite().any()


def hooks(module: nn.Module) -> int:
    """Number of hooks on a module."""
    kinds = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)  # noqa: SLF001
    return sum(map(len, kinds))
