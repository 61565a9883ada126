"""Diagrams of calibration hold the same bins as the calibration error."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.groups import Groups
from mindgap.report.calibration_figure import calibration_figures, group_bins


def test_bins_by_hand() -> None:
    groups = Groups("g", ("a", "b"), np.array([0, 0, 0, 1, -1]))
    confidence = np.array([0.9, 0.92, 1 / 15, 1.0, 0.5])
    bins = group_bins(groups, confidence=confidence, right=np.array([True, False, True, True, True]))
    low, high = bins["a"]
    assert (low.n, low.low, low.accuracy) == (1, 0.0, 1.0)  # 1/15 is the closed end of the first bin
    assert (high.n, high.confidence, high.accuracy) == (2, pytest.approx(0.91), 0.5)
    assert [part.n for part in bins["b"]] == [1]


def test_the_bins_add_up_to_the_calibration_error(make_predictions) -> None:
    predictions = make_predictions()
    confidence = predictions.probabilities.max(axis=1)
    right = predictions.predicted == predictions.labels
    for name, bins in group_bins(predictions.groups["tone"], confidence=confidence, right=right).items():
        rows = predictions.groups["tone"].ids == predictions.groups["tone"].names.index(name)
        edges = np.linspace(0, 1, 16)
        where = np.digitize(confidence[rows], edges, right=True)
        by_hand = (
            sum(abs((right[rows][where == k] - confidence[rows][where == k]).sum()) for k in range(1, 16)) / rows.sum()
        )
        assert sum(part.n * abs(part.accuracy - part.confidence) for part in bins) / rows.sum() == pytest.approx(
            by_hand
        )


def test_a_bin_of_few_images_is_faint_and_every_bin_is_said_in_words(make_predictions, make_audit_of) -> None:
    predictions = make_predictions(n=120)
    figures = calibration_figures(predictions, make_audit_of(predictions))
    assert [figure.attribute for figure in figures] == ["tone", "sex"]
    for plot in figures[0].plots:
        small = sum(part.n < 10 for part in plot.bins)
        assert plot.drawing.count('class="bar faint"') == small > 0
        assert all(part.says in plot.drawing.unescape() for part in plot.bins)
