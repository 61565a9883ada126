from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError, DataError, UnknownNameError
from mindgap.data.manifest import Manifest, apply_words, binary_labels, check_rows, minus_one_labels


def rows_of(manifest, **columns):
    return check_rows(apply_words(pd.DataFrame(columns, dtype="str"), manifest), manifest)


def reasons(rows):
    return list(zip(rows.dropped["id"], rows.dropped["reason"], strict=True))


def test_an_unknown_label_and_a_repeated_id_are_set_aside():
    manifest = Manifest(id="id", label="dx", classes=("a", "b"))
    rows = rows_of(manifest, id=["1", "2", "3", "1", None], dx=["a", "c", None, "b", "a"])
    assert reasons(rows) == [
        ("2", "unknown_label"),
        ("3", "unknown_label"),
        ("1", "duplicate_id"),
        ("", "missing_file"),
    ]
    assert rows.table["dx"].tolist() == ["a"]
    assert rows.total == 5


def test_a_usable_row_stays_where_an_earlier_one_of_its_id_is_faulty():
    rows = rows_of(Manifest(id="id", label="dx", classes=("a",)), id=["1", "1", "1", "2"], dx=["?", "a", "a", "a"])
    assert reasons(rows) == [("1", "unknown_label"), ("1", "duplicate_id")]
    assert rows.table["id"].tolist() == ["1", "2"]


def test_without_known_classes_any_word_is_one():
    rows = rows_of(Manifest(id="id", label="dx"), id=["1", "2", "3"], dx=["NA", "unknown", None])
    assert rows.table["dx"].tolist() == ["NA", "unknown"]
    assert reasons(rows) == [("3", "unknown_label")]


def test_missing_words_are_missing_everywhere_but_in_ids():
    manifest = Manifest(id="id", label="dx", missing=frozenset({"unknown"}))
    rows = rows_of(manifest, id=["unknown", "2"], dx=["a", "unknown"], sex=["unknown", "f"])
    assert rows.table["id"].tolist() == ["unknown"]
    assert rows.table["sex"].isna().tolist() == [True]
    assert reasons(rows) == [("2", "unknown_label")]


def test_one_hot_columns_become_a_label():
    manifest = Manifest(id="id", label="label", one_hot=("A", "B"), classes=("A", "B"))
    rows = rows_of(manifest, id=["1", "2", "3", "4"], A=["1.0", "0", "0", "1"], B=["0.0", "1", "0", "1"])
    assert rows.table["label"].tolist() == ["A", "B"]
    assert reasons(rows) == [("3", "unknown_label"), ("4", "unknown_label")]


def test_multi_labels_are_zero_or_one():
    manifest = Manifest(id="id", labels=("a", "b"))
    rows = rows_of(manifest, id=["1", "2", "3", "4"], a=["1", "0.0", "2", "True"], b=["0", "1.0", "1", None])
    assert binary_labels(rows.table, ("a", "b")).tolist() == [[1, 0], [0, 1]]
    assert reasons(rows) == [("3", "unknown_label"), ("4", "unknown_label")]


@pytest.mark.parametrize("words", [("0", "1"), ("0.0", "1.0"), ("-1", "1"), ("-1.0", "1.0"), ("False", "True")])
def test_every_way_to_write_no_and_yes_is_read_alike_and_columns_may_differ(words):
    cells = {"a": [words[0], words[1], words[1]], "b": ["false", "0", "1"]}
    rows = rows_of(Manifest(id="id", labels=("a", "b")), id=["1", "2", "3"], **cells)
    assert binary_labels(rows.table, ("a", "b")).tolist() == [[0, 0], [1, 0], [1, 1]]


def test_minus_one_beside_zero_is_not_no():
    manifest = Manifest(id="id", labels=("a", "b"))
    columns = {"id": ["1", "2", "3", "4"], "a": ["-1", "0", "1", "1"], "b": ["1", "-1", "-1", None]}
    assert minus_one_labels(pd.DataFrame(columns, dtype="str"), manifest) == ("b",)
    rows = rows_of(manifest, **columns)
    assert reasons(rows) == [("1", "unknown_label"), ("4", "unknown_label")]
    assert binary_labels(rows.table, ("a", "b")).tolist() == [[0, 0], [1, 0]]


@settings(deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(["1", "-1", "0", "true", "2", None]), min_size=1, max_size=12))
def test_no_cell_is_read_as_what_it_does_not_say(cells):
    table = pd.DataFrame({"id": map(str, range(len(cells))), "a": cells}, dtype="str")
    manifest = Manifest(id="id", labels=("a",))
    no = "0" if "0" in cells else "-1"
    known = {cell: cell != no for cell in cells if cell in {no, "1", "true"}}
    if any(cell is not None and cell not in known for cell in cells) and len(set(known.values())) < 2:
        with pytest.raises(DataError, match="label column 'a' holds"):
            check_rows(table, manifest)
        return
    rows = check_rows(table, manifest)
    assert rows.table["id"].tolist() == [str(k) for k, cell in enumerate(cells) if cell in known]
    if len(rows.table):
        assert binary_labels(rows.table, ("a",))[:, 0].tolist() == [known[cell] for cell in cells if cell in known]


def test_a_label_column_of_words_is_refused_with_the_column_and_a_word():
    manifest = Manifest(id="id", labels=("a", "sex"))
    for cells, said in (([None, "f"], "'f', never 0 or 1"), (["1", "2"], "'2' beside 1, never 0")):
        with pytest.raises(DataError, match=rf"label column 'sex' holds {said}; --labels takes columns of 0/1, true/"):
            rows_of(manifest, id=["1", "2"], a=["0", "1"], sex=cells)


def test_the_users_columns_replace_the_presets():
    preset = Manifest(id="image", label="dx", classes=("a",), cluster="patient", one_hot=("a",))
    nothing = {"id": None, "label": None, "labels": (), "cluster": None}
    assert preset.with_columns(**nothing) == preset
    assert preset.with_columns(**nothing | {"label": "dx"}) == preset
    other = preset.with_columns(**nothing | {"label": "other", "id": "name"})
    assert (other.id, other.label, other.classes, other.one_hot) == ("name", "other", None, ())
    multi = preset.with_columns(**nothing | {"labels": ("x", "y")})
    assert (multi.label, multi.labels) == (None, ("x", "y"))


def test_unclear_columns_are_refused():
    nothing = {"id": None, "label": None, "labels": (), "cluster": None}
    for columns, said in (
        ({}, "no id column"),
        ({"id": "i"}, "no label column"),
        ({"id": "i", "label": "a", "labels": ("b",)}, "give one of"),
        ({"id": "i", "labels": ("b", "b")}, "twice"),
    ):
        with pytest.raises(ConfigError, match=said):
            Manifest().with_columns(**nothing | columns)
    with pytest.raises(UnknownNameError, match="did you mean 'dx'"):
        rows_of(Manifest(id="id", label="dxx"), id=["1"], dx=["a"])
