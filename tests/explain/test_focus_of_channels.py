"""Focus of channels removed against those kept: by hand, a planted difference, and chance."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.errors import ShapeError
from mindgap.explain.focus import Focus
from mindgap.explain.focus_of_channels import focus_of_removed
from mindgap.explain.focus_records import FocusOptions

FEW = FocusOptions(bootstrap=200, permutations=500)


def record_of(values: np.ndarray, removed: np.ndarray, *, clusters=None, options=FEW):
    found = Focus(values, np.isnan(values).astype(np.int64))
    return focus_of_removed(
        found, removed, clusters=np.arange(len(values)) if clusters is None else clusters, options=options
    )


def test_by_hand() -> None:
    nan = np.nan
    values = np.array([[1.0, 3, nan, nan], [2, 5, 4, nan], [3, nan, 2, nan]])
    record = record_of(values, np.array([False, True, False, True]))
    # channel means 2, 4, 3 and none; kept (2 + 3)/2, removed 4
    assert record["removed"]["value"] == pytest.approx(4)
    assert record["kept"]["value"] == pytest.approx(2.5)
    assert record["difference"]["value"] == pytest.approx(1.5)
    assert (record["removed"]["n"], record["kept"]["n"], record["difference"]["n"]) == (1, 2, 3)
    assert record["without_focus"] == 1
    assert record["difference"]["reason"] == "no interval: the focus of channels removed has 2 clusters"
    assert record["kept"]["reason"] == "no interval: the focus of channels kept has 3 clusters"
    # one of the three by chance: 4 - 2.5, 3 - 3 or 2 - 3.5
    assert record["difference"]["noise_mean"] == pytest.approx(1, abs=0.1)
    assert record["difference"]["p_value"] == pytest.approx(2 / 3, abs=0.07)


def test_channels_that_look_outside_differ_beyond_chance_and_channels_at_random_do_not() -> None:
    generator = np.random.default_rng(0)
    outside = np.arange(24) % 4 == 0
    values = generator.gamma(4, 0.25, (60, 24)) + 0.5 * outside
    found = record_of(values, outside)["difference"]
    assert found["low"] > 0.3
    assert found["high"] < 0.7
    assert found["value"] > found["noise_p95"]
    assert found["p_value"] < 0.01
    mixed = record_of(values, np.arange(24) < 6)["difference"]
    assert mixed["p_value"] > 0.05


def test_its_interval_is_that_of_a_mean_over_clusters() -> None:
    generator = np.random.default_rng(1)
    of_images = generator.normal(1, 0.3, 200)
    removed = np.array([True, False])
    values = np.stack([of_images, np.ones(200)], axis=1)
    options = FocusOptions(bootstrap=2000, permutations=10)
    alone = record_of(values, removed, options=options)["difference"]
    assert alone["high"] - alone["low"] == pytest.approx(2 * 1.96 * of_images.std() / np.sqrt(200), rel=0.1)
    twice = record_of(np.repeat(values, 2, axis=0), removed, clusters=np.repeat(np.arange(200), 2), options=options)
    assert twice["difference"]["high"] - twice["difference"]["low"] == pytest.approx(
        alone["high"] - alone["low"], rel=0.1
    )


@pytest.mark.parametrize(("removed", "missing"), [(np.zeros(3, bool), "removed"), (np.ones(3, bool), "kept")])
def test_without_channels_on_both_sides_there_is_no_difference(removed: np.ndarray, missing: str) -> None:
    record = record_of(np.random.default_rng(2).random((9, 3)), removed)
    assert record["difference"]["value"] is None
    assert record["difference"]["p_value"] is None
    assert record["difference"]["reason"] == f"no channel with a focus was {missing}"
    assert record[missing]["value"] is None
    assert record[missing]["reason"] == f"no channel with a focus was {missing}"


def test_images_without_any_focus_do_not_count() -> None:
    values = np.full((200, 4), np.nan)
    values[[3, 90, 91]] = np.random.default_rng(4).random((3, 4))
    removed = np.arange(4) < 2
    clusters = np.arange(200)
    record = record_of(values, removed, clusters=clusters)
    assert record == record_of(values[[3, 90, 91]], removed, clusters=clusters[[3, 90, 91]])
    assert record["difference"]["n"] == 3
    for name in ("removed", "kept", "difference"):
        assert record[name]["value"] is not None
        assert (record[name]["low"], record[name]["high"]) == (None, None)
        assert "has 3 clusters" in record[name]["reason"]


def test_channels_with_a_focus_in_few_clusters_have_no_interval_and_others_do() -> None:
    values = np.random.default_rng(5).random((60, 4))
    removed = np.arange(4) < 2
    values[8:, :2] = np.nan  # of two clusters of four images
    record = record_of(values, removed, clusters=np.arange(60) // 4)
    assert record["kept"]["low"] is not None
    assert record["kept"]["reason"] is None
    for name in ("removed", "difference"):
        assert record[name]["low"] is None
        assert record[name]["reason"] == "no interval: the focus of channels removed has 2 clusters"


def test_without_any_focus_there_is_nothing() -> None:
    record = record_of(np.full((9, 3), np.nan), np.arange(3) < 1)
    assert (record["difference"]["value"], record["difference"]["n"], record["without_focus"]) == (None, 0, 3)
    assert record["difference"]["reason"] == "no channel with a focus was removed or kept"


def test_columns_that_do_not_fit_are_refused() -> None:
    for values, removed, clusters in (
        (np.ones(3), np.zeros(3, bool), np.arange(3)),
        (np.ones((3, 2)), np.zeros(3, bool), np.arange(3)),
        (np.ones((3, 2)), np.zeros(2, bool), np.arange(2)),
    ):
        with pytest.raises(ShapeError, match=r"pass \(n, C\), \(C,\) and \(n,\)"):
            record_of(values, removed, clusters=clusters)
