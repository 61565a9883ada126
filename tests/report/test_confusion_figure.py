"""Tables of confusion hold every row once, as counts and as shares of their true class."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.groups import Groups
from mindgap.metrics.counts import GroupCounts
from mindgap.metrics.predictions import predictions_from_arrays
from mindgap.report.confusion_figure import confusion_figures, merge_rare_classes


def test_cells_by_hand() -> None:
    predictions = predictions_from_arrays(
        [0, 0, 0, 1], classes=("a", "b", "c"), predicted=[0, 0, 1, 1],
        groups={"sex": Groups("sex", ("f", "m"), np.array([0, 0, 0, 1]))},
    )  # fmt: skip
    (figure,) = confusion_figures(predictions, {"attributes": {"sex": {}}})
    assert [table.title for table in figure.tables] == ["All images of known sex", "f", "m"]
    a, b, _ = figure.tables[1].rows
    assert [(cell.n, cell.share) for cell in a.cells] == [
        (2, pytest.approx(2 / 3)),
        (1, pytest.approx(1 / 3)),
        (0, 0.0),
    ]
    assert [cell.shade for cell in a.cells] == [6, 3, 0]
    assert [cell.right for cell in a.cells] == [True, False, False]
    assert [cell.share for cell in b.cells] == [None] * 3  # f has no image of b: unknown, not 0


def test_merged_classes_lose_no_row() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (2, 30, 30)).astype(float)
    merged, said = merge_rare_classes(GroupCounts(counts, ("f", "m"), tuple(f"c{k}" for k in range(30))), most=20)
    assert merged.counts.shape == (2, 20, 20)
    assert merged.counts.sum() == counts.sum()
    assert merged.classes[-1] == "11 other classes"
    kept = [int(name[1:]) for name in merged.classes[:-1]]
    assert np.array_equal(merged.counts[:, :19, :19], counts[:, kept][:, :, kept])
    assert "the other 11 are one row and column" in said
    assert merge_rare_classes(merged, most=20) == (merged, "")
