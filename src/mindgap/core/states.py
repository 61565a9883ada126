"""How the states of a search's candidates are named to people; files keep the short names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_ORDER = ("complete", "pruned", "rejected", "failed")
_WORDS = {"pruned": "stopped early"}


def state_words(state: object) -> str:
    """A state in words, such as ``stopped early`` for ``pruned``."""
    return _WORDS.get(str(state), str(state))


def counted_states(states: Iterable[object]) -> str:
    """How many ended how, such as ``3 complete, 9 stopped early``; what is not an end comes last."""
    counts = Counter(map(str, states))
    known = [state for state in _ORDER if counts[state]] + sorted(set(counts) - set(_ORDER))
    return ", ".join(f"{counts[state]} {state_words(state)}" for state in known)
