"""Conformance kit for mitigations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindgap.core.groups import Groups
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.network import Network
from mindgap.train.loss import LOSSES
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, Batch, TrainingFacts, make_mitigation

_SIZE_PX, _CLASSES = 16, 3
_GROUPS = (0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, -1)


class MitigationConformance:
    """The contract of a mitigation; inherit it and give a fixture ``name``.

    The kit trains a tiny network on one batch through all hooks, in the loop's order. It does not show that the
    mitigation lowers a gap: give it a test of its own in which its term provably acts.
    """

    @pytest.fixture
    def facts(self) -> TrainingFacts:
        counts = np.bincount([group for group in _GROUPS if group >= 0]).astype(np.int64)
        return TrainingFacts(("a", "b", "c"), counts, num_classes=_CLASSES, loss=LOSSES.get("ce")())

    @pytest.fixture
    def mitigation(self, name: str, facts: TrainingFacts) -> AbstractMitigation:
        return make_mitigation(name, facts)

    @pytest.fixture
    def network(self, mitigation: AbstractMitigation) -> Network:
        architecture = Architecture(
            name="tiny",
            input_px=_SIZE_PX,
            num_classes=_CLASSES,
            stem=Stem(channels=4),
            blocks=(BlockSpec(type="cb", out_channels=4, choices={"kernel": 3, "hidden_channels": 4}),),
            head=Head(width=8),
        )
        return mitigation.adapt(architecture.build(seed=0))

    @pytest.fixture
    def images(self) -> torch.Tensor:
        return torch.randn(len(_GROUPS), 3, _SIZE_PX, _SIZE_PX, generator=torch.Generator().manual_seed(0))

    def step(
        self,
        mitigation: AbstractMitigation,
        network: Network,
        images: torch.Tensor,
        *,
        groups: tuple[int, ...] = _GROUPS,
    ) -> torch.Tensor:
        """One step through all hooks; the objective."""
        network.train()
        network.zero_grad(set_to_none=True)
        features = network.features(images) if mitigation.needs_features else None
        logits = network(images) if features is None else network.classifier(network.dropout(features))
        labels = torch.arange(len(images)) % _CLASSES
        positions = torch.arange(len(images))
        batch = Batch(images, labels, torch.tensor(groups), positions, logits, step=0, epoch=0)
        objective = mitigation.objective(mitigation.facts.loss(logits, labels), batch, features)
        objective.backward()
        mitigation.after_backward(network, batch)
        mitigation.extra_step(batch)
        return objective.detach()

    def test_its_objective_is_one_finite_number_that_reaches_the_weights(
        self, mitigation: AbstractMitigation, network: Network, images: torch.Tensor
    ) -> None:
        objective = self.step(mitigation, network, images)
        assert objective.ndim == 0
        assert torch.isfinite(objective)
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
        assert sum(float(gradient.abs().sum()) for gradient in gradients) > 0

    @pytest.mark.parametrize("groups", [(0,) * 12, (-1,) * 12, (0,) * 6 + (2,) * 6])
    def test_absent_and_unknown_groups_leave_it_finite(
        self, mitigation: AbstractMitigation, network: Network, images: torch.Tensor, groups: tuple[int, ...]
    ) -> None:
        assert torch.isfinite(self.step(mitigation, network, images, groups=groups))

    def test_asks_for_batches_that_can_be_made(self, mitigation: AbstractMitigation) -> None:
        wish = mitigation.batches(Groups("sex", ("a", "b", "c"), np.array(_GROUPS)))
        assert wish.min_per_group >= 0
        if wish.ratios is not None:
            assert wish.ratios.shape == (3,)
            assert np.isclose(wish.ratios.sum(), 1.0)

    def test_its_state_comes_back_from_a_file(
        self,
        name: str,
        mitigation: AbstractMitigation,
        network: Network,
        images: torch.Tensor,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        self.step(mitigation, network, images)
        path = tmp_path_factory.mktemp("state") / "state.pt"
        torch.save(mitigation.state_dict(), path)
        fresh = make_mitigation(name, mitigation.facts)
        fresh.load_state_dict(torch.load(path, weights_only=True))
        torch.testing.assert_close(fresh.state_dict(), mitigation.state_dict())

    def test_predicts_one_row_of_logits_per_image(
        self, mitigation: AbstractMitigation, network: Network, images: torch.Tensor
    ) -> None:
        network.eval()
        for groups in (None, torch.tensor(_GROUPS)):
            assert mitigation.predict(network, images, groups).shape == (len(images), _CLASSES)

    def test_has_one_line_that_says_what_it_is(self, name: str) -> None:
        assert MITIGATIONS.describe()[name].endswith(".")
