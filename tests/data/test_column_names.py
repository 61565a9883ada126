from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.data.column_names import MARKS, column_meant, columns_instead, nameable, to_rename, with_names

QUICK = settings(deadline=None, derandomize=True, max_examples=200)


def test_the_exact_name_comes_before_one_with_blanks():
    assert column_meant("sex", ["sex ", "sex"]) == "sex"
    assert column_meant("sex", ["sex ", "age"]) == "sex "
    assert column_meant("sex", ["sex ", " sex"]) is None
    assert column_meant("sex", ["se x"]) is None


def test_columns_go_by_the_names_that_mean_them_and_others_stay():
    table = pd.DataFrame([["f", "x", "1", "2"]], columns=["Sex ", " site", "age ", "age"])
    assert list(with_names(table, ["Sex", "age", "none"]).columns) == ["Sex", " site", "age ", "age"]


def test_a_name_that_may_be_written_is_advised_without_blanks():
    assert columns_instead("sx", ["sex ", "id"]) == "did you mean 'sex'? known: id, sex"
    assert to_rename("sx", ["sex ", "id"]) == ""


@QUICK
@given(st.lists(st.text("ab ,:*", min_size=1, max_size=5), max_size=5, unique=True), st.text("ab", min_size=1))
def test_what_is_advised_means_a_column(names, name):
    for other in nameable(names):
        assert column_meant(other, names) is not None
        assert other == other.strip()
        assert not set(MARKS) & set(other)
    if column_meant(name, names) is None:
        assert name not in nameable(names)
        assert f"did you mean {name!r}" not in columns_instead(name, names)
