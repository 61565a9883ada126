"""Splits that a column of the user's table gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.core.errors import DataError
from mindgap.core.groups import Groups
from mindgap.data.given_split import GivenSplit, given_split, split_words

N = 40


def column(*words: str | None) -> pd.Series:
    return pd.Series(words, name="fold", dtype="str")


def split_of(words: list[str], *, clusters: Sequence[str | None] | None = None, **changed: Any) -> GivenSplit:
    """Of two classes and two groups that alternate."""
    rows = np.arange(len(words))
    plain: dict[str, Any] = {
        "labels": rows % 2,
        "classes": ("a", "b"),
        "groups": [Groups("sex", ("f", "m"), rows // 2 % 2)],
        "clusters": pd.Series(clusters or [None] * len(words), name="lesion", dtype="str"),
        "shares": (0.7, 0.15, 0.15),
        "seed": 0,
    }
    return given_split(column(*words), **plain | changed)


def test_words_of_any_case_and_numbers_are_read():
    read = split_words(column("Train", "training", "VAL", "valid", "dev", " validation ", "test", "Testing", None))
    assert read.dropna().tolist() == ["train"] * 2 + ["validation"] * 4 + ["test"] * 2
    assert read.isna().tolist() == [False] * 8 + [True]
    assert split_words(column("0", "2", "1")).tolist() == ["train", "test", "validation"]
    assert split_words(column("0.0", "2.0", None)).dropna().tolist() == ["train", "test"]


@pytest.mark.parametrize("words", [("train", "tset"), ("0", "3", "2"), ("0", "train"), ("", "train"), ("0", "1")])
def test_other_words_are_refused(words):
    with pytest.raises(DataError, match=r"column 'fold' holds '.*'; a split is train, validation"):
        split_words(column(*words))


def test_three_given_parts_are_kept_as_they_are():
    words = ["train"] * 30 + ["val"] * 5 + ["test"] * 5
    found = split_of(words)
    assert found.parts.tolist() == ["train"] * 30 + ["validation"] * 5 + ["test"] * 5
    assert found.notes == ()


def test_without_test_rows_there_is_no_test_and_that_is_told():
    found = split_of(["train"] * 30 + ["val"] * 10)
    assert set(found.parts) == {"train", "validation"}
    assert found.notes == ("column 'fold' has no test rows: every figure will be of images that took part in choices",)


def test_how_numbers_are_read_is_told():
    found = split_of(["0"] * 30 + ["1"] * 5 + ["2"] * 5)
    assert found.notes == ("column 'fold' is read as 0 train, 1 validation, 2 test",)
    assert not found.drawn


def test_one_training_cluster_alone_cannot_be_divided():
    words, clusters = ["train"] * 20 + ["test"] * 20, ["L"] * 20 + ["M"] * 20
    with pytest.raises(DataError, match="'fold' has no validation rows, and its training rows are too few to draw"):
        split_of(words, clusters=clusters)
    assert set(split_of(words, clusters=clusters, shares=(0.8, 0.0, 0.2)).parts) == {"train", "test"}


def test_a_validation_that_is_not_asked_for_is_not_drawn():
    assert set(split_of(["train"] * 30 + ["test"] * 10, shares=(0.8, 0.0, 0.2)).parts) == {"train", "test"}


@given(
    sizes=st.lists(st.integers(1, 4), min_size=12, max_size=30),
    tested=st.integers(1, 4),
    seed=st.integers(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_a_missing_validation_is_drawn_from_train_by_cluster(sizes: list[int], tested: int, seed: int):
    clusters = [f"L{number}" for number, size in enumerate(sizes) for _ in range(size)]
    words = ["test" if int(name[1:]) < tested else "train" for name in clusters]
    labels = np.array([int(name[1:]) % 2 for name in clusters])
    alone = [Groups("sex", ("f",), np.zeros(len(words), dtype=np.int64))]
    found = split_of(words, clusters=clusters, labels=labels, groups=alone, seed=seed)
    parts = pd.Series(found.parts)
    assert (parts == "test").tolist() == [word == "test" for word in words]
    assert parts.groupby(clusters).nunique().max() == 1
    assert set(labels[parts == "train"]) == {0, 1}
    assert set(parts) == {"train", "validation", "test"}
    again = split_of(words, clusters=clusters, labels=labels, groups=alone, seed=seed)
    assert again.parts.tolist() == found.parts.tolist()


def test_the_drawn_validation_has_its_share_and_is_told():
    found = split_of(["train"] * 340 + ["test"] * 60)
    assert (found.parts == "validation").sum() == pytest.approx(340 * 0.15 / 0.85, abs=2)
    assert found.notes == ("column 'fold' has no validation rows: 18% of its training rows became that",)
    assert found.drawn


def test_a_cluster_in_two_parts_is_refused():
    clusters = [f"L{row // 2}" for row in range(N)]
    words = ["train"] * 31 + ["test"] * 9
    with pytest.raises(DataError, match=r"column 'fold': 1 value of 'lesion', such as 'L15', is in several splits"):
        split_of(words, clusters=clusters)
    assert split_of(["train"] * 30 + ["test"] * 10, clusters=clusters).parts[30] == "test"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["test"] * 20 + ["val"] * 20, "'fold' has no row for training; it holds test, validation"),
        (["train", "test"] * 20, "no training image of class 'b'"),
        (["train", "train", "test", "test"] * 10, "no training image of sex=m; take wider groups"),
    ],
)
def test_what_cannot_be_learned_is_refused(words, said):
    with pytest.raises(DataError, match=said):
        split_of(words)


@pytest.mark.parametrize("answer", [0, 1])
def test_a_label_with_one_answer_to_learn_from_is_refused(answer):
    late = np.arange(N) >= 30
    labels = np.stack([np.arange(N) % 2, late if answer == 0 else ~late], axis=1).astype(np.uint8)
    with pytest.raises(DataError, match=f"leaves label 'b' at {answer} in every training row"):
        split_of(["train"] * 30 + ["val"] * 5 + ["test"] * 5, labels=labels)
