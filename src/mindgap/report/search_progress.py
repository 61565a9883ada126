"""How a search went: the reward of every slot, the best so far, the top five, and what was not trained to the end."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mindgap.core.states import counted_states, state_words
from mindgap.report.drawing import Axis, Plot, element, hover, padded
from mindgap.report.estimate import amount, count, decimal, percent, size
from mindgap.report.thinning import thinned

Trial = Mapping[str, Any]
_DRAWN = {"complete": (4, "front", ""), "pruned": (3, "other", ", stopped after {} epochs")}


def drawn_trials(trials: Sequence[Trial], special: Collection[int]) -> list[Trial]:
    """Those that are drawn: the special slots, and of very many others a sample."""
    return thinned(trials, lambda trial: trial["slot"] in special)


def draw_progress(trials: Sequence[Trial], special: Collection[int] = ()) -> Markup | None:
    """Rewards by slot with the best so far; those without a reward lie on the axis. None if none completed.

    Args:
        trials: of ``search.json``; the line of the best is made from all of them.
        special: slots whose marks may not be left out, however many there are.
    """
    complete = [trial for trial in trials if trial.get("state") == "complete" and trial.get("reward") is not None]
    if not complete:
        return None
    last = max(int(trial["slot"]) for trial in trials)
    low, high = padded(_axis_values(complete), at_least=0.05)
    plot = Plot(
        x=Axis(-0.5, max(last, 1) + 0.5, "Slot", lambda v: count(v) if v == int(v) and v >= 0 else ""),
        y=Axis(low, high, "Reward", lambda v: decimal(v, 2)),
        height_px=280,
    )
    best = max(complete, key=lambda trial: trial["reward"])
    alt = (
        f"Reward of {len(complete)} completed candidates over {last + 1} slots; "
        f"the best is {decimal(best['reward'])} in slot {best['slot']}."
    )
    return plot.draw(
        [*_best_so_far(plot, complete, last), *(_mark(plot, trial) for trial in drawn_trials(trials, special))], alt=alt
    )


def _axis_values(complete: Sequence[Trial]) -> list[float]:
    """The rewards that set the scale: those above the −1 of candidates under the accuracy limit, if there are any."""
    rewards = [float(trial["reward"]) for trial in complete]
    return [reward for reward in rewards if reward > -1.0] or rewards


def _best_so_far(plot: Plot, complete: Sequence[Trial], last: int) -> list[Markup]:
    steps: list[tuple[float, float]] = []
    for trial in sorted(complete, key=lambda trial: int(trial["slot"])):
        if not steps or trial["reward"] > steps[-1][1]:
            steps.append((float(trial["slot"]), float(trial["reward"])))
    marks = []
    for (slot, reward), (until, after) in zip(steps, [*steps[1:], (last + 0.5, steps[-1][1])], strict=True):
        x1, x2, y1, y2 = plot.px(slot), plot.px(until), plot.py(reward), plot.py(after)
        marks.append(element("line", x1=x1, x2=x2, y1=y1, y2=y1, class_="curve series-0"))
        marks.append(element("line", x1=x2, x2=x2, y1=y1, y2=y2, class_="curve series-0"))
    return marks


def _mark(plot: Plot, trial: Trial) -> Markup:
    x, reward = plot.px(float(trial["slot"])), trial.get("reward")
    if trial.get("state") in _DRAWN and reward is not None and plot.y.low <= reward <= plot.y.high:
        says = (
            f"slot {trial['slot']}: reward {decimal(reward)}, accuracy {percent(trial.get('accuracy'))}, "
            f"U {decimal(trial.get('unfairness'))}"
        )
        radius_px, kind, stopped = _DRAWN[trial["state"]]
        says += stopped.format(count(trial.get("epochs")))
        return element("circle", hover(says), cx=x, cy=plot.py(float(reward)), r=radius_px, class_=f"dot {kind}")
    says = f"slot {trial['slot']}: {state_words(trial.get('state'))}, reward {decimal(reward)}"
    says += f" ({trial['reason']})" if trial.get("reason") else ""
    cross = element("path", d="M-4 -4L4 4M-4 4L4 -4", class_="cross")
    return element("svg", hover(says), cross, x=x, y=plot.base_px - 7, overflow="visible")


@dataclass(frozen=True)
class TopRow:
    """A row of the table of the best by reward; texts are ready to print."""

    slot: str
    reward: str
    accuracy: str
    groups: tuple[str, ...]
    unfairness: str
    macs: str
    params: str
    chosen: bool = False


def top_rows(search: Mapping[str, Any], *, sizes: Mapping[str, int]) -> tuple[list[TopRow], list[str]]:
    """The best candidates by reward, with a last row of mean ± sample standard deviation (Sheng et al. 2024, Table 1).

    Also the headings of the groups' accuracies, where the search recorded them.

    Args:
        search: ``search.json``.
        sizes: validation images per group.
    """
    by_slot = {trial.get("slot"): trial for trial in search.get("trials", [])}
    top = [by_slot[slot] | {"groups": by_slot[slot].get("groups") or {}} for slot in search.get("top", [])]
    names = list(top[0]["groups"]) if top and all(list(t["groups"]) == list(top[0]["groups"]) for t in top) else []
    rows = [
        TopRow(
            slot=str(trial["slot"]),
            reward=decimal(trial.get("reward")),
            accuracy=percent(trial.get("accuracy")),
            groups=tuple(percent(trial["groups"][name]) for name in names),
            unfairness=decimal(trial.get("unfairness")),
            macs=amount(trial.get("macs")),
            params=amount(trial.get("params")),
            chosen=trial.get("slot") == search.get("chosen"),
        )
        for trial in top
    ]
    heads = [f"{name}, {size(sizes.get(name))}" for name in names]
    return ([*rows, _mean_row(top, names)] if len(top) > 1 else rows), heads


def _mean_row(top: Sequence[Trial], names: Sequence[str]) -> TopRow:
    return TopRow(
        slot="mean ± sd",
        reward=_spread([trial.get("reward") for trial in top]),
        accuracy=_spread([trial.get("accuracy") for trial in top], scale=100, digits=2, unit="\u202f%"),
        groups=tuple(_spread([t["groups"][name] for t in top], scale=100, digits=2, unit="\u202f%") for name in names),
        unfairness=_spread([trial.get("unfairness") for trial in top], digits=4),
        macs=amount(statistics.mean(float(trial.get("macs") or 0) for trial in top)),
        params=amount(statistics.mean(float(trial.get("params") or 0) for trial in top)),
    )


def _spread(values: Sequence[float | None], *, scale: float = 1, digits: int = 3, unit: str = "") -> str:
    known = [scale * float(value) for value in values if value is not None]
    if len(known) < 2:
        return "–"
    return f"{decimal(statistics.mean(known), digits)} ± {decimal(statistics.stdev(known), digits)}{unit}"


@dataclass(frozen=True)
class Unfinished:
    """A candidate that was rejected or failed."""

    slot: int
    state: str
    reason: str
    attempts: int


def unfinished(trials: Sequence[Trial]) -> list[Unfinished]:
    """All candidates without a result, with their reasons, by slot."""
    return [
        Unfinished(
            int(t["slot"]),
            str(t.get("state")),
            str(t.get("reason") or "no reason recorded"),
            int(t.get("attempts") or 1),
        )
        for t in sorted(trials, key=lambda t: int(t["slot"]))
        if t.get("state") not in _DRAWN
    ]


def states_sentence(trials: Sequence[Trial]) -> str:
    """How many slots ended how, such as ``24 slots: 21 complete, 2 rejected, 1 failed``."""
    return f"{len(trials)} slots: {counted_states(trial.get('state') for trial in trials)}."
