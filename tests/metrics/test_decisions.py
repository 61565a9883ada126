"""Decisions of several labels in a predictions table, and what stands in a label's cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mindgap.core.errors import DataError, ShapeError
from mindgap.metrics.predictions import (
    MultiLabelPredictions,
    Predictions,
    multi_label_from_arrays,
    read_predictions,
    write_predictions,
)

TABLE = {
    "id": ["p", "q", "r", "s"],
    "sex": ["f", "m", "f", "m"],
    "label_Edema": [1, 0, 1, 0],
    "prob_Edema": [0.3, 0.1, 0.9, 0.2],
    "prediction_Edema": [1, 0, 1, 1],
}


def read(path: Path, **changes: object) -> Predictions:
    """The label of a table, of which some columns are changed or, if None, left out."""
    columns = {name: cells for name, cells in (TABLE | changes).items() if cells is not None}
    pd.DataFrame(columns).to_csv(path / "p.csv", index=False)
    found = read_predictions(path / "p.csv", attributes=("sex",))
    assert isinstance(found, MultiLabelPredictions)
    return found.by_label["Edema"]


def test_decisions_beside_probabilities_are_taken_as_they_stand(tmp_path: Path):
    edema = read(tmp_path)
    assert edema.predicted.tolist() == [1, 0, 1, 1]
    assert edema.probabilities is not None
    assert edema.probabilities[:, 1].tolist() == [0.3, 0.1, 0.9, 0.2]
    assert read(tmp_path, prediction_Edema=None).predicted.tolist() == [0, 0, 1, 0]


def test_decisions_alone_are_enough(tmp_path: Path):
    edema = read(tmp_path, prob_Edema=None)
    assert (edema.predicted.tolist(), edema.probabilities) == ([1, 0, 1, 1], None)


@pytest.mark.parametrize("words", [["1.0", "0.0", "1.0", "0.0"], ["True", "False", "true", "FALSE"]])
def test_answers_may_be_written_as_pandas_does(tmp_path: Path, words: list[str]):
    assert read(tmp_path, label_Edema=words).labels.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prediction_Edema": ["1", "", "0", "1"]}, "id 'q': prediction_Edema is empty"),
        ({"prediction_Edema": [1, 2, 0, 1]}, "id 'q': prediction_Edema is '2'; it must be 0 or 1"),
        ({"label_Hernia": [1, 0, 1, 0], "prediction_Hernia": [1] * 4}, "no column 'prob_Hernia'"),
        ({"label_Hernia": [1, 0, 1, 0], "prob_Edema": None}, "no column 'prob_Edema'"),
    ],
)
def test_decisions_that_are_not_whole_are_refused(tmp_path: Path, changes: dict, said: str):
    with pytest.raises(DataError, match=said):
        read(tmp_path, **changes)


def test_a_column_that_only_looks_like_a_decision_is_left_alone(tmp_path: Path):
    assert read(tmp_path, prediction_time=["", "3 s", "", "1 s"]).n == 4


def test_labels_without_a_decision_are_cut_at_half(tmp_path: Path):
    table = TABLE | {"label_Hernia": [1, 0, 1, 0], "prob_Hernia": [0.6, 0.5, 0.4, 0.9]}
    pd.DataFrame(table).to_csv(tmp_path / "p.csv", index=False)
    found = read_predictions(tmp_path / "p.csv", attributes=("sex",))
    assert isinstance(found, MultiLabelPredictions)
    assert found.by_label["Hernia"].predicted.tolist() == [1, 0, 0, 1]
    assert found.by_label["Edema"].predicted.tolist() == [1, 0, 1, 1]


HERNIA = {"label_Hernia": [1, 0, 1, 0], "prob_Hernia": [0.6, 0.4, 0.4, 0.9]}


@pytest.mark.parametrize(
    ("left_out", "more"),
    [(None, {}), ("prob_Edema", {}), ("prediction_Edema", {}), (None, HERNIA), ("prediction_Edema", HERNIA)],
)
def test_decisions_come_back_from_a_written_table(tmp_path: Path, left_out: str | None, more: dict):
    columns = {name: cells for name, cells in (TABLE | more).items() if name != left_out}
    pd.DataFrame(columns).to_csv(tmp_path / "a.csv", index=False)
    first = read_predictions(tmp_path / "a.csv", attributes=("sex",))
    write_predictions(tmp_path / "b.parquet", first)
    names = set(pd.read_parquet(tmp_path / "b.parquet").columns) - {"cluster"}
    assert names == set(columns)
    again = read_predictions(tmp_path / "b.parquet", attributes=("sex",))
    assert isinstance(first, MultiLabelPredictions)
    assert isinstance(again, MultiLabelPredictions)
    assert again.by_label["Edema"].predicted.tolist() == first.by_label["Edema"].predicted.tolist()


def test_arrays_of_other_shapes_or_of_nothing_are_refused():
    labels = np.array([[1], [0]])
    with pytest.raises(ShapeError, match="predicted labels"):
        multi_label_from_arrays(labels, None, label_names=["x"], predicted=np.zeros((2, 2)))
    with pytest.raises(ShapeError, match="neither"):
        multi_label_from_arrays(labels, None, label_names=["x"])
