from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError, DataError, UnknownNameError
from mindgap.data.attribute import parse_attributes, usable_groups

QUICK = settings(deadline=None, derandomize=True, max_examples=60)


def grouped(spec: str, **columns):
    return parse_attributes(spec)[-1].groups(pd.DataFrame(columns, dtype="str"))


def named(result):
    names = [*result.groups.names, None]
    return [names[i] for i in result.groups.ids]


def test_categories_are_sorted_text_and_only_an_empty_cell_is_missing():
    result = grouped("x", x=["b", "a", None, "NA", "1.0", "1"])
    assert result.groups.names == ("1", "1.0", "NA", "a", "b")
    assert named(result) == ["b", "a", None, "NA", "1.0", "1"]


def test_bands_are_half_open_and_the_last_is_closed():
    result = grouped("age:bands=0/30/60/120", age=["0", "29.9", "30", "59", "60", "120", "120.1", "-1", None])
    assert named(result) == ["0-30", "0-30", "30-60", "30-60", "60-120", "60-120", None, None, None]
    assert result.out_of_range == 2
    assert result.groups.attribute == "age"


def test_a_word_in_a_banded_column_is_out_of_range():
    result = grouped("age:bands=0/30/60", age=["10", "unknown", "nan", "inf", "40", None])
    assert named(result) == ["0-30", None, None, None, "30-60", None]
    assert result.out_of_range == 3


def test_a_band_nobody_is_in_is_named_apart():
    result = grouped("age:bands=0/10/20/30", age=["5", "25"])
    assert result.groups.names == ("0-10", "20-30")
    assert result.empty == ("10-20",)
    assert result.groups.ids.tolist() == [0, 1]


def test_quantiles_have_equal_counts_where_values_differ():
    result = grouped("ita:quantiles=5", ita=[str(value) for value in range(100)])
    assert result.groups.names == ("q1", "q2", "q3", "q4", "q5")
    assert result.groups.counts().tolist() == [20] * 5
    assert named(result)[:20] == ["q1"] * 20


def test_an_intersection_uses_the_bands_declared_beside_it():
    result = grouped("sex,age:bands=0/30/60,sex*age", sex=["f", "m", "f", None], age=["5", "40", "50", "5"])
    assert result.groups.attribute == "sex*age"
    assert named(result) == ["f*0-30", "m*30-60", "f*30-60", None]
    assert result.empty == ("m*0-30",)
    assert grouped("sex*age:bands=0/30/60", sex=["f"], age=["5"]).groups.names == ("f*0-30",)


def test_an_intersection_counts_a_row_out_of_range_once():
    result = grouped("a:bands=0/1,b:bands=0/1,a*b", a=["5", "0", "5"], b=["5", "5", "0"])
    assert result.out_of_range == 3


def test_values_that_differ_by_outer_blanks_only_are_refused():
    said = r"^attribute 'x': 'female' and 'female ' differ by blanks only; clean the column$"
    for spec in ("x", "x*y"):
        with pytest.raises(DataError, match=said):
            grouped(spec, x=["male", "female ", "female", None], y=["a", "b", "a", "b"])


def test_outer_blanks_that_collide_with_nothing_are_kept_and_numbers_are_cut_without_them():
    assert grouped("x", x=["male", " female", "fe male", None]).groups.names == (" female", "fe male", "male")
    assert named(grouped("age:bands=0/30/60", age=["10", "10 ", " 40"])) == ["0-30", "0-30", "30-60"]


def test_two_groups_of_an_intersection_that_would_have_one_name_are_refused():
    said = (
        r"attribute 'u\*v': the groups \(u='a', v='b\*c'\) and \(u='a\*b', v='c'\) would both be named 'a\*b\*c'; "
        r"rename the values that hold a '\*'$"
    )
    with pytest.raises(DataError, match=said):
        grouped("u*v", u=["a", "a*b", "a"], v=["b*c", "c", "c"])


def test_a_star_in_a_value_is_kept_where_it_makes_no_two_groups_alike():
    result = grouped("u*v", u=["a", "a*b", "a"], v=["b*c", None, "c"])
    assert named(result) == ["a*b*c", None, "a*c"]
    assert result.empty == ("a*b*b*c",)


@QUICK
@given(st.lists(st.tuples(*[st.sampled_from(["a", "b", "*", "a*b", "b*a", "a*"])] * 2), min_size=1, max_size=12))
def test_an_intersection_has_a_name_for_each_pair_of_values_or_is_refused(pairs):
    try:
        result = grouped("u*v", u=[u for u, _ in pairs], v=[v for _, v in pairs])
    except DataError:
        assert len({f"{u}*{v}" for u, v in pairs}) < len(set(pairs))
    else:
        assert len(set(result.groups.names)) == len(result.groups.names) == len(set(pairs))
        assert not set(result.empty) & set(result.groups.names)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty name"),
        ("sex,,age", "empty name"),
        ("sex*", "empty name"),
        ("sex,sex", "twice"),
        ("sex*sex", "twice"),
        ("age:band=0/1", "did you mean 'bands'"),
        ("age:bands=0", "rising"),
        ("age:bands=30/0", "rising"),
        ("age:bands=0/nan", "rising"),
        ("age:bands=a/b", "not numbers"),
        ("age:quantiles=1", "at least 2"),
        ("age:quantiles=x", "at least 2"),
    ],
)
def test_faulty_syntax_is_refused_in_one_line(text, said):
    with pytest.raises(ConfigError, match=said) as error:
        parse_attributes(text)
    assert "\n" not in str(error.value)


