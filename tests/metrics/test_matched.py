"""Two models' predictions are brought into one order of rows and classes, or refused in one line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgap.core.errors import DataError
from mindgap.core.groups import Groups
from mindgap.metrics.matched import matched
from mindgap.metrics.predictions import multi_label_from_arrays, predictions_from_arrays

NAMES = ("A", "B")
CHANCES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.5, 0.3, 0.2]])


def made(
    *, order=(0, 1, 2, 3), classes=("a", "b", "c"), labels=(0, 1, 2, 1), sex="ffmm", clusters=(0, 0, 1, 2), **kept
):
    rows, columns = np.array(order), np.array(["abc".index(name) for name in classes])
    names = tuple(sorted(set(sex)))
    ids = np.array([names.index(cell) if cell != "?" else -1 for cell in sex])
    return predictions_from_arrays(
        np.argsort(columns)[np.array(labels)][rows],
        classes=classes,
        probabilities=CHANCES[rows][:, columns],
        groups={"sex": Groups("sex", names, ids[rows])},
        clusters=np.array(clusters)[rows],
        ids=kept.get("ids", [f"i{k}" for k in rows]),
    )


@given(order=st.permutations(range(4)), classes=st.permutations("abc"))
def test_rows_and_classes_in_another_order_are_the_same(order, classes):
    first, second = made(), made(order=order, classes=tuple(classes), clusters=(7, 7, 3, 5))
    found = matched(first, second, names=NAMES)
    assert found.classes == first.classes
    assert found.ids.tolist() == first.ids.tolist()
    for name in ("labels", "predicted", "probabilities", "clusters"):
        np.testing.assert_array_equal(getattr(found, name), getattr(first, name))
    np.testing.assert_array_equal(found.groups["sex"].ids, first.groups["sex"].ids)


def test_predictions_may_differ():
    second = made()
    other = matched(made(), predictions_like(second, predicted=[2, 2, 2, 2]), names=NAMES)
    assert other.predicted.tolist() == [2, 2, 2, 2]


def predictions_like(one, *, predicted):
    return predictions_from_arrays(
        one.labels, classes=one.classes, predicted=predicted, groups=one.groups, clusters=one.clusters, ids=one.ids
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"ids": ["i0", "i1", "i2", "x"]},
            "ids differ: 1 of A are not in B, such as 'i3'; 1 of B are not in A, such as 'x'; compare",
        ),
        ({"labels": (0, 1, 2, 2)}, "id 'i3': label is 'b' in A, 'c' in B (1 rows differ)"),
        ({"sex": "ffmf"}, "id 'i3': sex is 'm' in A, 'f' in B (1 rows differ)"),
        ({"sex": "?fmm"}, "id 'i0': sex is 'f' in A, unknown in B"),
        ({"clusters": (0, 1, 2, 3)}, "ids 'i0' and 'i1' are in one cluster in A, in two in B"),
        ({"clusters": (0, 0, 0, 3)}, "ids 'i0' and 'i2' are in one cluster in B, in two in A"),
    ],
)  # fmt: skip
def test_what_differs_is_refused_with_the_first_difference(changes, words):
    with pytest.raises(DataError) as caught:
        matched(made(), made(**changes), names=NAMES)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_of_one_alone_are_counted():
    first, second = made(), made().take(np.array([0, 1]))
    with pytest.raises(DataError, match="ids differ: 2 of A are not in B, such as 'i2'; compare"):
        matched(first, second, names=NAMES)
    with pytest.raises(DataError, match="ids differ: 2 of A are not in B, such as 'i2'; compare"):
        matched(second, first, names=NAMES[::-1])


def test_other_classes_or_attributes_are_refused():
    two = predictions_from_arrays([0, 1], classes=("a", "x"), predicted=[0, 0], ids=["i0", "i1"])
    three = predictions_from_arrays([0, 1], classes=("a", "b"), predicted=[0, 0], ids=["i0", "i1"])
    with pytest.raises(DataError, match="class 'b' is in A, not in B; compare models of one task"):
        matched(three, two, names=NAMES)
    with pytest.raises(DataError, match="B: has no attribute 'sex', which A has"):
        matched(made(), replace(made(), groups={}), names=NAMES)


def test_labels_are_matched_one_by_one():
    def several(names, ids):
        labels = np.array([[0, 1], [1, 0], [1, 1]])[ids][:, ["xy".index(name) for name in names]]
        return multi_label_from_arrays(labels, labels * 0.8 + 0.1, label_names=names, ids=[f"i{k}" for k in ids])

    found = matched(several("xy", [0, 1, 2]), several("yx", [2, 0, 1]), names=NAMES)
    assert found.label_names == ("x", "y")
    assert found.by_label["x"].labels.tolist() == [0, 1, 1]
    with pytest.raises(DataError, match="label 'y' is in A, not in B"):
        matched(several("xy", [0, 1, 2]), several("x", [0, 1, 2]), names=NAMES)
    with pytest.raises(DataError, match="A has several labels, B has one label of several classes"):
        matched(several("xy", [0, 1, 2]), made(), names=NAMES)
