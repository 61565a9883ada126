"""The predictions table: what is written is read back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mindgap.core.errors import DataError, ShapeError
from mindgap.core.groups import Groups
from mindgap.metrics.predictions import (
    multi_label_from_arrays,
    predictions_from_arrays,
    read_predictions,
    write_predictions,
)


def sample(n=60, seed=0, *, with_probabilities=True):
    generator = np.random.default_rng(seed)
    chances = generator.dirichlet([1, 1, 1], size=n)
    return predictions_from_arrays(
        generator.integers(3, size=n),
        classes=("nv", "a,b", 'qu"ote'),
        probabilities=chances if with_probabilities else None,
        predicted=None if with_probabilities else generator.integers(3, size=n),
        groups={"sex": Groups("sex", ("female", "male"), generator.integers(-1, 2, size=n))},
        clusters=generator.integers(20, size=n),
        ids=[f"image {k}" for k in range(n)],
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("with_probabilities", [True, False])
def test_what_is_written_is_read_back(tmp_path, suffix, with_probabilities):
    path = tmp_path / f"predictions.{suffix}"
    written = sample(with_probabilities=with_probabilities)
    write_predictions(path, written, split="test")
    found = read_predictions(path, attributes=("sex",))
    names = np.array(written.classes)[written.labels].tolist()
    assert np.array(found.classes)[found.labels].tolist() == names
    assert np.array(found.classes)[found.predicted].tolist() == np.array(written.classes)[written.predicted].tolist()
    assert found.ids.tolist() == written.ids.tolist()
    np.testing.assert_array_equal(found.groups["sex"].ids, written.groups["sex"].ids)
    same = written.clusters[:, None] == written.clusters
    np.testing.assert_array_equal(found.clusters[:, None] == found.clusters, same)
    if with_probabilities:
        np.testing.assert_array_equal(found.probabilities, written.probabilities)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("names", [["LES_7", None, "LES_7", None], [None] * 4])
def test_clusters_are_written_by_name_and_empty_where_there_is_none(tmp_path, suffix, names):
    path = tmp_path / f"predictions.{suffix}"
    groups = {"sex": Groups("sex", ("f", "m"), np.array([0, 1, 0, 1]))}
    made = predictions_from_arrays(
        [0, 1, 0, 1], classes=("a", "b"), predicted=[0, 1, 1, 0], groups=groups, clusters=[5, 8, 5, 9],
        cluster_names=names,
    )  # fmt: skip
    write_predictions(path, made.take(np.array([2, 1, 0, 3])))
    column = (pd.read_csv if suffix == "csv" else pd.read_parquet)(path)["cluster"]
    assert [None if pd.isna(name) else name for name in column] == names
    found = read_predictions(path, attributes=("sex",)).clusters
    assert len(set(found.tolist())) == (3 if names[0] else 4)
    assert (found[0] == found[2]) == bool(names[0])


def test_cluster_names_are_one_per_row():
    with pytest.raises(ShapeError, match="cluster_names has 1 rows, labels have 2"):
        predictions_from_arrays([0, 1], classes=("a", "b"), predicted=[0, 1], cluster_names=["LES_7"])


def test_several_splits_are_written_to_one_table(tmp_path):
    path = tmp_path / "predictions.parquet"
    write_predictions(path, sample(), split=["validation", "test"] * 30)
    assert read_predictions(path, attributes=("sex",)).ids.tolist() == [f"image {k}" for k in range(1, 60, 2)]


def test_multi_label_predictions_are_written_and_read_back(tmp_path):
    generator = np.random.default_rng(0)
    written = multi_label_from_arrays(
        generator.integers(2, size=(30, 2)), generator.random((30, 2)), label_names=("red", "raised"),
        groups={"sex": Groups("sex", ("f", "m"), np.arange(30) % 2)}, clusters=np.arange(30) // 2,
        cluster_names=[f"c{row // 2}" for row in range(30)],
    )  # fmt: skip
    path = tmp_path / "predictions.parquet"
    write_predictions(path, written)
    assert pd.read_parquet(path)["cluster"].tolist() == [f"c{row // 2}" for row in range(30)]
    found = read_predictions(path, attributes=("sex",))
    for name in written.label_names:
        np.testing.assert_array_equal(found.by_label[name].labels, written.by_label[name].labels)
        np.testing.assert_array_equal(found.by_label[name].predicted, written.by_label[name].predicted)
        clusters = found.by_label[name].clusters
        np.testing.assert_array_equal(clusters[::2], clusters[1::2])
        assert len(set(clusters.tolist())) == 15


def test_an_attribute_cannot_take_another_columns_name(tmp_path):
    groups = {"label": Groups("label", ("f", "m"), np.array([0, 1]))}
    clash = predictions_from_arrays([0, 1], classes=("a", "b"), predicted=[0, 1], groups=groups)
    with pytest.raises(DataError, match="attribute 'label' has the name of another column"):
        write_predictions(tmp_path / "predictions.csv", clash)
