"""What of a large search is drawn and listed: all that matters, and a stated share of the others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from mindgap.core.seed import numpy_generator
from mindgap.report.estimate import count

MOST_DRAWN = 2000
MOST_LISTED = 1000
RecordT = TypeVar("RecordT")
Trial = Mapping[str, Any]


def thinned(records: Sequence[RecordT], kept: Callable[[RecordT], bool]) -> list[RecordT]:
    """At most 2,000 records in their order: all that are to be kept, however many, and a random sample of the others.

    The sample is a function of the number of records alone, so a page made twice is the same.

    Args:
        records: what a chart would draw.
        kept: which may not be left out.
    """
    if len(records) <= MOST_DRAWN:
        return list(records)
    others = [number for number, record in enumerate(records) if not kept(record)]
    room = max(0, MOST_DRAWN - (len(records) - len(others)))
    drawn = numpy_generator(0, "drawn candidates", len(records)).permutation(len(others))[room:]
    left_out = {others[number] for number in drawn}
    return [record for number, record in enumerate(records) if number not in left_out]


def thinned_sentence(drawn: int, of: int, kept: str) -> str:
    """How many are drawn, to follow a caption; nothing if all are."""
    if drawn == of:
        return ""
    return f" Drawn: {count(drawn)} of {count(of)}, {kept} and a random sample of the others; the axes span all."


def special_slots(search: Mapping[str, Any]) -> set[int]:
    """The chosen one, the front, the best by reward and the control group."""
    control = [trial["slot"] for trial in search.get("trials", []) if trial.get("control")]
    return {*search.get("front", []), *search.get("top", []), *control, search.get("chosen")} - {None}


def listed(trials: Sequence[Trial], special: Collection[int]) -> list[Trial]:
    """At most 1,000 trials in their order for a table: special ones first, then the best by reward."""
    if len(trials) <= MOST_LISTED:
        return list(trials)
    best = sorted(trials, key=lambda trial: (trial["slot"] not in special, -_reward(trial), trial["slot"]))
    return sorted(best[:MOST_LISTED], key=lambda trial: trial["slot"])


def _reward(trial: Trial) -> float:
    reward = trial.get("reward")
    return float("-inf") if reward is None else float(reward)


def listed_sentence(shown: int, of: int, what: str) -> str:
    """Which are listed and where the others are; nothing if all are."""
    if shown == of:
        return ""
    return f"{count(shown)} of {count(of)}: {what}. All are in search.json."
