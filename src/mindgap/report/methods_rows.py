"""A comparison of methods as rows of tables, ready to print."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindgap.report.estimate import amount, count, decimal, listed, signed
from mindgap.report.groups import metric_label
from mindgap.report.measures import measure_of

Record = Mapping[str, Any]
_OVERALL = ("accuracy", "macro_f1")
SHOWN = ("helps", "levels down", "hurts")


@dataclass(frozen=True)
class Figure:
    """One figure of a method over its seeds.

    Attributes:
        mean: with the standard deviation between seeds, or that it is not defined.
        seeds: Student's interval over seeds; empty without one.
        images: mean ends of the seeds' own intervals; empty without them.
        floor: the noise floor; empty where there is none.
        reason: why there is no mean; empty if there is.
    """

    mean: str
    seeds: str = ""
    images: str = ""
    floor: str = ""
    reason: str = ""

    @property
    def under(self) -> list[str]:
        """What it rests on, line by line."""
        return [line for line in (self.seeds, self.images, self.floor, self.reason) if line]


@dataclass(frozen=True)
class MethodRow:
    """What one method was, took and did."""

    name: str
    figures: tuple[Figure, ...]
    options: str
    passes: str
    seconds: str
    seeds: str
    why: str


@dataclass(frozen=True)
class MethodFinding:
    """What is said of one method over one attribute."""

    method: str
    attribute: str
    word: str
    sentence: str

    @property
    def is_shown(self) -> bool:
        """Whether something is shown, of either kind."""
        return self.word in SHOWN


@dataclass(frozen=True)
class AttributeTable:
    """The gaps of every method over one attribute.

    Attributes:
        name: of the attribute, after that of the label if there are several.
        heads: names of the gaps.
        rows: name and figures of each method.
        verdicts: name and sentence of each method but the baseline.
    """

    name: str
    heads: tuple[str, ...]
    rows: list[tuple[str, tuple[Figure, ...]]]
    verdicts: list[tuple[str, str, str]]


@dataclass(frozen=True)
class TrialRow:
    """One tuning run."""

    method: str
    trial: str
    options: str
    accuracy: str
    unfairness: str
    worst_group: str
    passes: str
    state: str
    chosen: bool


def overall_heads() -> tuple[str, ...]:
    """Names of the figures over all rows."""
    return tuple(metric_label(name) for name in _OVERALL)


def method_rows(record: Record) -> list[MethodRow]:
    """One row per method, the baseline first."""
    return [
        MethodRow(
            name=name,
            figures=tuple(
                read_figure((method["figures"] or {}).get("overall", {}).get(key), method["reason"]) for key in _OVERALL
            ),
            options=options_text(method["options"]),
            passes=_apart(method["spent"], "image_passes", amount),
            seconds=_apart(method["spent"], "seconds", count),
            seeds=_seeds_text(method["runs"]),
            why=method["why"] or "",
        )
        for name, method in record["methods"].items()
    ]


def method_findings(tables: Sequence[AttributeTable]) -> list[MethodFinding]:
    """What is said of every method and attribute: what helps first, then what levels down, what hurts, and the rest."""
    found = [MethodFinding(name, table.name, *said) for table in tables for name, *said in table.verdicts]
    return sorted(found, key=lambda one: SHOWN.index(one.word) if one.is_shown else len(SHOWN))


def verdict_rows(tables: Sequence[AttributeTable]) -> list[tuple[str, list[str]]]:
    """Every method but the baseline with its verdict's word over each attribute."""
    words = [{name: word for name, word, _ in table.verdicts} for table in tables]
    names = dict.fromkeys(name for of in words for name in of)
    return [(name, [of.get(name, "–") for of in words]) for name in names]


def attribute_tables(record: Record) -> list[AttributeTable]:
    """One table per attribute, of each label if there are several."""
    tables: list[AttributeTable] = []
    for label, attribute, gaps in _parts(record):
        title = f"{label}: {attribute}" if label else attribute
        rows, verdicts = [], []
        for name, method in record["methods"].items():
            own = _gaps_of(method["figures"], label).get(attribute, {})
            rows.append((name, tuple(read_figure(own.get(gap), method["reason"]) for gap in gaps)))
            sentence = method["sentences"].get(title) or method["sentences"].get("")
            if sentence:
                verdicts.append((name, method["verdict"].get(title, "not compared"), sentence))
        tables.append(AttributeTable(title, tuple(measure_of(gap).label for gap in gaps), rows, verdicts))
    return tables


def trial_rows(record: Record) -> list[TrialRow]:
    """One row per tuning run, by method."""
    chosen = {name: method["chosen_trial"] for name, method in record["methods"].items()}
    order = list(chosen)
    return [
        TrialRow(
            method=trial["method"],
            trial="defaults" if trial["trial"] == 0 else str(trial["trial"]),
            options=options_text(trial["options"]),
            accuracy=decimal(trial["accuracy"]),
            unfairness=decimal(trial["unfairness"]),
            worst_group=decimal(trial["worst_group_accuracy"]),
            passes=amount(trial["image_passes"]),
            state="" if trial["state"] == "complete" else f"{trial['state']}: {trial['reason']}",
            chosen=trial["trial"] == chosen[trial["method"]],
        )
        for trial in sorted(record["trials"], key=lambda one: (order.index(one["method"]), one["trial"]))
    ]


