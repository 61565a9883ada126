"""The parts of a page drawn from predictions themselves: ROC curves, calibration and confusion of the groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mindgap.metrics.predictions import MultiLabelPredictions, Predictions
from mindgap.report.audited import OPEN_LABELS, labels_in_order
from mindgap.report.calibration_figure import calibration_figures
from mindgap.report.confusion_figure import confusion_figures
from mindgap.report.page import Section
from mindgap.report.roc_figure import roc_figures

MOST_LABELS = 8


@dataclass(frozen=True)
class DrawnLabel:
    """The figures of one label by attribute; the empty label is a task without labels. ``folded``: shown closed."""

    label: str
    figures: list[Any]
    folded: bool


def drawn_sections(
    parts: Mapping[str, Mapping[str, Any]], predictions: Predictions | MultiLabelPredictions
) -> list[Section]:
    """The three parts; of many labels only some are drawn, as in ``audited.labels_in_order``.

    Args:
        parts: single-label AUDITs by label.
        predictions: what they were made from.
    """
    labels = labels_in_order(parts)
    drawn = labels[:MOST_LABELS]
    of_label = {label: _of_label(predictions, label) for label in drawn}
    roc, calibration, confusion = (
        [
            DrawnLabel(label, draw(of_label[label], parts[label]), place >= OPEN_LABELS)
            for place, label in enumerate(drawn)
            if parts[label].get("attributes")
        ]
        for draw in (roc_figures, calibration_figures, confusion_figures)
    )
    with_scores = any(part.probabilities is not None for part in of_label.values())
    reason = "no attribute was audited." if with_scores else "the predictions have no probabilities, only classes."
    shared = {"labels_not_drawn": len(labels) - len(drawn), "not_drawn_reason": reason}
    return [
        Section("roc", "ROC curves by group", "ROC by group", {"roc_drawn": roc if with_scores else [], **shared}),
        Section(
            "calibration",
            "Calibration by group",
            "Calibration",
            {"calibration_drawn": calibration if with_scores else []},
        ),
        Section("confusion", "Confusion by group", "Confusion", {"confusion_drawn": confusion}),
    ]


def _of_label(predictions: Predictions | MultiLabelPredictions, label: str) -> Predictions:
    return predictions.by_label[label] if isinstance(predictions, MultiLabelPredictions) else predictions
