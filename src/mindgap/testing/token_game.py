"""A made-up search: a small token space, and rewards of main effects, pairwise interactions and noise.

It lets a searcher be tested without an image.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mindgap.core.seed import numpy_generator
from mindgap.search.searcher import TokenSpace

KINDS = {"ratio": 5, "type": 4, "width": 3}


@dataclass(frozen=True)
class GameDecision:
    """One choice: its kind, its position, its options."""

    kind: str
    position: int
    options: tuple[int, ...]


class GameEpisode:
    """One ratio, then per position a type and, unless it is the last type (skip), a width; type 1 only once."""

    def __init__(self, positions: int) -> None:
        self.tokens: tuple[int, ...] = ()
        self._left = deque([("ratio", 0), *(("type", i) for i in range(positions))])
        self._used = False

    @property
    def decision(self) -> GameDecision | None:
        if not self._left:
            return None
        kind, position = self._left[0]
        return GameDecision(kind, position, tuple(range(KINDS[kind])))

    def mask(self) -> NDArray[np.bool_]:
        kind, _ = self._left[0]
        valid = np.ones(KINDS[kind], dtype=bool)
        if kind == "type" and self._used:
            valid[1] = False
        return valid

    def choose(self, index: int) -> None:
        if not self.mask()[index]:
            raise ValueError(f"option {index} is not valid after {self.tokens}")
        kind, position = self._left.popleft()
        self.tokens += (index,)
        if kind == "type":
            self._used = self._used or index == 1
            if index != KINDS["type"] - 1:
                self._left.appendleft(("width", position))


class SmallSpace:
    """A token space whose sequences differ in length and in what is valid."""

    def __init__(self, *, positions: int = 3) -> None:
        self.positions = positions

    def start(self) -> GameEpisode:
        return GameEpisode(self.positions)

    def kinds(self) -> dict[str, int]:
        return dict(KINDS)


class TokenGame:
    """Rewards over any token space, drawn from a seed.

    Every option at its place has an effect, and so has every pair of neighbouring options; effects are standard normal,
    those of pairs count half, and the sum is divided by the square root of the length.
    """

    def __init__(self, space: TokenSpace, *, seed: int = 0, noise: float = 0.1) -> None:
        self.space, self.seed, self.noise = space, seed, noise
        self._effects: dict[tuple[str, ...], float] = {}

    def clean_reward(self, tokens: tuple[int, ...]) -> float:
        """The reward without noise."""
        episode, names = self.space.start(), []
        for token in tokens:
            decision = episode.decision
            if decision is None:
                raise ValueError(f"{tokens} goes on after the end")
            names.append(f"{decision.kind}{decision.position}={token}")
            episode.choose(token)
        total = sum(self._effect(name) for name in names)
        total += sum(self._effect(*pair) for pair in pairwise(names)) / 2
        return total / len(names) ** 0.5

    def reward(self, slot: int, tokens: tuple[int, ...]) -> float:
        """The reward a search sees in that slot."""
        return self.clean_reward(tokens) + self.noise * float(numpy_generator(self.seed, "noise", slot).normal())

    def _effect(self, *names: str) -> float:
        if names not in self._effects:
            self._effects[names] = float(numpy_generator(self.seed, *names).normal())
        return self._effects[names]
