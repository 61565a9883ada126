"""Warm start: the outcomes of an earlier search become what a new one knows before slot 0.

They are read once, when the new search's plan is made, and kept in it, so that the new search depends on its own ledger
alone. A reward can be compared with another only if both judge the same errors of the same images: store, attribute,
kind of unfairness and left-out groups must be the same. Other weights or another floor of eq. 2 are no obstacle: the
rewards are computed anew from accuracy and unfairness. Candidates that trained for longer or otherwise are taken as
they are, with a line that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mindgap.core.errors import ConfigError, MindgapError, RunError
from mindgap.search.ledger import Ledger
from mindgap.search.ledger_place import has_ledger, ledger_url
from mindgap.search.plan import SearchPlan, read_plan
from mindgap.search.prior import Prior, PriorOutcome
from mindgap.search.slot import Slot
from mindgap.space.search_space import SearchSpace

MOST_OUTCOMES = 500  # the latest; they are part of the plan, which every worker reads
LIMITS = frozenset(
    {"name", "max_params", "max_macs", "max_latency_ms", "limits"}
)  # of a space; the tokens mean the same

MEANINGS = {
    "ratio_groups": "ratios of other groups",
    "training": "other choices of loss or augmentation",
    "positions": "another number of blocks",
    "stem": "another stem",
    "blocks": "other blocks",
    "head_widths": "other widths of the head",
    "dropout": "another dropout",
    "keep_map_px": "another size at which the map is kept",
}  # of a space; what they decide is part of a candidate


def read_prior(place: str, plan: SearchPlan, space: SearchSpace) -> tuple[Prior, tuple[str, ...]]:
    """The candidates of an earlier search that the new one can learn from, and a line about them for the user.

    Args:
        place: the earlier search's folder, its ledger's file or its ledger's address.
        plan: of the new search.
        space: of the new search.

    Raises:
        RunError: there is no such search, or no candidate of it can be used.
        ConfigError: its rewards or its tokens mean something else.
    """
    earlier, slots = _read(place)
    _check(place, earlier, plan)
    judged = [slot for slot in slots if slot.outcome is not None and "accuracy" in slot.outcome]
    usable = [slot for slot in judged if _is_open(slot.tokens, space)]
    if not usable:
        raise RunError(
            f"--warm-start {place}: none of {len(slots)} candidates was trained and is open in this space; "
            "leave it out, or name another search"
        )
    outcomes = tuple(_outcome(slot, slot.outcome or {}, plan) for slot in usable[-MOST_OUTCOMES:])
    said = f"warm start: {len(outcomes)} candidates of {place}"
    if len(judged) > len(outcomes):
        said += f" ({len(judged) - len(outcomes)} are left out: over this search's limits, or the oldest of many)"
    return Prior(source=place, outcomes=outcomes), (said, *_other_training(earlier, plan))


def _read(place: str) -> tuple[SearchPlan, list[Slot]]:
    try:
        ledger = Ledger(_url(place), read_only=True)
        try:
            return read_plan(ledger.notes()), ledger.slots()
        finally:
            ledger.close()
    except MindgapError as error:
        raise RunError(f"--warm-start {place}: {error}") from None


def _url(place: str) -> str:
    path = Path(place)
    if "://" in place:
        return place
    if path.is_dir():
        several = sorted(part.name for part in path.iterdir() if has_ledger(part))
        if several and not has_ledger(path):
            raise RunError(f"it holds a search per preset; name one of {', '.join(several)} in it")
        return ledger_url(path)
    return f"sqlite:///{path}"


def _check(place: str, earlier: SearchPlan, plan: SearchPlan) -> None:
    """Refuses a search whose rewards or tokens mean something else."""
    for name, said in (
        ("fingerprint", "another store"),
        ("attribute", "another attribute"),
        ("unfairness", "another kind of unfairness"),
        ("excluded_groups", "other groups left out of the reward"),
        ("ratios", "other fixed ratios"),
        ("network", "another fixed network"),
    ):
        was, now = getattr(earlier, name), getattr(plan, name)
        if was != now:
            shown = "" if name == "network" else f" ({was!r} there, {now!r} here)"
            raise ConfigError(
                f"--warm-start {place}: it has {said}{shown}; its rewards cannot be compared, leave it out"
            )
    for name in sorted(set(earlier.space_summary) | set(plan.space_summary)):
        if name not in LIMITS and earlier.space_summary.get(name) != plan.space_summary.get(name):
            raise ConfigError(
                f"--warm-start {place}: its space has {MEANINGS.get(name, f'another {name}')}, so its candidates are "
                "not candidates of this search; leave it out, or give the same space and training options"
            )


def _is_open(tokens: tuple[int, ...], space: SearchSpace) -> bool:
    try:
        return space.rejection(space.decode(tokens)) is None
    except ConfigError:
        return False


def _outcome(slot: Slot, result: Mapping[str, Any], plan: SearchPlan) -> PriorOutcome:
    """A candidate stopped at a lower rung has that rung's figures and floor, as it had there."""
    reward, accuracy, unfairness = plan.make_reward(), result["accuracy"], result["unfairness"]
    if slot.fate.stop < slot.fate.top:
        reward = replace(reward, accuracy_floor=plan.reward.lower_floor)
    return PriorOutcome(
        tokens=slot.tokens,
        reward=reward(accuracy, unfairness),
        accuracy=accuracy,
        unfairness=unfairness,
        macs=result["macs"],
        feasible=reward.is_feasible(accuracy),
    )


def _other_training(earlier: SearchPlan, plan: SearchPlan) -> tuple[str, ...]:
    was, now = (one.training.model_dump() | {"rungs": one.rungs.epochs} for one in (earlier, plan))
    changed = [f"{name} {was[name]} (now {now[name]})" for name in now if was[name] != now[name]]
    return (f"its candidates were trained with {', '.join(changed)}; their accuracy and U count as they are",) * bool(
        changed
    )
