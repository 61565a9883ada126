"""Columns of other tables beside predictions: matched by id, and nothing dropped or guessed."""

from __future__ import annotations

import pandas as pd
import pytest

from mindgap.core.errors import DataError
from mindgap.data.image_files import ImageFiles
from mindgap.metrics.predictions_table import read_columns
from mindgap.metrics.table_file import open_table
from mindgap.metrics.table_join import join, open_side_tables

PREDICTIONS = {"id": ["p", "q", "r"], "label": ["a", "b", "a"], "prediction": ["a", "b", "b"], "sex": ["f", "m", ""]}


@pytest.fixture
def joined(tmp_path):
    """Writes predictions and metadata, joins columns, and gives the table."""

    def run(*tables, columns, predictions=PREDICTIONS, key="image"):
        pd.DataFrame(predictions).to_csv(tmp_path / "predictions.csv", index=False)
        paths = [tmp_path / f"m{k}.csv" for k in range(len(tables))]
        for path, table in zip(paths, tables, strict=True):
            pd.DataFrame(table).to_csv(path, index=False)
        source = str(tmp_path / "predictions.csv")
        table = read_columns(open_table(source), [name for name in ("sex",) if name in predictions], source=source)
        for side in open_side_tables(paths, key=key):
            table = join(table, side, {name: there for name, there in columns.items() if there in side.names})
        return table

    return run


def refusal(joined, tmp_path, *tables, **options):
    with pytest.raises(DataError) as caught:
        joined(*tables, **options)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_columns_come_by_id_and_rows_that_no_id_names_are_left_out(joined):
    metadata = {"image": ["r", "z", "p", "q", ""], "age": ["30", "9", "10", "", "1"]}
    assert joined(metadata, columns={"age": "age"}).text("age").to_pylist() == ["10", "", "30"]


def test_a_column_may_have_another_name_there(joined):
    table = joined({"image": ["p", "q", "r"], "patient": ["1", "1", "2"]}, columns={"cluster": "patient"})
    assert table.text("cluster").to_pylist() == ["1", "1", "2"]


def test_files_of_the_same_columns_are_stacked_and_others_joined(joined):
    upper, lower = {"image": ["p", "q"], "age": ["10", "20"]}, {"age": ["30"], "image": ["r"]}
    other = {"image": ["p", "q", "r"], "site": ["x", "y", "x"]}
    table = joined(upper, lower, other, columns={"age": "age", "site": "site"})
    assert table.text("age").to_pylist() == ["10", "20", "30"]
    assert table.text("site").to_pylist() == ["x", "y", "x"]


def test_names_of_image_files_match_with_and_without_their_ending(joined):
    predictions = PREDICTIONS | {"id": ["p.jpg", "q.PNG", "r"]}
    metadata = {"image": ["p", "q", "r.jpeg"], "age": ["1", "2", "3"]}
    assert joined(metadata, predictions=predictions, columns={"age": "age"}).text("age").to_pylist() == ["1", "2", "3"]


def test_endings_are_not_taken_off_where_two_rows_would_become_one(joined, tmp_path):
    predictions = PREDICTIONS | {"id": ["p", "q", "r"]}
    metadata = {"image": ["p.jpg", "p.png", "q", "r"], "age": ["1", "2", "3", "4"]}
    said = refusal(joined, tmp_path, metadata, predictions=predictions, columns={"age": "age"})
    assert said.startswith("m0.csv: 1 of 3 predictions have no row there, the first is id 'p'; ")


def of_folder(folder, *paths):
    """Predictions whose ids are those of a folder of images."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    files = ImageFiles(folder)
    return PREDICTIONS | {"id": [files.name(path) for path in paths]}


@pytest.mark.parametrize("listed", ["gray", "gray.png"])
def test_two_images_of_one_stem_do_not_share_a_row(joined, tmp_path, listed):
    predictions = of_folder(tmp_path / "two", "gray.jpg", "gray.png", "plain.png")
    metadata = {"image": [listed, "plain"], "age": ["1", "2"]}
    said = refusal(joined, tmp_path, metadata, predictions=predictions, columns={"age": "age"})
    assert said == (
        f"m0.csv: predictions 'gray.jpg' and 'gray.png' would both take the row of image {listed!r}; "
        "write the file names with suffix there"
    )


@pytest.mark.parametrize(
    "paths", [("gray.jpg", "gray.png", "plain.png"), ("x/a.png", "x/y/a.png", "plain.png"), ("b.jpg", "b.jpg.png", "c")]
)
def test_the_true_file_names_of_a_folder_match(joined, tmp_path, paths):
    predictions = of_folder(tmp_path / "images", *paths[:2], f"{paths[2].partition('.')[0]}.png")
    metadata = {"image": list(paths[::-1]), "age": ["3", "2", "1"]}
    assert joined(metadata, predictions=predictions, columns={"age": "age"}).text("age").to_pylist() == ["1", "2", "3"]


def test_the_predictions_keep_a_column_that_both_have_and_that_is_equal(joined):
    metadata = {"image": ["q", "p", "r"], "sex": ["m", "f", ""]}
    assert joined(metadata, columns={"sex": "sex"}).text("sex").to_pylist() == ["f", "m", ""]


@pytest.mark.parametrize(
    ("metadata", "columns", "message"),
    [
        (
            {"image": ["q", "p"], "age": ["1", "2"]},
            {"age": "age"},
            "m0.csv: 1 of 3 predictions have no row there, the first is id 'r'; ids there are such as 'q'",
        ),
        (
            {"image": ["", "", ""], "age": ["1", "2", "3"]},
            {"age": "age"},
            "m0.csv: 3 of 3 predictions have no row there, the first is id 'p'; there are no ids there",
        ),
        (
            {"image": ["p", "q", "r", "q"], "age": ["1", "2", "3", "4"]},
            {"age": "age"},
            "m0.csv: image 'q' is there more than once; keep one row per id",
        ),
        (
            {"image": ["p", "q", "r"], "gender": ["f", "m", "m"]},
            {"sex": "gender"},
            "predictions.csv: id 'r': sex is '', but gender is 'm' in m0.csv; mend one, or take the column out of one",
        ),
        (
            {"name": ["p", "q", "r"], "age": ["1", "2", "3"]},
            {"age": "age"},
            "m0.csv: no column 'image' for the ids (--id); did you mean 'age'? known: age, name",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused_as_a_whole(joined, tmp_path, metadata, columns, message):
    assert refusal(joined, tmp_path, metadata, columns=columns) == message


def test_two_tables_that_differ_over_a_column_are_refused(joined, tmp_path):
    one, two = (
        {"image": ["p", "q", "r"], "age": ["1", "2", "3"]},
        {"image": ["p", "q", "r"], "age": ["1", "2", "4"], "x": [""] * 3},
    )
    assert "id 'r': age is '3', but age is '4' in m1.csv" in refusal(joined, tmp_path, one, two, columns={"age": "age"})
