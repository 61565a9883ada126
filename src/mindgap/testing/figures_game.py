"""A made-up search with figures: accuracy, unfairness and multiply-accumulates of every candidate of a small space."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mindgap.core.seed import numpy_generator
from mindgap.search.reward import Reward
from mindgap.search.searcher import Outcome, TokenSpace
from mindgap.testing.token_game import SmallSpace, TokenGame

MACS = (4.0, 2.0, 6.0)  # millions, of a block type at width 0 on the first map
DOWNSAMPLING = 1  # the type that halves the side of the map
CHANCE = 0.5  # accuracy of naming the commonest class
REWARD = Reward(alpha=0.2, beta=0.8, accuracy_floor=0.55)


@dataclass(frozen=True)
class Figures:
    """What a candidate has: accuracy in 0..1, U, multiply-accumulates per image."""

    accuracy: float
    unfairness: float
    macs: int


class FiguresGame:
    """Figures over ``SmallSpace``, drawn from a seed.

    * Multiply-accumulates are those of blocks of a type and a width, on maps that one type halves.
    * Accuracy rises with effects of options, of neighbouring pairs and with the logarithm of the multiply-accumulates,
      and saturates: A = ½ + .4 (1 − exp(−e^z)).
    * U falls from about .4 as the batch ratio goes from the natural mix (0) to equal shares (4), more in some
      architectures than in others, and not at all in a few; it also has effects of its own.
    * Equal shares cost accuracy, and cost small networks more.
    """

    def __init__(self, *, seed: int = 0, positions: int = 4, noise: float = 1.0) -> None:
        self.space = SmallSpace(positions=positions)
        self.seed, self.noise, self.reward = seed, noise, REWARD
        self._quality = TokenGame(self.space, seed=2 * seed)
        self._gap = TokenGame(self.space, seed=2 * seed + 1)
        generator = numpy_generator("figures game", seed)
        self._takes_to_balance = generator.normal(1.0, 0.8, size=(positions, 4))

    def figures(self, tokens: tuple[int, ...]) -> Figures:
        """The candidate's true figures."""
        blocks, balance = _blocks(tokens), tokens[0] / 4
        macs = _macs(blocks)
        size = math.log(macs / 4e6)
        pull = float(np.mean([self._takes_to_balance[i, kind] for i, (kind, _) in enumerate(blocks)]))
        z = 0.5 * self._quality.clean_reward(tokens) + 0.35 * size - 1.2 - 0.3 * balance / (1 + math.exp(size))
        accuracy = CHANCE + 0.4 * (1 - math.exp(-math.exp(z)))
        gap = 0.5 * self._gap.clean_reward(tokens) - 2.2 * balance * pull
        return Figures(accuracy, 0.04 + 0.4 / (1 + math.exp(-gap)), macs)

    def outcome(self, slot: int, tokens: tuple[int, ...]) -> Outcome:
        """What a search sees in that slot: accuracy and U with noise of standard deviation .01 and .02."""
        true, noise = self.figures(tokens), numpy_generator(self.seed, "noise", slot).normal(size=2) * self.noise
        accuracy = min(1.0, true.accuracy + 0.01 * float(noise[0]))
        unfairness = max(0.0, true.unfairness + 0.02 * float(noise[1]))
        feasible = self.reward.is_feasible(accuracy)
        return Outcome(slot, tokens, self.reward(accuracy, unfairness), accuracy, unfairness, true.macs, feasible)


def every_candidate(space: TokenSpace) -> Iterator[tuple[int, ...]]:
    """All token sequences of a space, in order."""
    left: list[tuple[int, ...]] = [()]
    while left:
        tokens = left.pop()
        episode = space.start()
        for token in tokens:
            episode.choose(token)
        if episode.decision is None:
            yield tokens
        else:
            left += [(*tokens, int(option)) for option in np.flatnonzero(episode.mask())[::-1]]


def _blocks(tokens: tuple[int, ...]) -> list[tuple[int, int]]:
    """Type and width of each position; a skip has width −1."""
    blocks, left = [], list(tokens[1:])
    while left:
        kind = left.pop(0)
        blocks.append((kind, -1 if kind == len(MACS) else left.pop(0)))
    return blocks


def _macs(blocks: list[tuple[int, int]]) -> int:
    total, pixels, before = 0.3, 1.0, 1.0  # the stem
    for kind, width in blocks:
        if kind < len(MACS):
            pixels = pixels / 4 if kind == DOWNSAMPLING else pixels
            channels = 2.0**width
            total += MACS[kind] * before**0.5 * channels * pixels
            before = channels
    return round(1e6 * total)
