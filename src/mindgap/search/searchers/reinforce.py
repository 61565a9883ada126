"""The paper's searcher: a recurrent controller trained by REINFORCE."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from mindgap.core.seed import derive_seed, numpy_generator
from mindgap.search.controller import Controller, importance_weights, policy_gradient_loss
from mindgap.search.searcher import SEARCHERS, AbstractSearcher, Outcome, SearcherSettings, TokenSpace
from mindgap.search.token_walk import Step, replay


class ReinforceSettings(SearcherSettings):
    """Numbers of the controller and its update.

    Attributes:
        hidden: units of the LSTM.
        learning_rate: of Adam.
        gamma: discount γ of eq. 3.
        baseline_decay: share of the old baseline in the moving average.
        entropy: weight of an entropy bonus, 0 in the paper.
        importance_clip: with a lag, the largest weight ρ of a candidate, which is how much likelier it is now than when
            it was drawn; 0 leaves the weights out. Without a lag they are all 1.
    """

    hidden: int = Field(default=100, ge=1)
    learning_rate: float = Field(default=5e-3, gt=0)
    gamma: float = Field(default=1.0, gt=0, le=1)
    baseline_decay: float = Field(default=0.9, ge=0, lt=1)
    entropy: float = Field(default=0.0, ge=0)
    importance_clip: float = Field(default=2.0, ge=0)


@SEARCHERS.register("reinforce")
class ReinforceSearcher(AbstractSearcher):
    """Recurrent controller trained by REINFORCE (BiaslessNAS, eq. 3).

    Each batch of B slots makes one step of Adam. The baseline b is a moving average of the batches' mean rewards: it
    starts at the first batch's mean and takes in a batch after the step that used it.

    With a lag the candidates of a batch were drawn by the controller as it was ``lag`` steps ago; each is weighted by
    the ratio of its probabilities now and then, cut off at ``importance_clip``. Candidates of an earlier search count
    with weight 1, as the policy that drew them is not known.
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
        self.earlier: deque[Controller] = deque([self._copy()], maxlen=self.numbers.lag + 1)

    def _propose(self, slot: int) -> tuple[int, ...]:
        return self.controller.sample(self.space, generator=numpy_generator(self.seed, "reinforce", slot))

    def _learn(self, outcome: Outcome) -> None:
        self.pending.append(outcome)
        if len(self.pending) == self.numbers.batch:
            self._update(self.pending, weighted=self.numbers.lag > 0 and self.numbers.importance_clip > 0)
            self.pending = []
            self.earlier.append(self._copy())

    def _warm(self, outcomes: Iterable[Outcome]) -> None:
        told, batch = list(outcomes), self.numbers.batch
        for start in range(0, len(told), batch):
            self._update(told[start : start + batch], weighted=False)
        self.earlier = deque([self._copy()], maxlen=self.numbers.lag + 1)

    def _state(self) -> dict[str, Any]:
        """Weights now and as the last batches were drawn, the optimizer's moments, the baseline, what is pending."""
        return deepcopy(
            {
                "controller": self.controller.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "baseline": self.baseline,
                "pending": [asdict(outcome) for outcome in self.pending],
                "earlier": [one.state_dict() for one in self.earlier] if self.numbers.lag else [],
            }
        )

    def _restore(self, learnt: Mapping[str, Any]) -> None:
        own = deepcopy(dict(learnt))  # into memory of its own: the state's may be a file's, aligned in another way
        self.controller.load_state_dict(own["controller"])
        self.optimizer.load_state_dict(own["optimizer"])
        if self.numbers.lag:
            self.earlier.clear()
            for weights in own["earlier"]:
                self.earlier.append(self._copy())
                self.earlier[-1].load_state_dict(weights)
        self.baseline = own["baseline"]
        self.pending = [Outcome(**{**one, "tokens": tuple(one["tokens"])}) for one in own["pending"]]

    def _copy(self) -> Controller:
        """The controller as it is now; without a lag nothing asks for it, and it is the controller itself."""
        return deepcopy(self.controller) if self.numbers.lag else self.controller

    def _update(self, batch: Sequence[Outcome], *, weighted: bool) -> None:
        if not any(outcome.tokens for outcome in batch):
            return  # ratios and network are fixed: there is nothing to learn
        episodes = [replay(self.space, outcome.tokens) for outcome in batch]
        rewards = torch.tensor([outcome.reward for outcome in batch])
        mean = float(rewards.mean())
        baseline = mean if self.baseline is None else self.baseline
        log_probability, entropy = self.controller.log_probabilities(episodes)
        loss = policy_gradient_loss(
            log_probability,
            torch.tensor([len(steps) for steps in episodes]),
            rewards,
            baseline=baseline,
            gamma=self.numbers.gamma,
            importance=self._importance(log_probability, episodes) if weighted else None,
        )
        loss = loss - self.numbers.entropy * entropy.sum() / len(batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        decay = self.numbers.baseline_decay
        self.baseline = decay * baseline + (1 - decay) * mean

    def _importance(self, log_probability: Tensor, episodes: Sequence[Sequence[Step]]) -> Tensor:
        """Weights of a batch's candidates, which the oldest of the states that are kept has drawn."""
        with torch.no_grad():
            drawn, _ = self.earlier[0].log_probabilities(episodes)
        return importance_weights(log_probability, drawn, clip=self.numbers.importance_clip)
