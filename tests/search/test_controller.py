from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from mindgap.search.controller import Controller, Step, policy_gradient_loss, replay
from mindgap.search.searcher import Outcome
from mindgap.search.searchers.reinforce import ReinforceSearcher, ReinforceSettings
from mindgap.testing.token_game import SmallSpace


class TwoTokens:
    """Two decisions of two options each."""

    kinds = staticmethod(lambda: {"a": 2, "b": 2})

    def start(self):
        from mindgap.testing.token_game import GameDecision

        class Episode:
            tokens = ()

            @property
            def decision(self):
                left = ("a", "b")[len(self.tokens) :]
                return GameDecision(left[0], 0, (0, 1)) if left else None

            def mask(self):
                return np.ones(2, dtype=bool)

            def choose(self, index):
                self.tokens += (index,)

        return Episode()


@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_the_gradient_is_eq_3_by_hand_on_two_tokens(gamma):
    """Heads start at 0, so every option has probability ½ and ∂ log π(a)/∂ bias is ½ for the option taken, −½ else.

    Episodes (0, 1) with R = 1 and (1, 1) with R = 0, b = ¼, m = 2, T = 2:
    ∂J/∂ bias_a = ½ γ [ ¾·(½, −½) − ¼·(−½, ½) ] = γ (¼, −¼);   ∂J/∂ bias_b = ½ [ ¾ − ¼ ] (−½, ½) = (−⅛, ⅛).
    """
    controller = Controller(TwoTokens.kinds(), seed=0)
    episodes = [replay(TwoTokens(), tokens) for tokens in ((0, 1), (1, 1))]
    log_probability, _ = controller.log_probabilities(episodes)
    loss = policy_gradient_loss(
        log_probability, torch.tensor([2, 2]), torch.tensor([1.0, 0.0]), baseline=0.25, gamma=gamma
    )
    loss.backward()
    first, second = (-head.bias.grad for head in controller.heads)
    torch.testing.assert_close(first, gamma * torch.tensor([0.25, -0.25]))
    torch.testing.assert_close(second, torch.tensor([-0.125, 0.125]))


def test_the_gradient_of_every_weight_is_eq_3_by_numerical_derivative():
    torch.manual_seed(0)
    controller = Controller(SmallSpace().kinds(), hidden=3, seed=1).double()
    with torch.no_grad():
        for weight in controller.parameters():
            weight.copy_(torch.randn_like(weight) / 2)
    space = SmallSpace()
    generator = np.random.default_rng(0)
    tokens = [controller.sample(space, generator=generator) for _ in range(3)]
    rewards, baseline, gamma = [0.3, -1.0, 0.7], 0.1, 0.9

    def objective() -> float:
        """Eq. 3's J, term by term, each probability from a softmax over the valid options."""
        total = 0.0
        for sequence, reward in zip(tokens, rewards, strict=True):
            steps, state, row = replay(space, sequence), None, 0
            for t, step in enumerate(steps, start=1):
                place = controller.first_place[step.kind] + step.position
                state = controller.cell((controller.tokens.weight[row] + controller.places.weight[place])[None], state)
                logits = controller.head_of[step.kind](state[0])[0].detach().numpy()
                odds = np.where(step.valid, np.exp(logits), 0.0)
                total += gamma ** (len(steps) - t) * np.log(odds[step.choice] / odds.sum()) * (reward - baseline)
                row = controller.first_row[step.kind] + step.choice
        return total / len(tokens)

    episodes = [replay(space, sequence) for sequence in tokens]
    log_probability, _ = controller.log_probabilities(episodes)
    lengths = torch.tensor([len(steps) for steps in episodes])
    weights = torch.tensor(rewards, dtype=torch.float64)
    policy_gradient_loss(log_probability, lengths, weights, baseline=baseline, gamma=gamma).backward()
    for weight in controller.parameters():
        index = tuple(int(i) for i in np.unravel_index(int(weight.grad.abs().argmax()), weight.shape))
        with torch.no_grad():
            weight[index] += 1e-5
            up = objective()
            weight[index] -= 2e-5
            down = objective()
            weight[index] += 1e-5
        assert -weight.grad[index].item() == pytest.approx((up - down) / 2e-5, abs=1e-7)


def test_a_new_controller_draws_uniformly_among_the_valid_options():
    controller, space = Controller(SmallSpace().kinds(), seed=0), SmallSpace()
    generator = np.random.default_rng(0)
    drawn = Counter(controller.sample(space, generator=generator)[0] for _ in range(2000))
    assert all(abs(count / 2000 - 1 / 5) < 0.03 for count in drawn.values())


def test_an_invalid_option_has_no_probability_and_no_gradient():
    controller = Controller({"a": 3}, seed=0)
    step = Step("a", 0, np.array([True, False, True]), 0)
    log_probability, entropy = controller.log_probabilities([[step]])
    assert log_probability.item() == pytest.approx(np.log(0.5))
    assert entropy.item() == pytest.approx(np.log(2))
    (log_probability + entropy).sum().backward()
    assert controller.heads[0].bias.grad[1].item() == 0
    assert torch.isfinite(controller.heads[0].weight.grad).all()


def test_what_is_sampled_with_is_what_is_differentiated():
    controller, space = Controller(SmallSpace().kinds(), seed=0), SmallSpace()
    with torch.no_grad():
        for head in controller.heads:
            head.weight.normal_(generator=torch.Generator().manual_seed(1))
    first = Counter(controller.sample(space, generator=np.random.default_rng(i))[0] for i in range(1500))
    step = Step("ratio", 0, np.ones(5, dtype=bool), int(first.most_common(1)[0][0]))
    log_probability, _ = controller.log_probabilities([[step]])
    assert log_probability.exp().item() == pytest.approx(first[step.choice] / 1500, abs=0.04)


def test_the_baseline_starts_at_the_first_batchs_mean_and_moves_after_the_step():
    searcher = ReinforceSearcher(SmallSpace(), seed=0, settings=ReinforceSettings(batch=2))
    tokens = [searcher.ask(slot) for slot in range(2)]
    for slot, reward in enumerate((0.2, 0.4, 1.0, 1.0)):
        searcher.tell(Outcome(slot, tokens[slot % 2], reward))
        if slot == 1:
            assert searcher.baseline == pytest.approx(0.3)
    assert searcher.baseline == pytest.approx(0.9 * 0.3 + 0.1 * 1.0)


def test_equal_rewards_in_the_first_batch_teach_nothing():
    searcher = ReinforceSearcher(SmallSpace(), seed=0)
    before = [weight.clone() for weight in searcher.controller.parameters()]
    for slot in range(8):
        searcher.tell(
            Outcome(slot, searcher.controller.sample(searcher.space, generator=np.random.default_rng(slot)), 0.5)
        )
    assert all(torch.equal(old, new) for old, new in zip(before, searcher.controller.parameters(), strict=True))


def test_replaying_a_sequence_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match="the space ended after 2"):
        replay(TwoTokens(), (0, 1, 1))
