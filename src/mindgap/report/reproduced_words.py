"""A reproduced table in words and cells: what held up, and the paper's figures beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindgap.report.estimate import amount, count, decimal, listed, p_equals, signed

Record = Mapping[str, Any]
VERDICTS = ("shown", "not shown", "undecidable at this n")


@dataclass(frozen=True)
class ClaimLine:
    """A claim with its verdict, and the figures behind it."""

    says: str
    verdict: str
    behind: str


@dataclass(frozen=True)
class Cell:
    """A figure of the paper, ours, and what stands under ours."""

    paper: str
    ours: str
    under: str


def verdict_sentence(record: Record) -> str:
    """What of the paper's claims held up, in one sentence."""
    verdicts = [verdict for claim in all_claims(record) for verdict in _verdicts(claim)]
    if not verdicts:
        return "The paper makes no claim that could be judged here."
    unit = "claims and labels" if any(claim.get("labels") for claim in all_claims(record)) else "claims"
    parts = [f"{name} {verdicts.count(name)}" for name in VERDICTS]
    return f"Of {len(verdicts)} {unit if len(verdicts) > 1 else 'claim'}: {', '.join(parts)}."


def claim_lines(record: Record) -> list[ClaimLine]:
    """Every claim with its verdict."""
    return [_claim_line(claim, over=_attribute_of(record, claim)) for claim in all_claims(record)]


def all_claims(record: Record) -> list[Record]:
    """The claims about rows, and the one about tones."""
    tones = record.get("tones")
    return [*record["claims"], *([tones["claim"]] if tones else [])]


def data_sentence(record: Record) -> str:
    """Ours in words: images, groups, scale."""
    store = record["store"]
    groups = listed(store["groups"])
    return (
        f"{count(store['n'])} images of {store['size_px']} px, {count(store['test'])} of them for the test; "
        f"{len(store['classes'])} {'labels' if record['task'] == 'multi-label' else 'classes'}; groups of "
        f"{record['attribute']}: {groups}; budgets of the scale {record['scale']}"
    )


def step_rows(record: Record) -> list[tuple[str, str, str, str, str]]:
    """Every step: name, what for, verb with options, runs, image passes."""
    return [
        (
            step["name"],
            step["says"],
            " ".join([step["verb"], *(f"{name}={value}" for name, value in step["options"].items())]),
            "; ".join([str(step["runs"]), *_left_out(step)]),
            "not counted" if step["image_passes"] is None else amount(step["image_passes"]),
        )
        for step in record["steps"]
    ]


def _left_out(step: Record) -> list[str]:
    return [f"seed {seed} left out: {why}" for seed, why in step.get("failed", {}).items()]


def table_rows(record: Record) -> list[tuple[str, list[Cell]]]:
    """Rows of cells; of several labels a figure is the mean over them, and has no interval."""
    most = max((row["runs"] for row in record["rows"]), default=0)
    return [(_row_label(row, most), [_cell(row, figure) for figure in record["figures"]]) for row in record["rows"]]


def _row_label(row: Record, most: int) -> str:
    """The row's name, with its number of seeds where others have more, and how much pruning it kept."""
    more = [] if row["runs"] in {0, most} else [f"{row['runs']} of {most} seeds"]
    if kept := row.get("kept"):
        more.append(f"iterations of pruning kept: {listed([str(one) for one in kept])}")
    return f"{row['label']} ({'; '.join(more)})" if more else row["label"]


def label_tables(record: Record) -> list[tuple[str, list[tuple[str, list[Cell]]]]]:
    """Of several labels, per gap: labels by rows."""
    if record["task"] != "multi-label":
        return []
    tables = []
    for figure in (figure for figure in record["figures"] if figure["attribute"]):
        rows = [row for row in record["rows"] if row["figures"]]
        lines = [
            (name, [_ours(row["figures"][figure["key"]]["labels"][name], "") for row in rows])
            for name in record["store"]["classes"]
        ]
        tables.append((figure["label"], lines))
    return tables


