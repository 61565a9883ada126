"""Which candidates are trained on, as a pure function of the ledger.

Slots go by brackets of B; a bracket's candidates are compared with each other and with those of the brackets before it,
never with later ones, so the decisions do not depend on the number or the speed of the workers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mindgap.metrics.pareto import non_dominated_rank
from mindgap.search.rungs import Objective, RungPlan
from mindgap.search.slot import Fate, Slot

POOL_BRACKETS = 16  # a bracket is compared with so many before it: enough to rank by, and growth stays linear
COST_STEPS = 2  # per doubling of the multiply-accumulates
_LARGER_IS_BETTER: dict[Objective, bool] = {"accuracy": True, "unfairness": False, "macs": False}


@dataclass(frozen=True)
class _Past:
    """The brackets at the beginning in which nothing is left to decide.

    Attributes:
        end: the slot after them.
        reached: the rungs to which their slots are trained, the control group's later ones not counted.
        pools: of every rung but the last, the slots judged there, bracket by bracket, as far back as is compared.
    """

    end: int = 0
    reached: tuple[int, ...] = ()
    pools: tuple[tuple[tuple[int, ...], ...], ...] = ()


@dataclass
class Decider:
    """Gives slots their fate; what is decided never changes, and is not worked out again.

    Attributes:
        plan: the rungs.
    """

    plan: RungPlan
    _past: _Past = field(default_factory=_Past)
    _closings: frozenset[int] = frozenset()
    _promoted: dict[tuple[int, int, int], frozenset[int]] = field(default_factory=dict)
    _control: dict[int, bool] = field(default_factory=dict)
    _given: list[Slot] = field(default_factory=list)
    _decided: list[Slot] = field(default_factory=list)

    def __call__(self, slots: Sequence[Slot], closings: Collection[int] = ()) -> list[Slot]:
        """The slots with their fate; one that is as it was at the last call is the same object again.

        Args:
            slots: all slots from 0, in order.
            closings: numbers of slots at which a bracket ends before it is full.
        """
        if self.plan.top == 0:
            return list(slots)
        if not self._knows(slots, closings):
            self._past, self._promoted, self._given, self._decided = _Past(), {}, [], []
        self._closings = frozenset(closings)
        if self.plan.promotion.asynchronous:
            fates = self._on_arrival(slots)
        else:
            fates = [slot.fate for slot in self._decided[: self._past.end]]
            fates += self._by_bracket(slots)
        self._decided = [self._again(i, slot, fate) for i, (slot, fate) in enumerate(zip(slots, fates, strict=True))]
        self._given = list(slots)
        return list(self._decided)

    def _knows(self, slots: Sequence[Slot], closings: Collection[int]) -> bool:
        """Whether these are the slots of the last call, trained further, and perhaps more."""
        if any(closing < self._past.end for closing in closings if closing not in self._closings):
            return False
        if len(slots) < len(self._given):
            return False
        changed = [(old, new) for old, new in zip(self._given, slots, strict=False) if old is not new]
        return all(
            old.tokens == new.tokens and all(new.judged.get(rung) == found for rung, found in old.judged.items())
            for old, new in changed
        )

    def _again(self, i: int, slot: Slot, fate: Fate) -> Slot:
        if i < len(self._given) and slot is self._given[i] and fate == self._decided[i].fate:
            return self._decided[i]
        return replace(slot, fate=fate)

    def _fate(self, slot: int, reached: int, *, final: bool) -> Fate:
        top, final = self.plan.top, final or reached == self.plan.top
        goes_on = final and reached < top and self._is_control(slot)
        return Fate(aim=top if goes_on else reached, stop=reached, top=top, final=final, told=final)

    def _is_control(self, slot: int) -> bool:
        if slot not in self._control:
            self._control[slot] = self.plan.is_control(slot)
        return self._control[slot]

    def _by_bracket(self, slots: Sequence[Slot]) -> list[Fate]:
        """Of the slots after the past, which grows by the brackets that are decided at every rung."""
        past, new = self._past, len(slots) - self._past.end
        reached, final = [*past.reached] + [0] * new, [True] * past.end + [False] * new
        found = brackets(len(slots), self.plan.bracket, self._closings, start=past.end)
        known = [(start, end) for start, end, closed in found if closed]
        pools = [list(pool) for pool in past.pools] or [[] for _ in range(self.plan.top)]
        lengths = [len(pool) for pool in pools]
        for rung, pool in enumerate(pools):
            for number, (start, end) in enumerate(known):
                members = [i for i in range(start, end) if reached[i] == rung and not final[i]]
                if not all(rung in slots[i].judged or slots[i].is_dead for i in members):
                    known = known[:number]
                    break
                pool.append(tuple(i for i in members if rung in slots[i].judged))
                promoted = self._best(slots, rung, start, pool[-POOL_BRACKETS:])
                for i in members:
                    reached[i] += i in promoted
                    final[i] = i not in promoted
        if known:
            end = known[-1][1]
            shown = [
                pool[: before + len(known)][1 - POOL_BRACKETS :] for pool, before in zip(pools, lengths, strict=True)
            ]
            self._past = _Past(end, tuple(reached[:end]), tuple(map(tuple, shown)))
        return [self._fate(i, reached[i], final=final[i]) for i in range(past.end, len(slots))]

    def _best(self, slots: Sequence[Slot], rung: int, start: int, pool: Sequence[Sequence[int]]) -> frozenset[int]:
        """Those of the last list of the pool that are among the best of it all; at most their share of that list."""
        here = pool[-1]
        key = (rung, start, here[-1] if here else -1)
        if key not in self._promoted:
            factor = self.plan.promotion.factor
            order = self._order(slots, rung, [i for members in pool for i in members])
            best = order[: math.ceil(len(order) / factor)]
            own = set(here)
            self._promoted[key] = frozenset([i for i in best if i in own][: math.ceil(len(here) / factor)])
        return self._promoted[key]

    def _order(self, slots: Sequence[Slot], rung: int, members: Sequence[int]) -> list[int]:
        results = [slots[i].judged[rung] for i in members]
        return [members[i] for i in best_first(results, self.plan.promotion.objectives)]

    def _on_arrival(self, slots: Sequence[Slot]) -> list[Fate]:
        """The searcher hears at once of what is there, or it would wait for what depends on slots to come."""
        closed, top = max(self._closings, default=0), self.plan.top
        begun = [max(attempt.rung for attempt in slot.attempts) for slot in slots]
        reached = [0] * len(slots)
        for rung in range(top):
            pool = [i for i, slot in enumerate(slots) if rung in slot.judged]
            order = self._order(slots, rung, pool[-POOL_BRACKETS * self.plan.bracket :])
            best = set(order[: len(order) // self.plan.promotion.factor])
            for i in range(len(slots)):
                waits = i in best and i >= closed and reached[i] == rung
                reached[i] += waits or (begun[i] > rung and reached[i] == rung)
        stops = [min(aim, max(slot.judged, default=0)) for aim, slot in zip(reached, slots, strict=True)]
        return [
            Fate(aim=aim, stop=stop, top=top, final=i < closed or top in slots[i].judged)
            for i, (aim, stop) in enumerate(zip(reached, stops, strict=True))
        ]


def best_first(results: Sequence[Mapping[str, Any]], objectives: Sequence[Objective]) -> list[int]:
    """Places of results, best first: by non-dominated rank, then reward, then place.

    Multiply-accumulates count in steps of half a doubling: a network that is a few per cent smaller is no better trade.

    Example:
        >>> found = {"accuracy": 0.8, "unfairness": 0.2, "reward": 0.0}
        >>> found = [found | {"macs": 60e6}, found | {"macs": 58e6, "reward": 0.1}, found | {"macs": 30e6}]
        >>> best_first(found, ["macs"])
        [2, 1, 0]
    """
    if not results:
        return []
    points = np.array([[float(result[name]) for name in objectives] for result in results])
    costs = [place for place, name in enumerate(objectives) if name == "macs"]
    points[:, costs] = np.floor(COST_STEPS * np.log2(np.maximum(points[:, costs], 1.0)))
    ranks = non_dominated_rank(points, [_LARGER_IS_BETTER[name] for name in objectives])
    keyed = zip(ranks.tolist(), (-float(result["reward"]) for result in results), range(len(results)), strict=True)
    return [place for _, _, place in sorted(keyed)]


def brackets(slots: int, size: int, closings: Collection[int], *, start: int = 0) -> Iterator[tuple[int, int, bool]]:
    """First slot and end of each bracket from ``start`` on, and whether no more slots can come into it.

    Example:
        >>> list(brackets(21, 8, [12]))
        [(0, 8, True), (8, 12, True), (12, 20, True), (20, 21, False)]
    """
    while start < slots:
        end = min([start + size, *(closing for closing in closings if closing > start)])
        yield start, min(end, slots), end <= slots
        start = end
