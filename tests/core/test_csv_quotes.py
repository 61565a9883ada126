"""Quotes that would swallow rows of a CSV file."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgap.core.csv_quotes import check_quotes
from mindgap.core.errors import DataError


def table(tmp_path, *lines):
    path = tmp_path / "t.csv"
    path.write_text("\n".join(("id,note", *lines)) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "lines",
    [
        ("a,x", 'b,"ruler', "c,x", 'd,"ruler', "e,x"),  # the second quote closes the first one
        ("a,x", 'b,"ruler', "c,x"),  # never closed
        ("a,x", 'b,"ruler', 'c,"x"'),
    ],
)
def test_a_quote_that_swallows_rows_is_refused_with_its_line(tmp_path, lines):
    with pytest.raises(DataError, match="a quote that line 3 opens is not closed before other text or the end"):
        check_quotes(table(tmp_path, *lines))


@pytest.mark.parametrize(
    "lines",
    [
        ("a,x",),
        ('a,"x, y"', 'b,"two\nlines"', 'c,"a ""word"""'),
        ('a,"x" y', 'b,5" lesion'),  # odd, and in one line
        ('"a";"x"',),
        ('a,"' + "long\n" * 40_000 + '"', "b,x"),
    ],
)
def test_what_swallows_nothing_is_let_be(tmp_path, lines):
    check_quotes(table(tmp_path, *lines))


@given(st.lists(st.lists(st.text(max_size=6), min_size=2, max_size=3), min_size=1, max_size=6))
def test_what_a_csv_writer_wrote_is_never_refused(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("quotes") / "t.csv"
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file).writerows(
            [[cell.encode("utf-8", "replace").decode().replace("\0", "") for cell in row] for row in rows]
        )
    check_quotes(path)