def group_table(record: Record) -> tuple[list[str], list[tuple[str, list[Cell]]]] | None:
    """Groups as columns, rows (or labels) as rows; None without such a table."""
    table = record.get("by_group")
    if not table or not table["rows"]:
        return None
    groups = list(next(iter(table["rows"].values())))
    return groups, [(name, [_ours(of[group], "") for group in groups]) for name, of in table["rows"].items()]


def _attribute_of(record: Record, claim: Record) -> str:
    """`` (over sex)``, whose gap the claim is about; empty of a claim about all images."""
    figure = next((one for one in record["figures"] if one["key"] == claim.get("figure")), None)
    if figure is None or figure["attribute"] is None:
        return ""
    return f" (over {record['attribute'] if figure['attribute'] == 'main' else figure['attribute']})"


def _claim_line(claim: Record, *, over: str) -> ClaimLine:
    labels = claim.get("labels")
    if labels:
        by_verdict = {name: [label for label, of in labels.items() if of["verdict"] == name] for name in VERDICTS}
        parts = [f"{name} for {listed(of)}" for name, of in by_verdict.items() if of]
        by = "own 95\u202f% interval, its swap test (adjusted for all) and its seeds"
        if claim.get("than") is None:
            by = "permutation tests (adjusted for all), one per seed"
        behind = f"{len(labels)} labels, each by its {by}"
        behind += f"; not tuned: {listed(claim['left_out'])}" if claim.get("left_out") else ""
        return ClaimLine(claim["says"] + over, "; ".join(parts), behind)
    difference = claim.get("difference") or {}
    behind = claim["why"]
    if difference.get("value") is not None:
        ends = difference.get("low"), difference.get("high")
        spread = "" if None in ends else f" [{signed(ends[0])}, {signed(ends[1])}]"
        behind = f"measured {signed(difference['value'])}{spread}"
        if difference.get("p_holm") is not None and claim.get("margin") is None:  # of no loss it says nothing
            behind += f", {p_equals(difference['p_holm'])}"
        if claim.get("published") is not None:
            behind += f", published {signed(claim['published'])}"
        behind += f": {claim['why']}" + _over_seeds(claim.get("seeds"))
    return ClaimLine(claim["says"] + over, claim["verdict"], behind)


def _over_seeds(seeds: Record | None) -> str:
    """What training again does to a difference."""
    if seeds is None:
        return ""
    if seeds["low"] is None:
        return f". Over seeds no interval: {seeds['reason']}"
    return f". Over {seeds['n_seeds']} seeds [{signed(seeds['low'])}, {signed(seeds['high'])}]"


def _verdicts(claim: Record) -> Sequence[str]:
    labels = claim.get("labels")
    return [of["verdict"] for of in labels.values()] if labels else [claim["verdict"]]


def _cell(row: Record, figure: Record) -> Cell:
    printed = row["paper"].get(figure["key"])
    paper = "" if printed is None else decimal(printed)
    if row["missing"]:
        return Cell(paper, "–", row["missing"])
    own = row["figures"][figure["key"]]
    if "labels" not in own:
        return _ours(own, paper)
    known = [of["mean"] for of in own["labels"].values()]
    undefined = sum(one is None for one in known)
    if undefined:
        return Cell(paper, "–", f"undefined for {undefined} of {len(known)} labels")
    return Cell(paper, decimal(sum(known) / len(known)), f"mean of {len(known)} labels")


def _ours(own: Record, paper: str) -> Cell:
    if own["mean"] is None:
        return Cell(paper, "–", str(own["reason"]))
    under = []
    if own.get("low") is not None and own.get("high") is not None:
        under.append(f"{decimal(own['low'])} to {decimal(own['high'])}")
    if own.get("noise_p95") is not None:
        under.append(f"floor {decimal(own['noise_p95'])}")
    return Cell(paper, decimal(own["mean"]), ", ".join(under) or "no interval")
