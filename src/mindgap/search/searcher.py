"""What a search algorithm is: it proposes token sequences, slot by slot, from the rewards of earlier slots."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mindgap.core.config import StrictModel
from mindgap.core.registry import Registry


class TokenDecision(Protocol):
    """One choice to be made."""

    @property
    def kind(self) -> str:
        """Which softmax head answers it."""
        ...

    @property
    def position(self) -> int:
        """Which block, or group, it is about."""
        ...

    @property
    def options(self) -> tuple[object, ...]:
        """What can be chosen."""
        ...


class TokenEpisode(Protocol):
    """A candidate in the making, one decision after the other."""

    @property
    def decision(self) -> TokenDecision | None:
        """What is to be chosen now; None at the end."""
        ...

    @property
    def tokens(self) -> tuple[int, ...]:
        """What was chosen so far."""
        ...

    def mask(self) -> NDArray[np.bool_]:
        """Bool (options,): which options are valid now, at least one."""
        ...

    def choose(self, index: int) -> None:
        """Takes an option and moves to the next decision."""
        ...


class TokenSpace(Protocol):
    """All a searcher knows of a search space."""

    def start(self) -> TokenEpisode:
        """Begins a candidate."""
        ...

    def kinds(self) -> Mapping[str, int]:
        """Number of options of every kind of token."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of a slot.

    Attributes:
        slot: its number, from 0.
        tokens: the candidate.
        reward: eq. 2 of BiaslessNAS, also for a rejected or failed candidate.
        feasible: its accuracy reaches the floor of its rung; never of a rejected or failed candidate.
        accuracy: in 0..1; None if it was not trained to the end.
        unfairness: U; None likewise.
        macs: multiply-accumulates per image; None likewise.
    """

    slot: int
    tokens: tuple[int, ...]
    reward: float
    accuracy: float | None = None
    unfairness: float | None = None
    macs: int | None = None
    feasible: bool = True


class SearcherSettings(StrictModel):
    """How far a searcher looks back.

    Attributes:
        batch: slots per update of the searcher, m of eq. 3.
        lag: batches by which it looks back; 0 waits for the batch before (the paper), 1 keeps workers busy meanwhile.
    """

    batch: int = Field(default=8, ge=1)
    lag: int = Field(default=1, ge=0)


class AbstractOrder(ABC):
    """Proposes what is tried in every slot, and is a pure function of the outcomes that it was told.

    The tokens of slot s depend only on the seed, s, and the outcomes of the slots below ``visible(s)``; so any process
    that reads the same ledger proposes the same candidate, whatever the number and the speed of the workers.
    """

    def __init__(self, *, seed: int) -> None:
        self.seed = seed
        self.told = 0

    @abstractmethod
    def visible(self, slot: int) -> int:
        """Number of slots, from 0, whose outcomes decide this one; never fewer than for an earlier slot."""

    def ask(self, slot: int) -> tuple[int, ...]:
        """Proposes the slot's candidate; exactly the outcomes of ``visible(slot)`` slots must have been told.

        Raises:
            ValueError: more or fewer outcomes have been told.
        """
        if self.told != self.visible(slot):
            raise ValueError(f"slot {slot} depends on {self.visible(slot)} outcomes, {self.told} were told")
        return self._propose(slot)

    def tell(self, outcome: Outcome) -> None:
        """Reports an outcome; they come in the order of their slots.

        Raises:
            ValueError: the outcome is of another slot than the next.
        """
        if outcome.slot != self.told:
            raise ValueError(f"the next outcome is of slot {self.told}, got slot {outcome.slot}")
        self.told += 1
        self._learn(outcome)

    def state(self) -> dict[str, Any] | None:
        """All that was learnt, as tensors, numbers, text, and lists and dicts of them; None where replay is cheap."""
        learnt = self._state()
        return None if learnt is None else {"told": self.told, "learnt": learnt}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes back what ``state`` gave, of an order with the same space, seed, settings and earlier candidates.

        From then on it proposes bit for bit what it would after being told everything again.
        """
        self._restore(state["learnt"])
        self.told = state["told"]

    def _state(self) -> dict[str, Any] | None:
        """What was learnt; an order that gives it has ``_restore`` too."""
        return None

    def _restore(self, learnt: Mapping[str, Any]) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no state to restore; tell it the outcomes again")

    @abstractmethod
    def _propose(self, slot: int) -> tuple[int, ...]:
        """Tokens of the slot, from the state, the seed and the slot's number alone."""

    @abstractmethod
    def _learn(self, outcome: Outcome) -> None:
        """Takes an outcome into the state."""


class AbstractSearcher(AbstractOrder):
    """A search algorithm: an order over a search space, in batches.

    A searcher is one file: a class with ``_propose`` and ``_learn``, registered under its name; options of its own are
    fields of a ``Settings`` model.
    """

    Settings: ClassVar[type[SearcherSettings]] = SearcherSettings

    def __init__(self, space: TokenSpace, *, seed: int, settings: SearcherSettings | None = None) -> None:
        super().__init__(seed=seed)
        self.space = space
        self.settings = settings or self.Settings()

    def visible(self, slot: int) -> int:
        """Number of slots, from 0, whose outcomes decide this one: B·max(0, ⌊s/B⌋ − lag)."""
        batch = self.settings.batch
        return batch * max(0, slot // batch - self.settings.lag)

    def warm(self, outcomes: Iterable[Outcome]) -> None:
        """Lets it know candidates of earlier searches, before the first outcome of its own; their slots do not matter.

        They are told in their order, and are part of what its state is a function of: a process that resumes the
        search has to be given the same ones.

        Raises:
            ValueError: an outcome of this search has been told.
        """
        if self.told:
            raise ValueError(f"{self.told} outcomes were told already; give those of earlier searches before the first")
        self._warm(outcomes)

    def _warm(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self._learn(outcome)


SEARCHERS: Registry[type[AbstractSearcher]] = Registry("searchers", package="mindgap.search.searchers")
