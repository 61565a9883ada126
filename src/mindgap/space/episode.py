"""One walk through a search space: decision after decision, until a candidate stands."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import ConfigError
from mindgap.space.architecture import Architecture, BlockSpec, Choice, Head
from mindgap.space.choice_table import block_spec
from mindgap.space.layers import Cost, shrunk
from mindgap.space.ratio_tokens import RATIO_STEPS
from mindgap.space.training_tokens import LOSS_KIND

if TYPE_CHECKING:
    from mindgap.space.search_space import SearchSpace
    from mindgap.space.space_settings import SpaceBlock

RATIO_KIND = "ratio"
BLOCK_KIND = "block"
HEAD_KIND = "head_width"

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Decision:
    """One question of an episode.

    Attributes:
        kind: token kind; decisions of one kind have the same options.
        position: which group (by size), block position, or, for the head, the number of positions; 0 for training.
        options: the answers to choose from, by index.
    """

    kind: str
    position: int
    options: tuple[Any, ...]


@dataclass(frozen=True)
class Candidate:
    """What an episode ends with.

    Attributes:
        architecture: the child network.
        ratios: batch share per group; None where there are no groups (natural batches).
        tokens: the chosen indices in order.
        choices: name of the option taken of every kind of training token, such as ``{"loss": "biasless"}``.
        training: what these options change of the training settings, by their names.
    """

    architecture: Architecture
    ratios: dict[str, float] | None
    tokens: tuple[int, ...]
    choices: dict[str, Choice] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def loss(self) -> str | None:
        """Name of the loss if the space decides about it, else None."""
        name = self.choices.get(LOSS_KIND)
        return None if name is None else str(name)


Walk = Generator[tuple[Decision, Mask], int, Architecture]


class Episode:
    """Asks for decisions in the fixed order: batch ratios, training, each position's block and choices, the head.

    Example:
        >>> episode = space.start()
        >>> while episode.decision is not None:
        ...     episode.choose(int(episode.mask().argmax()))
        >>> candidate = episode.candidate()
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._tokens: list[int] = []
        self._architecture: Architecture | None = None
        self._pending: tuple[Decision, Mask] | None = None
        self._walk = self._questions()
        self._advance(None)

    @property
    def decision(self) -> Decision | None:
        """The pending decision; None when the candidate stands."""
        return None if self._pending is None else self._pending[0]

    @property
    def tokens(self) -> tuple[int, ...]:
        """The indices chosen so far."""
        return tuple(self._tokens)

    def mask(self) -> Mask:
        """Which options of the pending decision are open, bool (len(options),); at least one is.

        Raises:
            ConfigError: nothing is pending.
        """
        return self._question()[1].copy()

    def choose(self, index: int) -> None:
        """Takes an option of the pending decision.

        Raises:
            ConfigError: nothing is pending, or the option does not exist or is masked.
        """
        decision, mask = self._question()
        if not 0 <= index < len(mask) or not mask[index]:
            raise ConfigError(
                f"token {len(self._tokens)} ({decision.kind}) is {index}; "
                f"open are {np.flatnonzero(mask).tolist()}; the tokens belong to another space"
            )
        self._tokens.append(int(index))
        self._advance(int(index))

    def candidate(self) -> Candidate:
        """The finished candidate.

        Raises:
            ConfigError: a decision is still pending.
        """
        if self._architecture is None:
            raise ConfigError(f"the episode is not finished after {len(self._tokens)} tokens; give the rest")
        chosen = self._space.training_chosen(self._tokens)
        return Candidate(
            architecture=self._architecture,
            ratios=self._space.ratios(self._tokens),
            tokens=self.tokens,
            choices={kind: option.name for kind, option in chosen.items()},
            training={name: value for option in chosen.values() for name, value in option.changes.items()},
        )

    def _question(self) -> tuple[Decision, Mask]:
        if self._pending is None:
            raise ConfigError(f"the episode is finished after {len(self._tokens)} tokens; give no more")
        return self._pending

    def _advance(self, answer: int | None) -> None:
        try:
            self._pending = next(self._walk) if answer is None else self._walk.send(answer)
        except StopIteration as finished:
            self._pending = None
            self._architecture = finished.value

    def _questions(self) -> Walk:
        space = self._space
        for group in range(space.ratio_tokens):
            yield Decision(RATIO_KIND, group, RATIO_STEPS), np.ones(len(RATIO_STEPS), dtype=np.bool_)
        for kind, names in space.training_kinds.items():
            yield Decision(kind, 0, names), np.ones(len(names), dtype=np.bool_)
        if space.fixed_network is not None:
            return space.fixed_network
        used, channels, px = space.stem_state()
        specs: list[BlockSpec] = []
        for position in range(space.settings.positions):
            spec = yield from self._block(position, used, channels, px)
            used += space.block_cost(spec, channels, px)
            channels, px = spec.out_channels, shrunk(px, spec.stride)
            specs.append(spec)
        widths = space.settings.head_widths
        mask = np.array([space.head_fits(width, used, channels, px) for width in widths])
        index = yield Decision(HEAD_KIND, space.settings.positions, widths), mask
        return space.architecture(tuple(specs), Head(width=widths[index]), self._tokens)

    def _block(
        self, position: int, used: Cost, channels: int, px: int
    ) -> Generator[tuple[Decision, Mask], int, BlockSpec]:
        space = self._space
        open_choices = [space.open_choices(block, used, channels, px) for block in space.blocks]
        types = tuple(block.type for block in space.blocks)
        index = yield Decision(BLOCK_KIND, position, types), np.array([bool(grid.any()) for grid in open_choices])
        block: SpaceBlock = space.blocks[index]
        grid = open_choices[index]
        values: list[Any] = []
        for kind, options in zip(block.kinds, block.choices.values(), strict=True):
            mask: Mask = np.any(grid.reshape(len(options), -1), axis=1)
            picked = yield Decision(kind, position, options), mask
            grid = grid[picked]
            values.append(options[picked])
        return block_spec(block, tuple(values), channels)
