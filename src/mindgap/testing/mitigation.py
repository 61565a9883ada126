"""Conformance kit for mitigations."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch

from mindgap.space.network import Network
from mindgap.testing.tiny_training import (
    CLASSES,
    GROUPS,
    LABELS,
    tiny_data,
    tiny_facts,
    tiny_groups,
    tiny_images,
    tiny_network,
)
from mindgap.train.mitigation import (
    MITIGATIONS,
    AbstractMitigation,
    Batch,
    NoOptions,
    TrainingFacts,
    make_mitigation,
)


class MitigationConformance:
    """The contract of a mitigation; inherit it and give a fixture ``name``.

    The kit trains a tiny network on one batch through all hooks, in the loop's order. It does not show that the
    mitigation lowers a gap: give it a test of its own in which its term provably acts.

    Attributes:
        plain: names that are meant to be plain training, as ``erm`` is; every other mitigation must change something.
    """

    plain: ClassVar[frozenset[str]] = frozenset()

    @pytest.fixture
    def facts(self) -> TrainingFacts:
        return tiny_facts()

    @pytest.fixture
    def mitigation(self, name: str, facts: TrainingFacts) -> AbstractMitigation:
        return make_mitigation(name, facts)

    @pytest.fixture
    def network(self, mitigation: AbstractMitigation) -> Network:
        return mitigation.adapt(tiny_network())

    @pytest.fixture
    def images(self) -> torch.Tensor:
        return tiny_images()

    def step(
        self,
        mitigation: AbstractMitigation,
        network: Network,
        images: torch.Tensor,
        *,
        groups: tuple[int, ...] = GROUPS,
    ) -> torch.Tensor:
        """One step through all hooks; the objective."""
        objective, batch = self.backward(mitigation, network, images, groups=groups)
        mitigation.extra_step(batch)
        return objective

    def backward(
        self, mitigation: AbstractMitigation, network: Network, images: torch.Tensor, *, groups: tuple[int, ...]
    ) -> tuple[torch.Tensor, Batch]:
        """The step up to the optimiser's: the objective and the batch; the gradients are in the network."""
        network.train()
        network.zero_grad(set_to_none=True)
        if mitigation.needs_teacher:
            mitigation.take_teacher(tiny_network(seed=1).eval().requires_grad_(requires_grad=False))
        features, logits = mitigation.forward(network, images, torch.tensor(groups))
        labels = torch.tensor(LABELS)
        positions = torch.arange(len(images))
        batch = Batch(images, labels, torch.tensor(groups), positions, logits, step=0, epoch=0)
        objective = mitigation.objective(mitigation.facts.loss(logits, labels), batch, features)
        objective.backward()
        mitigation.after_backward(network, batch)
        return objective.detach(), batch

    def acting_hooks(self, mitigation: AbstractMitigation) -> set[str]:
        """The hooks by which a mitigation differs from plain training of the tiny network.

        ``backward`` is ``objective`` and ``after_backward`` together: the gradients that the optimiser is given.
        ``extra_step`` acts where it changes the network's weights; an adversary's alone change nothing by themselves.
        """
        nothing = AbstractMitigation(mitigation.facts, NoOptions())
        images, groups = tiny_images(), torch.tensor(GROUPS)
        wish = mitigation.batches(tiny_groups())
        asks = wish.ratios is not None and not np.allclose(wish.ratios, mitigation.facts.group_shares)
        plain, network = tiny_network(), mitigation.adapt(tiny_network())
        acts = {
            "batches": asks or wish.min_per_group > 0,
            "adapt": _differ(_logits(nothing, plain, images, groups), _logits(nothing, network, images, groups)),
        }
        self.backward(nothing, plain, images, groups=GROUPS)
        _, batch = self.backward(mitigation, network, images, groups=GROUPS)
        acts["backward"] = _differ(_gradients(plain), _gradients(network))
        weights = [tensor.clone() for tensor in network.state_dict().values()]
        mitigation.extra_step(batch)
        acts["extra_step"] = not all(map(torch.equal, weights, network.state_dict().values()))
        before = _logits(nothing, network, images, groups)
        acts["predict"] = _differ(before, _logits(mitigation, network, images, groups))
        mitigation.finish(network, tiny_data())
        acts["finish"] = _differ(before, _logits(nothing, network, images, groups))
        return {hook for hook, does in acts.items() if does}

    def test_acts_unless_it_is_meant_to_be_plain(self, name: str, mitigation: AbstractMitigation) -> None:
        hooks = self.acting_hooks(mitigation)
        if name in self.plain:
            assert not hooks, f"{name} is meant to be plain training, but acts by {', '.join(sorted(hooks))}"
        else:
            assert hooks, f"{name} changes nothing against plain training in its first step"

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
        wish = mitigation.batches(tiny_groups())
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

    def test_its_own_figures_are_shares_and_come_back_with_its_state(
        self, name: str, mitigation: AbstractMitigation, network: Network, images: torch.Tensor
    ) -> None:
        self.step(mitigation, network, images)
        mitigation.finish(network, tiny_data())
        figures = mitigation.own_figures()
        for figure in figures:
            assert figure.reason if figure.value is None else 0 <= figure.value <= 1
            assert figure.value is None or figure.n > 0
            assert figure.chance is None or 0 <= figure.chance <= 1
        back = make_mitigation(name, mitigation.facts)
        back.load_state_dict(mitigation.state_dict())
        assert back.own_figures() == figures

    def test_predicts_one_row_of_logits_per_image(
        self, mitigation: AbstractMitigation, network: Network, images: torch.Tensor
    ) -> None:
        network.eval()
        for groups in (None, torch.tensor(GROUPS)):
            assert mitigation.predict(network, images, groups).shape == (len(images), CLASSES)

    def test_without_groups_it_predicts_as_where_none_is_known(
        self, mitigation: AbstractMitigation, network: Network, images: torch.Tensor
    ) -> None:
        self.step(mitigation, network, images)
        network.eval()
        with torch.no_grad():
            alone = mitigation.without_groups(network)(images)
            unknown = mitigation.predict(network, images, torch.full((len(images),), -1))
            not_used = mitigation.predict(network, images, None)
        torch.testing.assert_close(alone, not_used, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(unknown, not_used, rtol=1e-4, atol=1e-5)

    def test_has_one_line_that_says_what_it_is(self, name: str) -> None:
        assert MITIGATIONS.describe()[name].endswith(".")


def _logits(
    mitigation: AbstractMitigation, network: Network, images: torch.Tensor, groups: torch.Tensor
) -> list[torch.Tensor]:
    network.eval()
    with torch.no_grad():
        return [mitigation.predict(network, images, groups)]


def _gradients(network: Network) -> list[torch.Tensor]:
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


def _differ(ones: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    """Whether two lists differ by more than rounding."""
    shapes = [[tuple(tensor.shape) for tensor in tensors] for tensors in (ones, others)]
    pairs = zip(ones, others, strict=False)
    return shapes[0] != shapes[1] or not all(torch.allclose(one, other, rtol=1e-3, atol=1e-5) for one, other in pairs)
