"""The recurrent controller: a distribution over token sequences, one softmax per decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import skip_init

from mindgap.search.searcher import TokenSpace
from mindgap.search.token_walk import Step

MOST_POSITIONS = 64  # positions beyond it share an embedding
EMBEDDING_STD = 0.3  # of the first weights; at 1, the first tokens drawn decide too much of the hidden state


class Controller(nn.Module):
    """Token embedding → LSTM → one softmax head per kind of token, invalid options masked.

    BiaslessNAS (Sheng et al. 2024) §3.2 ①. The input of a step is the embedding of the token before it plus that of
    the place it decides (kind and position): an LSTM that had to count positions learned half as much in 400 trials.
    The heads start at zero, so the first candidates are uniform draws among the valid options, as in random search.

    Args:
        kinds: number of options of every kind of token.
        hidden: units of the LSTM, and width of the embedding.
        seed: of the initial weights.
    """

    def __init__(self, kinds: Mapping[str, int], *, hidden: int = 100, seed: int = 0) -> None:
        super().__init__()
        self.first_row: dict[str, int] = {}
        rows = 1  # row 0 stands for "no token yet"
        for kind, options in kinds.items():
            self.first_row[kind] = rows
            rows += options
        self.first_place = {kind: MOST_POSITIONS * number for number, kind in enumerate(kinds)}
        self.tokens = cast("nn.Embedding", skip_init(nn.Embedding, rows, hidden))
        self.places = cast("nn.Embedding", skip_init(nn.Embedding, MOST_POSITIONS * len(kinds), hidden))
        self.cell = cast("nn.LSTMCell", skip_init(nn.LSTMCell, hidden, hidden))
        self.heads = nn.ModuleList(skip_init(nn.Linear, hidden, options) for options in kinds.values())
        self.head_of: dict[str, nn.Module] = dict(zip(kinds, self.heads, strict=True))
        self._initialise(torch.Generator().manual_seed(seed), bound=hidden**-0.5)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator, *, bound: float) -> None:
        for embedding in (self.tokens, self.places):
            nn.init.normal_(embedding.weight, std=EMBEDDING_STD, generator=generator)
        for weight in self.cell.parameters():
            weight.uniform_(-bound, bound, generator=generator)
        for weight in self.heads.parameters():
            nn.init.zeros_(weight)

    @torch.no_grad()
    def sample(self, space: TokenSpace, *, generator: np.random.Generator) -> tuple[int, ...]:
        """Draws one token sequence."""
        episode = space.start()
        row, state = 0, None
        while (decision := episode.decision) is not None:
            place = self._place(decision.kind, decision.position)
            state = self.cell((self.tokens.weight[row] + self.places.weight[place]).unsqueeze(0), state)
            valid = episode.mask()
            logits = self.head_of[decision.kind](state[0])[0].double().numpy()
            choice = _draw(np.where(valid, logits, -np.inf), generator)
            episode.choose(choice)
            row = self.first_row[decision.kind] + choice
        return episode.tokens

    def log_probabilities(self, episodes: Sequence[Sequence[Step]]) -> tuple[Tensor, Tensor]:
        """Log-probability and entropy of every decision of several sequences.

        Returns:
            Two float tensors (episodes, longest length), in nats; 0 beyond the end of a sequence.
        """
        longest = max(len(steps) for steps in episodes)
        rows = torch.zeros(len(episodes), longest, dtype=torch.long)
        places = torch.zeros(len(episodes), longest, dtype=torch.long)
        for i, steps in enumerate(episodes):
            for t, step in enumerate(steps):
                places[i, t] = self._place(step.kind, step.position)
                if t + 1 < len(steps):
                    rows[i, t + 1] = self.first_row[step.kind] + step.choice
        state, outputs = None, []
        for t in range(longest):
            state = self.cell(self.tokens(rows[:, t]) + self.places(places[:, t]), state)
            outputs.append(state[0])
        return self._read_heads(torch.stack(outputs, dim=1), episodes)

    def _place(self, kind: str, position: int) -> int:
        return self.first_place[kind] + min(position, MOST_POSITIONS - 1)

    def _read_heads(self, outputs: Tensor, episodes: Sequence[Sequence[Step]]) -> tuple[Tensor, Tensor]:
        log_probability = outputs.new_zeros(outputs.shape[:2])
        entropy = outputs.new_zeros(outputs.shape[:2])
        for kind, head in self.head_of.items():
            where = [(i, t) for i, steps in enumerate(episodes) for t, step in enumerate(steps) if step.kind == kind]
            if not where:
                continue
            index = torch.tensor(where).T.unbind()
            valid = torch.from_numpy(np.stack([episodes[i][t].valid for i, t in where]))
            choice = torch.tensor([episodes[i][t].choice for i, t in where])
            logs = torch.log_softmax(head(outputs[index]).masked_fill(~valid, -torch.inf), dim=1)
            chosen = logs.gather(1, choice.unsqueeze(1)).squeeze(1)
            finite = logs.masked_fill(~valid, 0.0)
            log_probability = log_probability.index_put(index, chosen)
            entropy = entropy.index_put(index, -(finite.exp() * finite).masked_fill(~valid, 0.0).sum(1))
        return log_probability, entropy


def policy_gradient_loss(
    log_probability: Tensor,
    lengths: Tensor,
    rewards: Tensor,
    *,
    baseline: float,
    gamma: float = 1.0,
    importance: Tensor | None = None,
) -> Tensor:
    """The loss whose negative gradient is eq. 3 of BiaslessNAS, for candidates of an older policy with weights ρ_k.

    −(1/m) Σ_k ρ_k Σ_t γ^(T_k − t) log π(a_t | a_(t−1):1) (R_k − b), t = 1..T_k; ρ_k = 1 in the paper.

    Args:
        log_probability: float (m, T), 0 beyond the end of a sequence.
        lengths: int (m,), T_k.
        rewards: float (m,), R_k.
        baseline: b.
        gamma: discount; below 1 it starves the first tokens, which choose the batch ratios.
        importance: float (m,), ρ_k of ``importance_weights``; None is 1 for all.
    """
    steps = torch.arange(1, log_probability.shape[1] + 1)
    discount = gamma ** (lengths.unsqueeze(1) - steps).clamp(min=0).to(log_probability.dtype)
    gain = discount * log_probability * (rewards - baseline).unsqueeze(1)
    if importance is not None:
        gain = gain * importance.unsqueeze(1)
    return -gain.sum() / log_probability.shape[0]


def importance_weights(current: Tensor, behaviour: Tensor, *, clip: float) -> Tensor:
    """How much likelier each candidate is now than when it was drawn, ρ_k = min(clip, π(k) / π_drawn(k)), float (m,).

    Candidates of a search with a lag were drawn by an older state of the controller; weighted so, their mean gradient
    is that of candidates drawn now, but for the truncation, which bounds the variance (Ionides 2008).

    Args:
        current: log-probabilities of the decisions now, float (m, T), in nats, 0 beyond the end.
        behaviour: the same by the state that drew them.
        clip: the largest weight.

    Example:
        Two decisions of probability ½ each, then; ¾ and ½ now: ρ = (¾·½)/(½·½) = 1.5.
    """
    return (current.detach() - behaviour.detach()).sum(1).exp().clamp(max=clip)


def _draw(logits: NDArray[np.float64], generator: np.random.Generator) -> int:
    weights = np.exp(logits - logits.max())
    cumulative = weights.cumsum()
    drawn = int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))
    return min(drawn, int(np.flatnonzero(weights)[-1]))
