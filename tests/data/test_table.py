from __future__ import annotations

import pandas as pd
import pytest

from mindgap.core.errors import ConfigError, DataError, UnknownNameError
from mindgap.data.table import join_tables, numbered, read_table


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_cells_are_text_verbatim_and_only_an_empty_one_is_missing(write):
    table = read_table(write("id,x\n001,NA\n1.0,\n,null\n"))
    assert table["id"].tolist()[:2] == ["001", "1.0"]
    assert table["x"].tolist()[::2] == ["NA", "null"]
    assert table.isna().to_numpy().tolist() == [[False, False], [False, True], [True, False]]


def test_more_cells_than_columns_are_allowed_where_they_are_empty(write):
    for text in ("id,x\n1,a,\n2,b,\n", "id,x\n1,a\n2,b,, \n", 'id,x\n1,a,""\n\n2,b\n'):
        assert read_table(write(text)).to_dict("list") == {"id": ["1", "2"], "x": ["a", "b"]}


def test_one_column_is_a_table(write):
    assert read_table(write("id\na;b\n")).to_dict("list") == {"id": ["a;b"]}


def test_a_byte_order_mark_is_not_part_of_a_name(write):
    assert list(read_table(write(b"\xef\xbb\xbfid,x\n1,2\n")).columns) == ["id", "x"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "empty"),
        (b'a,b\n1,2,3,4\n1,2\n"x', "not a CSV"),
        (b'a,b\n1,2\n"x', "not a CSV"),
        (b"a,b\n1,2,3\n4,5,6\n", "line 2 has 3 cells under a header of 2; put cells that hold a comma in quotes"),
        (b"a,b\n1,2\n4,5,6\n", "line 3 has 3 cells under a header of 2"),
        (b"a,b\n1,2,\n4,5,,6\n", "line 3 has 4 cells under a header of 2"),
        (b"a;b\n1;2\n", "only column is 'a;b'; separate the columns with commas"),
        (b"a;b\n1,5;2,5\n", "separate the columns with commas"),
        (b"a\tb\n1\t2\n", "separate the columns with commas"),
        (b"a\n\xff\xfe\n", "not a CSV"),
        (b"a,a\n1,2\n", "'a' is there twice"),
    ],
)
def test_what_is_not_a_table_is_refused_in_one_line(write, text, said):
    with pytest.raises(DataError, match=said) as error:
        read_table(write(text))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"cannot read the table .*check --metadata"):
        read_table(tmp_path / "none.csv")


def join(write, *texts, key="id"):
    paths = [write(text, f"{number}.csv") for number, text in enumerate(texts)]
    return join_tables([(path, read_table(path)) for path in paths], key=key)


def test_tables_with_the_same_columns_are_stacked(write):
    assert join(write, "id,x\n1,a\n", "x,id\nb,2\n").to_dict("list") == {"id": ["1", "2"], "x": ["a", "b"]}


def test_other_tables_are_joined_on_the_id_and_rows_of_the_first_stay(write):
    table = join(write, "id,x\n1,a\n2,b\n3,c\n", "id,y,x\n3,C,c\n1,A,a\n9,Z,z\n")
    assert table["id"].tolist() == ["1", "2", "3"]
    assert table["x"].tolist() == ["a", "b", "c"]
    assert table["y"].fillna("-").tolist() == ["A", "-", "C"]


def test_tables_that_cannot_be_joined_are_refused(write):
    with pytest.raises(DataError, match="'1' comes twice"):
        join(write, "id,x\n1,a\n", "id,y\n1,A\n1,B\n")
    with pytest.raises(UnknownNameError, match="did you mean 'id_'"):
        join(write, "id,x\n1,a\n", "id_,y\n1,A\n")
    with pytest.raises(ConfigError, match="--id"):
        join(write, "id,x\n1,a\n", "id,y\n1,A\n", key=None)
    with pytest.raises(DataError, match=r"none of its id is in the tables before it \('1' here, 'nv/1' there\)"):
        join(write, "id,x\nnv/1,a\n", "id,y\n1,A\n2,B\n")
    with pytest.raises(DataError, match="nothing here, '1' there"):
        join(write, "id,x\n1,a\n", "id,y\n,A\n")
    with pytest.raises(ConfigError, match="no metadata"):
        join_tables([], key="id")


def test_a_joined_table_may_repeat_a_column_and_not_contradict_it(write):
    first = "id,label,sex\na,x,f\nb,y,\nc,y,m\n"
    assert join(write, first, "id,sex,skin\na,f,1\nb,m,2\n")["skin"].tolist()[:2] == ["1", "2"]
    with pytest.raises(DataError, match="sex of id 'c' is 'f', and 'm' in a table before it"):
        join(write, first, "id,sex,skin\na,f,1\nc,f,2\n")


def test_a_quote_that_swallows_rows_is_refused(write):
    with pytest.raises(DataError, match="a quote that line 2 opens is not closed"):
        read_table(write('id,note,label\na,"ruler,x\nb,n,y\nc,"ruler,x\n'))


def test_words_are_numbered_in_the_order_given():
    assert numbered(pd.Series(["b", None, "z", "a"], dtype="str"), ("a", "b")).tolist() == [1, -1, -1, 0]


def test_parquet_is_named_as_what_it_is(tmp_path):
    pd.DataFrame({"image_id": ["a", "b"], "dx": ["x", "y"]}).to_parquet(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"t\.csv: is a Parquet file; save the table as UTF-8 CSV"):
        read_table(tmp_path / "t.csv")