def failed_lines(record: Record) -> list[str]:
    """What failed, one line per run."""
    return [
        f"{name}, {'seed ' + str(run['seed']) if run['seed'] is not None else 'tuning run ' + str(run['trial'])}: "
        f"{run['reason']}"
        for name, method in record["methods"].items()
        for run in method["failed"]
    ]


def read_figure(record: Record | None, missing: str | None = None) -> Figure:
    """A figure over seeds as ``method_figures`` gives it; without a record it is not defined, for that reason."""
    if record is None or record["mean"] is None:
        return Figure("not defined", reason=(record or {}).get("reason") or missing or "not recorded")
    sd = "" if record["sd"] is None else f" ± {decimal(record['sd'])}"
    ends = {name: (record[low], record[high]) for name, low, high in _ENDS}
    told = {
        name: f"{name} {decimal(low)} to {decimal(high)}" if low is not None else ""
        for name, (low, high) in ends.items()
    }
    floor = record["noise_p95"]
    return Figure(
        mean=decimal(record["mean"]) + sd,
        seeds=told["seeds"],
        images=told["images"],
        floor="" if floor is None else f"floor {decimal(record['noise_mean'])} / {decimal(floor)}",
    )


_ENDS = (("seeds", "seeds_low", "seeds_high"), ("images", "low", "high"))


def options_text(options: Record) -> str:
    """Options and values with commas."""
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in options.items()
    )


def budget_sentence(record: Record) -> str:
    """What every method was given alike."""
    tuning, seeds = record["tuning"], record["seeds"]
    names = listed(map(str, seeds))
    judged = f"Each was then trained with the chosen options on seed{'s' * (len(seeds) > 1)} {names}, the same for all."
    if not tuning["trials"]:
        return f"Nothing was tuned: every method has its defaults. {judged}"
    lr = tuning["lr"]
    if tuning["trials"] == 1:
        return f"Every method had 1 tuning run on one seed, with its defaults, which are taken. {judged}"
    drawn = f"drawn at random {_times(tuning['at_random'])}" + (
        f", then by TPE {_times(tuning['by_tpe'])}" if tuning["by_tpe"] else ""
    )
    return (
        f"Every method had {tuning['trials']} tuning runs on one seed: its defaults, then options {drawn} (learning "
        f"rate {lr['low']:g} to {lr['high']:g}). Of these was taken {record['select']['says']}. {judged}"
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def over_seeds_sentence(apart: Record, *, shown: bool, what: str = "the gap") -> str:
    """What training again does to a difference, of the gap or another figure, from ``difference_over_seeds``.

    ``shown`` says that the images show a difference, which another training might not.
    """
    if apart["value"] is None:
        return f"Over seeds the difference of {what} is not defined: {apart['reason']}."
    if apart["low"] is None and apart["n_seeds"] > 1:
        return f"Over {apart['n_seeds']} seeds {what} differs by {signed(apart['value'])}; {apart['reason']}."
    if apart["low"] is None:
        return f"From one seed it is not known how much training again moves {what}."
    told = (
        f"Over {apart['n_seeds']} seeds {what} differs by {signed(apart['value'])} (95\u202f% interval "
        f"{signed(apart['low'])} to {signed(apart['high'])})"
    )
    if apart["low"] <= 0 <= apart["high"]:
        return f"{told}, which includes 0" + (": training again might not show it." if shown else ".")
    return f"{told}, which leaves 0 out."


def seeds_sentence(record: Record) -> str:
    """What the seeds can say."""
    if len(record["seeds"]) > 1:
        return (
            "seeds: Student's 95 % interval of the mean over seeds, about training again; images: mean ends of the "
            "seeds' own 95 % intervals, about the images; floor: mean and adverse 95 % point of what chance gives."
        )
    return (
        "One seed was trained, so no interval over seeds can be given: how much training again moves a figure is not "
        "known. images: the 95 % interval about the images; floor: mean and adverse 95 % point of what chance gives."
    )


def _apart(spent: Record, name: str, text: Callable[[float | None], str]) -> str:
    """What tuning runs and judged runs took, apart."""
    return f"{text(spent['tuning'][name])} + {text(spent['final'][name])}"


def _seeds_text(runs: Sequence[Record]) -> str:
    done = sum(run["state"] == "complete" for run in runs)
    return str(done) if done == len(runs) else f"{done} of {len(runs)}"


def _parts(record: Record) -> Iterator[tuple[str, str, list[str]]]:
    """Label, attribute and names of the gaps, as the first method with figures has them."""
    figures = next((method["figures"] for method in record["methods"].values() if method["figures"]), {})
    for label in figures.get("labels", {"": figures}):
        for attribute, gaps in _gaps_of(figures, label).items():
            yield label, attribute, list(gaps)


def _gaps_of(figures: Record | None, label: str) -> Record:
    if not figures:
        return {}
    return (figures["labels"][label] if label else figures).get("attributes", {})
