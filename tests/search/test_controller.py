from __future__ import annotations

from collections import Counter
from copy import deepcopy

import numpy as np
import pytest
import torch

from mindgap.core.seed import derive_seed, numpy_generator
from mindgap.search.controller import Controller, importance_weights, policy_gradient_loss
from mindgap.search.searcher import Outcome
from mindgap.search.searchers.reinforce import ReinforceSearcher, ReinforceSettings
from mindgap.search.token_walk import Step, replay
from mindgap.testing.token_game import SmallSpace, TokenGame


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


def test_importance_is_the_ratio_of_the_whole_sequences_probabilities_cut_off_by_hand():
    """Then ½·½; now ¾·½ (ρ = 1.5) and ¼·½ (ρ = ½) and 1·1 (ρ = 4, cut off at 2)."""
    then = torch.log(torch.tensor([[0.5, 0.5]] * 3))
    now = torch.log(torch.tensor([[0.75, 0.5], [0.25, 0.5], [1.0, 1.0]]))
    torch.testing.assert_close(importance_weights(now, then, clip=2.0), torch.tensor([1.5, 0.5, 2.0]))


def test_with_weights_candidates_of_an_older_policy_have_todays_mean_gradient():
    """Over all four sequences, drawn by the older policy and weighted by ρ without a cut: ∇ Σ π(k) (R_k − b)."""
    sequences, rewards = [(0, 0), (0, 1), (1, 0), (1, 1)], torch.tensor([0.1, 0.9, -1.0, 0.3], dtype=torch.float64)
    older, now = Controller(TwoTokens.kinds(), seed=0).double(), Controller(TwoTokens.kinds(), seed=0).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in [*older.heads.parameters(), *now.heads.parameters()]:
            weight.normal_(generator=generator)
    episodes = [replay(TwoTokens(), tokens) for tokens in sequences]
    drawn, _ = older.log_probabilities(episodes)
    chosen, _ = now.log_probabilities(episodes)
    expected = torch.autograd.grad(
        (chosen.sum(1).exp() * (rewards - 0.2)).sum(), list(now.parameters()), retain_graph=True
    )
    share = drawn.detach().sum(1).exp()  # how often the older policy draws each
    weights = importance_weights(chosen, drawn, clip=float("inf")) * share * len(sequences)
    loss = policy_gradient_loss(chosen, torch.tensor([2] * 4), rewards, baseline=0.2, importance=weights)
    found = torch.autograd.grad(-loss, list(now.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def played(searcher_type=ReinforceSearcher, **settings):
    game = TokenGame(SmallSpace(), seed=3)
    searcher = searcher_type(SmallSpace(), seed=0, settings=ReinforceSettings(batch=4, **settings))
    outcomes = []
    for slot in range(40):
        for outcome in outcomes[searcher.told : searcher.visible(slot)]:
            searcher.tell(outcome)
        tokens = searcher.ask(slot)
        outcomes.append(Outcome(slot, tokens, game.reward(slot, tokens)))
    return searcher, outcomes


class Recorded(ReinforceSearcher):
    """Keeps what each batch was weighted with."""

    def _importance(self, log_probability, episodes):
        weights = super()._importance(log_probability, episodes)
        self.weighted = [*getattr(self, "weighted", []), (deepcopy(self.earlier[0]), episodes, weights)]
        return weights


def test_without_a_lag_every_weight_is_that_of_the_plain_update_bit_for_bit():
    searcher, outcomes = played(lag=0)
    plain = Controller(SmallSpace().kinds(), seed=derive_seed(0, "controller"))
    optimizer, baseline = torch.optim.Adam(plain.parameters(), lr=5e-3), None
    for start in range(0, searcher.told, 4):
        batch = outcomes[start : start + 4]
        episodes = [replay(SmallSpace(), outcome.tokens) for outcome in batch]
        rewards = torch.tensor([outcome.reward for outcome in batch])
        baseline = float(rewards.mean()) if baseline is None else baseline
        log_probability, _ = plain.log_probabilities(episodes)
        lengths = torch.tensor([len(steps) for steps in episodes])
        optimizer.zero_grad()
        policy_gradient_loss(log_probability, lengths, rewards, baseline=baseline).backward()
        optimizer.step()
        baseline = 0.9 * baseline + (1 - 0.9) * float(rewards.mean())
    assert searcher.told == 36
    assert all(map(torch.equal, searcher.controller.parameters(), plain.parameters()))


@pytest.mark.parametrize("lag", [1, 2])
def test_with_a_lag_a_batch_is_weighted_by_the_state_that_drew_it(lag):
    searcher, outcomes = played(Recorded, lag=lag)
    assert len(searcher.weighted) == searcher.told // 4
    for batch, (state, episodes, _) in enumerate(searcher.weighted):
        for k, slot in enumerate(range(4 * batch, 4 * batch + 4)):  # the state does draw these candidates again
            generator = numpy_generator(0, "reinforce", slot)
            assert state.sample(SmallSpace(), generator=generator) == outcomes[slot].tokens
            assert [step.choice for step in episodes[k]] == list(outcomes[slot].tokens)
    weights = [of_batch for _, _, of_batch in searcher.weighted]
    torch.testing.assert_close(weights[0], torch.ones(4))  # of the first batch the controller has not moved yet
    assert any((of_batch - 1).abs().max() > 0.01 for of_batch in weights[2:])


def test_the_cut_can_be_moved_or_the_weights_left_out():
    plain, loose, strict = (
        list(played(lag=1, importance_clip=clip)[0].controller.parameters()) for clip in (0, 99, 0.5)
    )
    assert not all(map(torch.equal, plain, loose))
    assert not all(map(torch.equal, strict, loose))


def test_earlier_searches_move_the_controller_batch_by_batch_and_draw_the_first_slots():
    outcomes = played(lag=0)[1][:10]
    warmed = ReinforceSearcher(SmallSpace(), seed=0, settings=ReinforceSettings(batch=4, lag=1))
    warmed.warm(outcomes)
    told = ReinforceSearcher(SmallSpace(), seed=0, settings=ReinforceSettings(batch=4, lag=0))
    for outcome in outcomes[:8]:
        told.tell(outcome)
    told._update(outcomes[8:], weighted=False)  # the rest is a smaller batch
    assert warmed.told == 0
    assert all(map(torch.equal, warmed.controller.parameters(), told.controller.parameters()))
    assert all(map(torch.equal, warmed.earlier[0].parameters(), told.controller.parameters()))


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
