"""Walks through a search space: replayed from tokens, or steered by what other candidates chose at the same places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.search.searcher import TokenDecision, TokenSpace

Place = tuple[str, int]
"""Kind and position of a decision: what makes two decisions of different candidates the same question."""


@dataclass(frozen=True)
class Step:
    """One decision of a finished sequence: its kind, its position, the valid options (bool) and the option taken."""

    kind: str
    position: int
    valid: NDArray[np.bool_]
    choice: int


def replay(space: TokenSpace, tokens: Sequence[int]) -> list[Step]:
    """The decisions that led to a token sequence, with the options that were valid at each."""
    episode = space.start()
    steps = []
    for token in tokens:
        decision = episode.decision
        if decision is None:
            raise ValueError(f"the sequence has {len(tokens)} tokens, the space ended after {len(steps)}")
        steps.append(Step(decision.kind, decision.position, episode.mask(), token))
        episode.choose(token)
    return steps


def walk(space: TokenSpace, choose: Callable[[TokenDecision, NDArray[np.bool_]], int]) -> tuple[int, ...]:
    """A whole candidate; ``choose`` answers every decision, given which options are valid, bool (options,)."""
    episode = space.start()
    while (decision := episode.decision) is not None:
        episode.choose(choose(decision, episode.mask()))
    return episode.tokens


def draw_uniform(space: TokenSpace, generator: np.random.Generator) -> tuple[int, ...]:
    """A candidate whose every choice is uniform among the valid options."""
    return walk(space, lambda _, valid: int(generator.choice(np.flatnonzero(valid))))


def choices_of(steps: Sequence[Step]) -> dict[Place, int]:
    """What was chosen at each place."""
    return {(step.kind, step.position): step.choice for step in steps}


def follow(space: TokenSpace, choices: Mapping[Place, int], generator: np.random.Generator) -> tuple[int, ...]:
    """The candidate that makes these choices wherever it can.

    A choice that is not valid any more is mended to the nearest valid option; a place without a choice, which the
    candidates that were copied never came to, gets a valid option at random.
    """

    def choose(decision: TokenDecision, valid: NDArray[np.bool_]) -> int:
        choice = choices.get((decision.kind, decision.position))
        return int(generator.choice(np.flatnonzero(valid))) if choice is None else nearest_valid(choice, valid)

    return walk(space, choose)


def nearest_valid(choice: int, valid: NDArray[np.bool_]) -> int:
    """The valid option whose index is nearest; of two, the lower one. Options such as kernels and widths are in order.

    Example:
        >>> nearest_valid(2, np.array([True, True, False, True]))
        1
    """
    options = np.flatnonzero(valid)
    return int(options[np.abs(options - choice).argmin()])
