"""Files that are damaged, strange or hostile: the right answer, or one line in seconds with little memory."""

from __future__ import annotations

import gzip
import os
import zipfile
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.core.errors import DataError
from mindgap.metrics.csv_table import CsvTable
from mindgap.metrics.predictions import read_predictions
from mindgap.metrics.table_file import open_table

TEXT = "id,label,prob_a,prob_b,sex\np,a,0.25,0.75,f\nq,b,0.5,0.5,m\nr,a,1,0,f\n"


@pytest.fixture
def write(tmp_path):
    """Writes bytes or text as a file and gives its path."""

    def write(content, name="predictions.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refusal(path, attributes=("sex",)):
    with pytest.raises(DataError) as caught:
        read_predictions(path, attributes=attributes)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def is_read(path):
    found = read_predictions(path, attributes=("sex",))
    np.testing.assert_array_equal(found.probabilities, [[0.25, 0.75], [0.5, 0.5], [1, 0]])
    assert (found.ids.tolist(), found.classes) == (["p", "q", "r"], ("a", "b"))
    assert (found.labels.tolist(), found.groups["sex"].ids.tolist()) == ([0, 1, 0], [0, 1, 0])


@pytest.mark.parametrize(
    "text",
    [
        TEXT.encode("utf-8-sig"),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        TEXT.replace(",", ";"),
        TEXT.replace(",", "\t"),
        TEXT.replace(",", ";").replace(".", ","),
        TEXT.removesuffix("\n"),
        "\n\n" + TEXT.replace("\n", "\n\n"),
        TEXT.replace("f\n", '"f"\n'),
        TEXT.replace("p,a,0.25,0.75,f", "p,a, 0.25 ,7.5e-1,f"),
        "\n".join(f"{k},{line}" if k else f",{line}" for k, line in enumerate(TEXT.splitlines())),
        "\n".join(f"{line},," for line in TEXT.splitlines()),
        TEXT.replace("f\n", "f,,\n"),
        TEXT.replace("sex\n", "sex,note\n").replace("r,a,1,0,f\n", 'r,a,1,0,f,"one\ntwo, ""three"""\n'),
        TEXT.encode().replace(b"sex\n", b"sex,note\n").replace(b"f\n", b"f,caf\xe9\n"),
    ],
    ids=[
        "byte-order mark", "Windows line ends", "old Mac line ends", "semicolons", "tabs", "decimal commas",
        "no last line end", "blank lines", "quotes", "blanks and exponents", "index of pandas", "columns without names",
        "empty surplus cells", "line ends in a cell", "another encoding in a column that is not read",
    ],
)  # fmt: skip
def test_variants_of_csv_give_the_same_predictions(write, text):
    is_read(write(text))


def test_a_parquet_file_is_known_by_its_contents(tmp_path, write):
    pd.read_csv(write(TEXT)).to_parquet(tmp_path / "named.csv")
    is_read(tmp_path / "named.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the table has no columns; its first line must name them"),
        (b"\n\n", "the table has no columns; its first line must name them"),
        (b"\xef\xbb\xbf", "the table has no columns; its first line must name them"),
        (b"id,label,prob_a,prob_b,sex\n", "the table has no rows; give at least one prediction"),
        (TEXT.encode("utf-16"), "is in UTF-16; save it as CSV UTF-8"),
        (TEXT.encode("utf-16-le"), "not a table (it holds NUL bytes); "),
        (gzip.compress(TEXT.encode(), mtime=0), "is compressed by gzip; unpack it first"),
        (b"PK\x03\x04 and more", "is a ZIP archive, as Excel workbooks are; "),
        (TEXT.encode().replace(b"q,b", b"q,\xff"), "not a table (it is not in UTF-8); "),
        (TEXT.encode().replace(b"sex", b"s\xe9x"), "not a table (it is not in UTF-8); "),
        (TEXT.replace("q,b,0.5,0.5,m", "q,b,0.5").encode(), "not a table (line 3 has 3 cells under a header of 5)"),
        (TEXT.replace("5,m", "5,m,x").encode(), "not a table (line 3 has 6 cells under a header of 5); put cells"),
        (TEXT.replace("p,a", '"p,a').encode(), "not a table (lines 2 to 4 are one row of 1 cells under a"),
        (TEXT.replace("p,a", '"p,a').encode() + TEXT.encode() * 3000, "not a table (line 2 begins a cell of over 13"),
        (b"<html><body>404</body></html>", "no column 'id' for the row names; known: <html><body>404</body></html>"),
        (b'[{"id": 1, "label": "a"}]', "no column 'id' for the row names; known: "),
        (b"{" + b"x" * (5 << 20), "not a table (no line end in its first 4 MiB); give a CSV file"),
        (b"a" * 200_000 + b",id\n1,2\n", "the table has no columns; "),
    ],
)  # fmt: skip
def test_what_is_no_table_is_one_line(write, content, message):
    assert refusal(write(content)).startswith(message)


