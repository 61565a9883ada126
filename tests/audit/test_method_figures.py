from __future__ import annotations

import pytest

from mindgap.audit.method_figures import ALIKE, ONE_SEED, difference_over_seeds, figure_over_seeds, method_figures


def record(value: float | None, **more: float | str) -> dict:
    return {"value": value, "low": None, "high": None, "n": 90, "reason": None} | more


def test_the_interval_over_seeds_is_students():
    """.80, .82 and .84: sd .02, t(.975; 2) = 4.303, so .82 ± 4.303·.02/√3."""
    found = figure_over_seeds([record(0.80), record(0.82), record(0.84)])
    assert found["mean"] == pytest.approx(0.82)
    assert found["sd"] == pytest.approx(0.02)
    assert (found["seeds_low"], found["seeds_high"]) == (
        pytest.approx(0.7703, abs=1e-4),
        pytest.approx(0.8697, abs=1e-4),
    )
    assert found["seeds"] == [0.80, 0.82, 0.84]


def test_intervals_of_the_images_and_floors_are_means_over_seeds():
    found = figure_over_seeds(
        [
            record(0.2, low=0.1, high=0.3, noise_mean=0.05, noise_p95=0.1),
            record(0.4, low=0.3, high=0.5, noise_mean=0.07, noise_p95=0.2),
        ]
    )
    assert (found["low"], found["high"]) == (pytest.approx(0.2), pytest.approx(0.4))
    assert (found["noise_mean"], found["noise_p95"]) == (pytest.approx(0.06), pytest.approx(0.15))


def test_one_seed_has_no_interval_over_seeds_and_says_so():
    found = figure_over_seeds([record(0.8)])
    assert (found["mean"], found["sd"], found["seeds_low"], found["seeds_reason"]) == (0.8, None, None, ONE_SEED)


def test_what_is_undefined_in_one_seed_has_no_mean_but_its_reason():
    found = figure_over_seeds([record(0.8), record(None, reason="no rows")])
    assert (found["mean"], found["seeds_low"], found["reason"], found["seeds_reason"]) == (
        None,
        None,
        "no rows",
        "no rows",
    )


def test_differences_over_seeds_are_pairs():
    found = difference_over_seeds([0.3, 0.2, 0.4, None], [0.2, 0.2, 0.2, 0.1])
    assert (found["value"], found["n_seeds"]) == (pytest.approx(-0.1), 3)
    assert (found["low"], found["high"]) == (pytest.approx(-0.3484, abs=1e-4), pytest.approx(0.1484, abs=1e-4))
    assert difference_over_seeds([0.3], [0.2])["reason"] == ONE_SEED
    assert difference_over_seeds([None], [0.2])["value"] is None


def test_seeds_that_all_give_one_value_do_not_make_it_certain():
    found = figure_over_seeds([record(0.8), record(0.8)])
    assert (found["mean"], found["seeds_low"], found["seeds_reason"]) == (0.8, None, ALIKE)
    apart = difference_over_seeds([0.2, 0.3], [0.225, 0.325])
    assert (apart["value"], apart["low"], apart["high"], apart["reason"]) == (pytest.approx(0.025), None, None, ALIKE)


def test_several_labels_have_their_own_figures():
    one = {"overall": {"accuracy": record(0.7)}, "attributes": {"sex": {"gaps": {"unfairness": record(0.1)}}}}
    found = method_figures([{"overall": {"accuracy": record(0.6)}, "labels": {"x": one}}], gap="unfairness")
    assert found["overall"]["accuracy"]["mean"] == 0.6
    assert found["labels"]["x"]["attributes"]["sex"]["unfairness"]["mean"] == 0.1
