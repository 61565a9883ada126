"""The paper's searcher: a recurrent controller trained by REINFORCE."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from mindgap.core.seed import derive_seed, numpy_generator
from mindgap.search.controller import Controller, policy_gradient_loss, replay
from mindgap.search.searcher import SEARCHERS, AbstractSearcher, Outcome, SearcherSettings, TokenSpace


class ReinforceSettings(SearcherSettings):
    """Numbers of the controller and its update.

    Attributes:
        hidden: units of the LSTM.
        learning_rate: of Adam.
        gamma: discount γ of eq. 3.
        baseline_decay: share of the old baseline in the moving average.
        entropy: weight of an entropy bonus, 0 in the paper.
    """

    hidden: int = Field(default=100, ge=1)
    learning_rate: float = Field(default=5e-3, gt=0)
    gamma: float = Field(default=1.0, gt=0, le=1)
    baseline_decay: float = Field(default=0.9, ge=0, lt=1)
    entropy: float = Field(default=0.0, ge=0)


@SEARCHERS.register("reinforce")
class ReinforceSearcher(AbstractSearcher):
    """Recurrent controller trained by REINFORCE (BiaslessNAS, eq. 3).

    Each batch of B slots makes one step of Adam. The baseline b is a moving average of the batches' mean rewards: it
    starts at the first batch's mean and takes in a batch after the step that used it.
    """

    Settings: ClassVar[type[SearcherSettings]] = ReinforceSettings

    def __init__(self, space: TokenSpace, *, seed: int, settings: SearcherSettings | None = None) -> None:
        super().__init__(space, seed=seed, settings=settings)
        if not isinstance(self.settings, ReinforceSettings):
            raise TypeError(f"reinforce takes ReinforceSettings, got {type(self.settings).__name__}")
        self.numbers = self.settings
        self.controller = Controller(space.kinds(), hidden=self.numbers.hidden, seed=derive_seed(seed, "controller"))
        self.optimizer = torch.optim.Adam(self.controller.parameters(), lr=self.numbers.learning_rate)
        self.baseline: float | None = None
        self.pending: list[Outcome] = []

    def _propose(self, slot: int) -> tuple[int, ...]:
        return self.controller.sample(self.space, generator=numpy_generator(self.seed, "reinforce", slot))

    def _learn(self, outcome: Outcome) -> None:
        self.pending.append(outcome)
        if len(self.pending) == self.numbers.batch:
            self._update(self.pending)
            self.pending = []

    def _update(self, batch: list[Outcome]) -> None:
        if not any(outcome.tokens for outcome in batch):
            return  # ratios and network are fixed: there is nothing to learn
        episodes = [replay(self.space, outcome.tokens) for outcome in batch]
        rewards = torch.tensor([outcome.reward for outcome in batch])
        mean = float(rewards.mean())
        baseline = mean if self.baseline is None else self.baseline
        log_probability, entropy = self.controller.log_probabilities(episodes)
        lengths = torch.tensor([len(steps) for steps in episodes])
        loss = policy_gradient_loss(log_probability, lengths, rewards, baseline=baseline, gamma=self.numbers.gamma)
        loss = loss - self.numbers.entropy * entropy.sum() / len(batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        decay = self.numbers.baseline_decay
        self.baseline = decay * baseline + (1 - decay) * mean