def test_a_folder_a_device_and_a_file_of_another_user_are_one_line(tmp_path, write):
    assert refusal(tmp_path) == "a folder, not a table; give a file"
    assert refusal("/dev/zero") == "no ordinary file, not a table; give a file"
    path = write(TEXT)
    path.chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        assert refusal(path) == "cannot read the table (Permission denied); check the path"
    finally:
        os.seteuid(os.getuid())


def test_a_workbook_is_told_from_a_table(tmp_path):
    with zipfile.ZipFile(tmp_path / "predictions.csv", "w") as book:
        book.writestr("xl/workbook.xml", "<workbook/>")
    assert refusal(tmp_path / "predictions.csv").startswith("is a ZIP archive")


@pytest.mark.parametrize("damage", ["cut off", "first bytes only", "overwritten"])
def test_a_damaged_parquet_file_is_one_line(tmp_path, write, damage):
    path = tmp_path / "predictions.parquet"
    pd.read_csv(write(TEXT)).to_parquet(path)
    whole = path.read_bytes()
    parts = {
        "cut off": whole[:-6],
        "first bytes only": whole[:4],
        "overwritten": whole[:200] + b"\xff" * 300 + whole[500:],
    }
    path.write_bytes(parts[damage])
    assert refusal(path)


def parquet(tmp_path, **changes):
    path = tmp_path / "predictions.parquet"
    columns = {"id": ["p", "q", "r"], "label": ["a", "b", "a"], "prob_a": [0.25, 0.5, 1.0], "prob_b": [0.75, 0.5, 0.0]}
    pq.write_table(pa.table(columns | {"sex": ["f", "m", "f"]} | changes), path)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"label": pa.array(["a", "b", "a"]).dictionary_encode(), "sex": pa.array(["f", "m", "f"]).dictionary_encode()},
        {"label": pa.array(["a", "b", "a"], pa.large_string()), "id": pa.array(["p", "q", "r"], pa.string_view())},
        {"prob_a": pa.array([0.25, 0.5, 1], pa.float32()), "prob_b": [Decimal("0.75"), Decimal("0.5"), Decimal(0)]},
        {"prob_a": ["0.25", "0.5", "1"], "embedding": [[1.0, 2.0], [3.0], []]},
        {"a.b": [1, 2, 3], "prob_a": [0.25, 0.5, 1.0], "sex.x": [[1], [2], [3]]},
    ],
    ids=["dictionaries", "large text", "other numbers", "numbers as text beside lists", "dots in names"],
)  # fmt: skip
def test_types_of_parquet_give_the_same_predictions(tmp_path, changes):
    is_read(parquet(tmp_path, **changes))


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (pa.array([Decimal("1.0"), Decimal("2.5"), None]), ("1.0", "2.5")),
        (pa.array([0, 86_400_000_000, None], pa.timestamp("us")), ("1970-01-01 00:00:00", "1970-01-02 00:00:00")),
        (pa.array([0, 1, None], pa.date32()), ("1970-01-01", "1970-01-02")),
        (pa.array([0.1, 2, None], pa.float32()), ("0.1", "2.0")),
        (pa.array([True, False, None]), ("False", "True")),
    ],
)
def test_groups_may_be_of_any_type_that_has_a_text(tmp_path, cells, names):
    found = read_predictions(parquet(tmp_path, sex=cells), attributes=("sex",))
    assert found.groups["sex"].names == names
    assert found.groups["sex"].ids[2] == -1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sex": [["f"], ["m"], ["f"]]}, "column 'sex' holds list<"),
        ({"label": [b"a", b"b", b"a"]}, "column 'label' holds binary, neither text nor numbers; "),
        ({"prob_a": pa.array([0, 1, 2], pa.timestamp("s"))}, "id 'p': prob_a is empty or no number; "),
        ({"prob_a": [0.25, None, 1.0]}, "id 'q': prob_a is empty or no number; "),
        ({"prob_a": [0.25, float("nan"), 1.0]}, "id 'q': prob_a is empty or no number; "),
        ({"prob_a": [0.25, float("inf"), 1.0]}, "id 'q': prob_a is inf; "),
        ({"label": ["a", None, "a"]}, "id 'q': label is empty; "),
        ({"sex": pa.nulls(3)}, "attribute 'sex' has no value; "),
    ],
)
def test_cells_of_parquet_that_cannot_be_what_they_should_are_refused(tmp_path, changes, message):
    assert refusal(parquet(tmp_path, **changes)).startswith(message)


