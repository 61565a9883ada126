"""The predictions table: what is read verbatim, and every refusal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mindgap.core.errors import DataError
from mindgap.metrics.predictions import (
    read_predictions,
)

GOOD = {
    "id": ["p", "q", "r", "s"],
    "label": ["mel", "nv", "nv", "mel"],
    "prob_nv": ["0.2", "0.7", "0.5", "1"],
    "prob_mel": ["0.8", "0.3", "0.5", "0"],
    "sex": ["female", "male", "", "female"],
    "cluster": ["L1", "L1", "", ""],
}


@pytest.fixture
def table(tmp_path):
    """Writes columns as a CSV file and gives its path."""

    def write(columns=GOOD, **changes):
        path = tmp_path / "predictions.csv"
        merged = {name: cells for name, cells in (columns | changes).items() if cells is not None}
        pd.DataFrame(merged).to_csv(path, index=False)
        return path

    return write


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        read_predictions(path, **{"attributes": ("sex",), **options})
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(f"{path}: ")


def test_a_table_is_read(table):
    found = read_predictions(table(), attributes=("sex",))
    assert found.ids.tolist() == ["p", "q", "r", "s"]
    assert found.classes == ("nv", "mel")
    assert found.labels.tolist() == [1, 0, 0, 1]
    assert found.predicted.tolist() == [1, 0, 0, 0]
    assert found.groups["sex"].names == ("female", "male")
    assert found.groups["sex"].ids.tolist() == [0, 1, -1, 0]
    assert found.clusters[0] == found.clusters[1]
    assert len(set(found.clusters.tolist())) == 3


def test_names_are_text_verbatim(table):
    path = table(label=["1", "1.0", "NA", "None"], prediction=["1", "1.0", "NA", "None"], prob_nv=None, prob_mel=None,
                 sex=["NA", "1", "1.0", "nan"])  # fmt: skip
    found = read_predictions(path, attributes=("sex",))
    assert found.classes == ("1", "1.0", "NA", "None")
    assert found.groups["sex"].names == ("1", "1.0", "NA", "nan")
    assert found.probabilities is None


def test_without_probabilities_the_classes_are_the_sorted_labels_and_predictions(table):
    found = read_predictions(table(prediction=["z", "nv", "nv", "a"], prob_nv=None, prob_mel=None), attributes=("sex",))
    assert found.classes == ("a", "mel", "nv", "z")
    assert found.predicted.tolist() == [3, 2, 2, 0]


def test_a_prediction_beside_probabilities_is_the_models_decision(table):
    found = read_predictions(table(prediction=["nv", "nv", "mel", "mel"]), attributes=("sex",))
    assert found.predicted.tolist() == [0, 0, 1, 1]


def test_parquet_integers_are_text_without_a_point(tmp_path):
    path = tmp_path / "predictions.parquet"
    frame = pd.DataFrame({"id": [1, 2, 3], "label": [0, 1, 1], "prediction": [0, 1, 0]})
    frame["site"] = pd.array([7, None, 8], dtype="Int64")
    frame["score"] = [0.5, np.nan, 2.0]
    frame.to_parquet(path)
    found = read_predictions(path, attributes=("site", "score"))
    assert found.ids.tolist() == ["1", "2", "3"]
    assert found.classes == ("0", "1")
    assert found.groups["site"].names == ("7", "8")
    assert found.groups["site"].ids.tolist() == [0, -1, 1]
    assert found.groups["score"].names == ("0.5", "2.0")
    assert found.groups["score"].ids.tolist() == [0, -1, 1]


def test_parquet_categories_and_truth_values_are_text(tmp_path):
    path = tmp_path / "predictions.parquet"
    frame = pd.DataFrame({"id": ["a", "b"], "label": pd.Categorical(["x", "y"]), "prediction": ["x", "x"]})
    frame["smoker"] = [True, False]
    frame.to_parquet(path)
    found = read_predictions(path, attributes=("smoker",))
    assert found.classes == ("x", "y")
    assert found.groups["smoker"].names == ("False", "True")


SPLIT = ["test", "train", "test", ""]


def test_the_test_split_is_read_unless_another_is_asked_for(table):
    path = table(split=SPLIT, sex=["female", "male", "male", "female"])
    assert read_predictions(path, attributes=("sex",)).ids.tolist() == ["p", "r"]
    assert read_predictions(path, attributes=("sex",), split="all").n == 4
    assert read_predictions(path, attributes=(), split="train").ids.tolist() == ["q"]


def test_rows_of_other_splits_are_not_judged(table):
    path = table(split=SPLIT, sex=["female", "male", "male", "female"], label=["mel", "odd", "nv", ""])
    assert read_predictions(path, attributes=("sex",)).n == 2


def test_a_missing_split_lists_those_there_are(table):
    assert refusal(table(split=["train"] * 4)) == (
        "no row has the split 'test'; there are 'train'; choose one of them or 'all'"
    )
    assert refusal(table(), split="test").startswith("no column 'split' for the choice of rows; ")


def test_the_cluster_column_may_have_another_name(table):
    path = table(cluster=None, lesion=["L1", "L1", "L2", ""])
    assert len(set(read_predictions(path, attributes=("sex",)).clusters.tolist())) == 4
    assert len(set(read_predictions(path, attributes=("sex",), cluster="lesion").clusters.tolist())) == 3
    assert refusal(path, cluster="lesions").startswith("no column 'lesions' for the clusters; did you mean 'lesion'?")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": ["mel", "nv", "nv", "bcc"]}, "id 's': label 'bcc' is no class; known: mel, nv"),
        ({"prediction": ["nv", "nw", "nv", "nv"]}, "id 'q': prediction 'nw' is no class; known: mel, nv"),
        ({"label": ["mel", "", "nv", "mel"]}, "id 'q': label is empty; every row needs one"),
        ({"prediction": ["", "nv", "nv", "nv"]}, "id 'p': prediction is empty; every row needs one"),
        ({"prob_nv": ["0.2", "", "0.5", "1"]}, "id 'q': prob_nv is empty or no number; probabilities must"),
        ({"prob_nv": ["0.2", "NaN", "0.5", "1"]}, "id 'q': prob_nv is empty or no number; probabilities must"),
        ({"prob_nv": ["0.2", "high", "0.5", "1"]}, "id 'q': prob_nv is empty or no number; probabilities must"),
        (
            {"prob_nv": ["0.2", "70", "0.5", "1"]},
            "id 'q': prob_nv is 70; probabilities must lie in [0, 1], so put logits",
        ),
        ({"prob_nv": ["0.2", "-0.1", "0.5", "1"]}, "id 'q': prob_nv is -0.1; probabilities must lie in [0, 1]"),
        ({"prob_nv": ["0.2", "inf", "0.5", "1"]}, "id 'q': prob_nv is inf; probabilities must lie in [0, 1]"),
        ({"prob_nv": ["0.2", "0.6", "0.5", "1"]}, "id 'q': probabilities sum to 0.9, not 1; normalise them"),
        ({"id": ["p", "q", "p", "s"]}, "id 'p' is there more than once; keep one row per id"),
        ({"id": None}, "no column 'id' for the row names; "),
        ({"label": None}, "no column 'label' and no label_<name>; "),
        (
            {"prob_nv": None, "prob_mel": None},
            "no prob_<class> column and no 'prediction'; known: cluster, id, label, sex",
        ),
        (
            {"prob_nv": None, "prob_mel": None, "Score": ["0.1"] * 4},
            "no prob_<class> column and no 'prediction'; if 'Score' is that of one of two classes, name it prob_1",
        ),
        ({"prob_nv": None}, "there is one class only ('mel'); a gap needs two classes to confuse; of two classes add"),
        ({"label": ["nv.0", "nv", "nv", "mel"]}, "id 'p': label 'nv.0' is no class; write nv, not nv.0"),
        (
            {"sex": ["female", "", "", "female"]},
            "attribute 'sex' has one group only ('female'); a gap needs two groups",
        ),
        ({"sex": ["", "", "", ""]}, "attribute 'sex' has no value; a gap needs two groups, leave it out"),
        ({"sex": None, "Sex": ["a", "b", "a", "b"]}, "no column 'sex' for the attribute; did you mean 'Sex'?"),
        ({"id": ["p", "q", "", "s"]}, "row 3: id is empty; every row needs one"),
        ({"prob_": ["0"] * 4}, "column 'prob_' names no class; call it prob_<class>"),
        (
            {"prob_nv": ["1"] * 4, "prob_mel": None, "label": ["nv"] * 4},
            "there is one class only ('nv'); a gap needs two classes to confuse; of two classes add the other's column",
        ),
        (
            {"prob_nv": None, "prob_mel": None, "label": ["nv"] * 4, "prediction": ["nv"] * 4},
            "there is one class only ('nv'); a gap needs two classes to confuse",
        ),
    ],
)
def test_a_table_is_refused_as_a_whole(table, changes, message):
    assert refusal(table(**changes)).startswith(message)


@pytest.mark.parametrize("name", ["id", "label", "prediction", "split", "prob_nv"])
def test_an_attribute_cannot_be_a_column_with_a_meaning(table, name):
    path = table(split=["test"] * 4, prediction=["nv", "mel", "nv", "mel"])
    assert refusal(path, attributes=("sex", name)) == (
        f"{name!r} is no attribute but a column of the predictions; choose a column that names groups"
    )


def test_sums_may_be_off_by_a_thousandth_and_rounding(table):
    found = read_predictions(table(prob_mel=["0.801", "0.299", "0.501", "0"]), attributes=())
    assert found.n == 4
    assert refusal(table(prob_nv=["0.2", "0.7", "0.5011", "1"])).startswith("id 'r': probabilities sum to 1.0011")


def test_a_label_that_is_not_a_number_is_refused_without_probabilities(table):
    path = table(label=["nan", "nv", "nv", "mel"], prediction=["nv"] * 4, prob_nv=None, prob_mel=None)
    assert refusal(path).startswith("id 'p': label 'nan' is no class; ")


def test_no_rows_are_refused(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text("id,label,prediction,sex\n")
    assert refusal(path) == "the table has no rows; give at least one prediction"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the table has no columns; its first line must name them"),
        (b"id,label,label\n1,a,b\n", "column 'label' is there twice; keep one"),
        (b"id,label,sex,prediction\n1,a,f,a,9,9\n", "not a table ("),
        (b"id,label,sex,prediction\n\xff\xfe,b,f,b\n", "not a table (it is not in UTF-8); "),
    ],
)
def test_a_broken_file_is_refused(tmp_path, content, message):
    path = tmp_path / "predictions.csv"
    path.write_bytes(content)
    assert refusal(path).startswith(message)


def test_a_missing_file_and_a_false_parquet_file_are_refused(tmp_path):
    assert refusal(tmp_path / "no.csv") == "cannot read the table (No such file or directory); check the path"
    false = tmp_path / "false.parquet"
    false.write_text("id,label\n")
    assert refusal(false).startswith("not a table (")


def test_a_short_row_has_empty_cells(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text("\ufeffid,label,prediction,sex,site\n1,a,a,f,x\n2,b,b,m\n3,a,b,f,y\n", encoding="utf-8")
    found = read_predictions(path, attributes=("site",))
    assert found.groups["site"].ids.tolist() == [0, -1, 1]


MULTI = {
    "id": ["p", "q", "r"],
    "label_red": ["1", "0", "1"],
    "label_raised": ["0", "0", "1"],
    "prob_red": ["0.9", "0.6", "0.5"],
    "prob_raised": ["0.1", "0.2", "0.9"],
    "sex": ["f", "m", "f"],
}


def test_a_multi_label_table_is_read_at_threshold_one_half(table):
    found = read_predictions(table(MULTI), attributes=("sex",))
    assert found.label_names == ("red", "raised")
    assert found.by_label["red"].labels.tolist() == [1, 0, 1]
    assert found.by_label["red"].predicted.tolist() == [1, 1, 0]
    assert found.by_label["raised"].groups["sex"].names == ("f", "m")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_red": ["1", "yes", "0"]}, "id 'q': label_red is 'yes'; it must be 0 or 1"),
        ({"label_red": ["1", "", "0"]}, "id 'q': label_red is empty; every row needs one"),
        ({"prob_red": None}, "no column 'prob_red' for the probability of 'red'; "),
        ({"prob_red": ["0.9", "1.5", "0.1"]}, "id 'q': prob_red is 1.5; probabilities must lie in [0, 1]"),
        (
            {"prob_hairy": ["0.9", "0.5", "0.1"]},
            "column 'prob_hairy' has no 'label_hairy'; add its labels or leave it out",
        ),
        ({"label_": ["1", "0", "1"]}, "column 'label_' names no label; call it label_<name>"),
    ],
)
def test_a_multi_label_table_is_refused_as_a_whole(table, changes, message):
    assert refusal(table(MULTI, **changes)).startswith(message)
