"""How far candidates were trained, what that spared, and how well the lower rungs ranked them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mindgap.report.estimate import count, decimal, size

Record = Mapping[str, Any]


@dataclass(frozen=True)
class RungRow:
    """A row of the table; texts are ready to print."""

    epochs: str
    reached: str
    judged_again: str
    accuracy: str
    unfairness: str


def rung_rows(rungs: Record) -> list[RungRow]:
    """One row per rung, with Kendall's τ between its ranking and that of the last.

    Args:
        rungs: the entry of ``search.json``.
    """
    agreement = list(rungs["agreement"])
    last = len(rungs["epochs"]) - 1
    return [
        RungRow(
            epochs=count(epochs),
            reached=count(reached),
            judged_again="–" if rung == last else _judged_again(agreement[rung]),
            accuracy="–" if rung == last else _tau(agreement[rung]["accuracy"]),
            unfairness="–" if rung == last else _tau(agreement[rung]["unfairness"]),
        )
        for rung, (epochs, reached) in enumerate(zip(rungs["epochs"], rungs["reached"], strict=True))
    ]


def spared_sentence(rungs: Record) -> str:
    """What training only some to the end spared, the control group and the judged copies counted."""
    passes, without = float(rungs["image_passes"]), float(rungs["image_passes_without"])
    if not passes:
        return "No candidate was judged."
    return (
        f"{count(passes)} image passes in all, judged copies and the control group included; "
        f"to train every candidate to the end would have taken {count(without)}, "
        f"{decimal(without / passes, 1)} times as many."
    )


def _judged_again(one: Record) -> str:
    controls = f", {one['n_control']} of them by the control group" if one["n_control"] else ""
    return f"{size(one['n'])}{controls}"


def _tau(value: Record) -> str:
    if value["tau"] is None:
        return f"not defined: {value['reason']}"
    return f"{decimal(value['tau'], 2)} [{decimal(value['low'], 2)}, {decimal(value['high'], 2)}]"
