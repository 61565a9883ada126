"""A comparison in words: a sentence never says more of a difference than its interval and adjusted p allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindgap.report.estimate import decimal, p_equals, signed, size
from mindgap.report.groups import metric_label
from mindgap.report.measures import measure_of

Record = Mapping[str, Any]
WORST = "worst_group_accuracy"
_SHOWN = frozenset({"better", "worse", "helps", "levels down", "hurts"})
_OPEN = frozenset({"not judged", "not defined"})


@dataclass(frozen=True)
class ComparisonFinding:
    """What is said of one model and attribute.

    Attributes:
        word: the verdict.
        title: one sentence.
        details: what it rests on.
    """

    word: str
    title: str
    details: tuple[str, ...]

    @property
    def is_shown(self) -> bool:
        """Whether a difference is shown, of either kind."""
        return self.word in _SHOWN

    @property
    def is_open(self) -> bool:
        """Whether nothing can be said at all."""
        return self.word in _OPEN


def nothing_shown(findings: Sequence[ComparisonFinding]) -> str:
    """What is said where none of the findings shows a difference; those that cannot be judged are no such finding."""
    undecided = sum(finding.is_open for finding in findings)
    said = "No difference is shown, in accuracy or in a gap"
    return (
        f"{said}; {undecided} of {len(findings)} cannot be judged, and the list says why." if undecided else f"{said}."
    )


def parts(record: Record) -> dict[str, Record]:
    """The comparison of each label; one under the empty name where there are none."""
    return dict(record["labels"]) if record["task"] == "multi-label" else {"": record}


def others(record: Record) -> list[str]:
    """The models that are compared with the first."""
    return [model["name"] for model in record["models"][1:]]


def comparison_findings(record: Record) -> list[ComparisonFinding]:
    """One finding per model, label and attribute, after one per model (and label) on accuracy."""
    found: list[ComparisonFinding] = []
    for label, part in parts(record).items():
        for model in others(record):
            found.append(_on_accuracy(part, label, model, record["baseline"]))
            found += [
                _on_attribute(name, attribute, label, model, record["baseline"])
                for name, attribute in part["attributes"].items()
            ]
    return found


def attribute_sentence(name: str, attribute: Record, label: str, *, model: str, baseline: str) -> str:
    """The verdict on one attribute, with the figures it rests on."""
    found = _on_attribute(name, attribute, label, model, baseline)
    return " ".join([found.title, *found.details])


def _on_accuracy(part: Record, label: str, model: str, baseline: str) -> ComparisonFinding:
    record = part["overall"]["accuracy"][model]
    reading = record["reading"]
    if reading in {"better", "worse"}:
        title = f"{model} is right {'more' if reading == 'better' else 'less'} often than {baseline}"
    else:
        said = _open(record, "accuracy", f"{model} and {baseline}")
        title = said if label else said[:1].upper() + said[1:]
    return ComparisonFinding(reading, f"{_on(label)}{title}.", (numbers(record, "accuracy") + ".",))


def _on_attribute(name: str, attribute: Record, label: str, model: str, baseline: str) -> ComparisonFinding:
    verdict = attribute["verdict"][model]
    word, gap_name = verdict["word"], verdict["gap"]
    if not attribute["gaps"]:
        return ComparisonFinding(
            word, f"{_on(label)}Over {name}: not defined: fewer than two groups have rows enough.", ()
        )
    gap, worst = attribute["gaps"][gap_name][model], attribute["gaps"][WORST][model]
    what = measure_of(gap_name).label
    title = _sentence(word, gap, worst, what, (model, baseline), harmless=verdict["harmless"])
    details = [numbers(gap, what) + "."]
    if attribute["left_out"]:
        details.append(f"In no gap, as asked, for their few rows: {', '.join(attribute['left_out'])}.")
    if gap_name != WORST:
        details.append(numbers(worst, measure_of(WORST).label) + ".")
    return ComparisonFinding(word, f"{_on(label)}Over {name}, {title}.", tuple(details))


def _sentence(
    word: str, gap: Record, worst: Record, what: str, models: tuple[str, str], *, harmless: bool | None
) -> str:
    model, baseline = models
    if word == "helps":
        doubt = "" if harmless else "; that is not shown to be harmless to the worst group"
        said = "its worst group's accuracy falls by no more than a point"
        return f"{model} helps beside {baseline}: {_moved(gap, what)}, and {said}{doubt}"
    if word == "levels down":
        return (
            f"{model} levels down beside {baseline}: {_moved(gap, what)}, while its worst group's accuracy is over a "
            "point lower by the point estimate. So it is not shown that the worst off gain, and groups that lose can "
            "shrink a gap too"
        )
    if word == "hurts":
        why = [_moved(gap, what)] if gap["reading"] == "worse" else []
        why += ["its worst group's accuracy is over a point lower"] if worst["reading"] == "worse" else []
        return f"{model} hurts beside {baseline}: {' and '.join(why)}"
    return _open(gap, f"the gap ({what})", f"{model} and {baseline}")


def _moved(gap: Record, what: str) -> str:
    """Which way a gap that is shown to differ has moved."""
    if gap["better"] == "larger":
        return f"its {what} is {'higher' if gap['value'] > 0 else 'lower'}"
    return f"its gap ({what}) is {'larger' if gap['value'] > 0 else 'smaller'}"


def _open(record: Record, what: str, models: str) -> str:
    """What is said where no difference is shown, judged or defined."""
    if record["reading"] in _OPEN:
        why = f": {record['why']}" if record["why"] else ""
        return f"the difference in {what} between {models} is {record['reading']}{why}"
    return f"no difference in {what} between {models} is shown ({size(record['n'])})"


def numbers(record: Record, what: str) -> str:
    """A difference with the two figures, interval, p and n: what a sentence rests on."""
    if record["value"] is None:
        return f"{what}: not defined ({record['reason']})"
    told = f"{what} {decimal(record['first'])} → {decimal(record['second'])}, difference {signed(record['value'])}"
    told += f", {interval(record)}"
    p = "" if record["p_holm"] is None else f", {p_equals(record['p_holm'])} (Holm)"
    return f"{told}{p}, {size(record['n'])}"


def interval(record: Record) -> str:
    """The interval of a difference, or why there is none."""
    if record["low"] is None:
        return record["reason"] or "no interval"
    return f"95\u202f% interval {signed(record['low'])} to {signed(record['high'])}"


def caveat(record: Record) -> str:
    """What the differences are not about."""
    compared = [len(model["compared_seeds"]) for model in record["models"][1:]]
    if max(compared, default=2) == 1:
        return (
            "These are differences between the trained networks named, on images like these. Training with another "
            "seed moves them too, which one run of each cannot show: train several seeds of each to compare methods."
        )
    return (
        "Figures are means over seeds; intervals and p are about the images, not about training again: how much that "
        "moves a figure is its sd between seeds."
    )


def seeds_compared(model: Record, baseline: Record) -> str:
    """Which seeds of a model are compared with which of the baseline, where either has several."""
    pairs = model["compared_seeds"]
    if max(len(model["seeds"]), len(baseline["seeds"])) == 1:
        return ""
    told = [" with ".join("the only one" if seed is None else str(seed) for seed in pair[::-1]) for pair in pairs]
    left = len(model["seeds"]) + len(baseline["seeds"]) - 2 * len(pairs)
    rest = f"; {left} seeds have no partner and stand in the table of seeds alone" if left > 1 else ""
    rest = "; 1 seed has no partner and stands in the table of seeds alone" if left == 1 else rest
    return f"seeds compared: {', '.join(told)}{rest}"


@dataclass(frozen=True)
class SeedRow:
    """A figure of one model over its seeds."""

    model: str
    attribute: str
    label: str
    n_seeds: int
    text: str
    mean_interval: str
    each: tuple[str, ...]


def seed_rows(record: Record) -> Iterator[SeedRow]:
    """The table of seeds: mean ± sd of the main figures."""
    for label, part in parts(record).items():
        for model, figures in part["figures"].items():
            where = f"{model} ({label})" if label else model
            for name, of_seeds in figures["overall"].items():
                yield _seed_row(where, "", metric_label(name), of_seeds)
            for attribute, gaps in figures["attributes"].items():
                for name, of_seeds in gaps.items():
                    yield _seed_row(where, attribute, measure_of(name).label, of_seeds)


def _seed_row(model: str, attribute: str, label: str, of_seeds: Record) -> SeedRow:
    if of_seeds["mean"] is None:
        return SeedRow(model, attribute, label, of_seeds["n_seeds"], f"not defined: {of_seeds['reason']}", "", ())
    sd = "" if of_seeds["sd"] is None else f" ± {decimal(of_seeds['sd'])}"
    ends = "–" if of_seeds["low"] is None else f"{decimal(of_seeds['low'])} to {decimal(of_seeds['high'])}"
    each = tuple(decimal(one["value"]) for one in of_seeds["seeds"])
    return SeedRow(model, attribute, label, of_seeds["n_seeds"], decimal(of_seeds["mean"]) + sd, ends, each)


def _on(label: str) -> str:
    return f"{label}: " if label else ""