HOSTILE = [
    "<script>alert(1)</script>",
    'qu"ote',
    "comma, inside",
    "line\nend",
    "🩺 emoji",
    "x" * 10_000,
    "'; --",
    "../a",
    " ",
]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_hostile_names_come_through_verbatim(tmp_path, suffix):
    path = tmp_path / f"predictions.{suffix}"
    n = len(HOSTILE)
    frame = pd.DataFrame(
        {"id": HOSTILE, "label": HOSTILE, "sex": HOSTILE} | {f"prob_{c}": np.eye(n)[k] for k, c in enumerate(HOSTILE)}
    )
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    found = read_predictions(path, attributes=("sex",))
    assert found.classes == tuple(HOSTILE)
    assert found.ids.tolist() == HOSTILE
    assert found.groups["sex"].names == tuple(sorted(HOSTILE))
    assert found.labels.tolist() == list(range(n))


def test_of_5000_columns_only_those_needed_are_read(write):
    names = [f"feature_{k}" for k in range(5000)]
    rows = [f"{line},{','.join(['0.125'] * 5000)}" for line in TEXT.splitlines()[1:]]
    path = write(TEXT.splitlines()[0] + "," + ",".join(names) + "\n" + "\n".join(rows))
    is_read(path)
    assert refusal(path, attributes=("feature",)).endswith(" and 4985 more")
    wide = (
        "id,label,sex," + ",".join(f"prob_{k}" for k in range(5000)) + "\np,1,f," + ",".join(["0.0002"] * 5000) + "\n"
    )
    assert refusal(write(wide), attributes=()).startswith("there are 5000 classes, such as '0' and '1'; an audit takes")


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.lists(st.text(st.sampled_from('ab1.,;"\n\r é'), max_size=4), min_size=2, max_size=2), min_size=1, max_size=6
    )
)
def test_the_fast_and_the_careful_reader_agree(rows, tmp_path_factory):
    import csv

    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["id", "x"], *rows])
    table = open_table(path)
    assert isinstance(table, CsvTable)
    fast = table._read_fast(["id", "x"], numbers=(), decimal_point=".")
    careful = table._read_row_by_row(["id", "x"], filled=("id",))
    assert [fast.text(name).to_pylist() for name in ("id", "x")] == [list(cells) for cells in zip(*rows, strict=True)]
    assert fast.columns.to_pydict() == careful.columns.to_pydict()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("p,a,0.2,0.8,f\nq,b,high,0.5\nr,a\n", "id 'q': prob_a is empty or no number; probabilities must lie in"),
        ("p,a,0.2,0.8,f\nr,a\nq,b,high,0.5\n", "not a table (line 3 has 2 cells under a header of 5)"),
        ("p,a,0.2,0.8,f\n,b,0.5,high,m\n", "row 2: prob_b is empty or no number; probabilities must lie in"),
        (f"p,a,{'x' * 9999},0.8,f\n", "id 'p': prob_a is empty or no number; probabilities must lie in [0, 1], not 'x"),
    ],
)  # fmt: skip
def test_the_first_faulty_row_is_the_one_that_is_named(write, rows, message):
    found = refusal(write("id,label,prob_a,prob_b,sex\n" + rows))
    assert found.startswith(message)
    assert len(found) < 200


def test_a_word_for_a_probability_in_a_split_that_is_not_judged_is_no_fault(write):
    rows = [f"{line},test" for line in TEXT.splitlines()[1:]]
    is_read(write("\n".join([TEXT.splitlines()[0] + ",split", "s,a,none,none,f,train", *rows])))


def test_numbers_that_are_read_row_by_row_are_those_of_before(write):
    is_read(write(TEXT.replace("sex\n", "sex,note\n").replace("p,a,0.25,0.75,f", "p,a, 0.25 ,7.5e-1,f,x")))