def test_a_missing_column_is_refused_with_the_near_name():
    with pytest.raises(UnknownNameError, match="did you mean 'sex'"):
        grouped("sexx", sex=["f"])


def test_a_header_with_outer_blanks_is_named_without_them():
    result = grouped("Sex ", **{" Sex ": ["f", "m"], "Sexes": ["x", "y"]})
    assert (result.groups.attribute, result.groups.names) == ("Sex", ("f", "m"))
    assert grouped("Sex", **{"Sex ": ["f", "m"], "Sex": ["x", "y"]}).groups.names == ("x", "y")


def test_a_colon_in_a_name_is_refused_with_what_to_do():
    said = (
        "^attribute 'Sex: at birth': no option ' at birth'; known: bands, quantiles; rename a column with a ':' in its "
        "name$"
    )
    with pytest.raises(ConfigError, match=said):
        parse_attributes("Sex: at birth")


@pytest.mark.parametrize(
    ("spec", "header", "said"),
    [
        ("Sex", "Sex, at birth", "rename the column 'Sex, at birth': with a ',' in its name it cannot be given here"),
        ("Sex", "Sex: at birth", "rename the column 'Sex: at birth': with a ':' in its name it cannot be given here"),
        ("Sex*age", "Sex*age", r"rename the column 'Sex\*age': with a '\*' in its name it cannot be given here"),
        ("Sex at birth", "Sex, at birth", "rename the column 'Sex, at birth': with a ','"),
    ],
)
def test_a_column_whose_name_cannot_be_written_is_to_be_renamed_and_never_advised(spec, header, said):
    with pytest.raises(UnknownNameError, match=f"^no column .* for the attribute; {said}.*; known: id$") as error:
        grouped(spec, **{header: ["f", "m"], "id": ["x", "y"]})
    assert "did you mean" not in str(error.value)


def test_of_two_columns_that_differ_by_blanks_none_is_taken_or_advised():
    said = r"^no column 'Sex' .*; rename one of the columns ' Sex' and 'Sex ': they differ by blanks only; known: id$"
    with pytest.raises(UnknownNameError, match=said):
        grouped("Sex", **{"Sex ": ["f", "m"], " Sex": ["f", "m"], "id": ["x", "y"]})


@pytest.mark.parametrize("spec", ["tone", "ita_degrees:quantiles=5", "sex*tone"])
def test_tone_before_it_was_measured_is_refused_with_the_verb_that_does(spec):
    with pytest.raises(UnknownNameError, match=r"exists only after `mindgap tone`") as error:
        grouped(spec, sex=["f"], one=["x"], true_tone=["dark"])
    assert "did you mean" not in str(error.value)


def test_tone_is_a_column_like_others_where_it_is_there():
    assert grouped("tone", tone=["dark", "light"]).groups.names == ("dark", "light")


def test_a_group_for_every_image_is_refused():
    with pytest.raises(
        DataError, match=r"'age' makes a group of each image, 3 groups such as '10'.*age:bands="
    ) as error:
        usable_groups(grouped("age", age=["10", "20", "30", None]))
    assert "\n" not in str(error.value)
    assert usable_groups(grouped("age", age=["10", "20", "20"])).counts().tolist() == [1, 2]


def test_one_group_and_no_group_are_refused():
    with pytest.raises(DataError, match="one group only, 'f'"):
        usable_groups(grouped("sex", sex=["f", "f", None]))
    with pytest.raises(DataError, match="every cell is empty"):
        usable_groups(grouped("sex", sex=[None, None]))
    with pytest.raises(DataError, match="2 values fit no group"):
        usable_groups(grouped("age:bands=0/1/2", age=["x", "9"]))


NAMES = st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True)


@st.composite
def specs(draw):
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    items = []
    for name in names:
        kind = draw(st.sampled_from(["plain", "bands", "quantiles"]))
        if kind == "bands":
            edges = sorted(draw(st.lists(st.integers(-99, 99), min_size=2, max_size=5, unique=True)))
            items.append(f"{name}:bands={'/'.join(map(str, edges))}")
        else:
            items.append(name if kind == "plain" else f"{name}:quantiles={draw(st.integers(2, 9))}")
    return items


@QUICK
@given(specs())
def test_syntax_round_trips(items):
    parsed = parse_attributes(",".join(items))
    assert [spec.spec for spec in parsed] == items
    assert parse_attributes([spec.spec for spec in parsed]) == parsed


@QUICK
@given(st.lists(st.one_of(st.none(), st.floats(-200, 200), st.just("word")), min_size=1, max_size=40), specs())
def test_every_row_is_in_one_group_or_counted_out(values, items):
    column = [None if value is None else str(value) for value in values]
    for spec in parse_attributes(items):
        result = spec.groups(pd.DataFrame(dict.fromkeys((spec.name,), column), dtype="str"))
        missing = sum(value is None for value in values)
        assert int(result.groups.counts().sum()) + result.out_of_range + missing == len(values)
        assert all(result.groups.counts() > 0)
        assert len(result.groups.names) == len(set(result.groups.names))


@QUICK
@given(st.lists(st.floats(-50, 50), min_size=2, max_size=40), st.integers(2, 6))
def test_quantile_groups_are_ordered_like_the_values(values, k):
    ids = grouped(f"x:quantiles={k}", x=[repr(value) for value in values]).groups.ids
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(ids[order]) >= 0)
