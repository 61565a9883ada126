"""The front shows what the search found, with intervals only where they belong to the figure drawn."""

from __future__ import annotations

import re

import pytest

from mindgap.report.estimate import Estimate
from mindgap.report.front import candidates, draw_front

SEARCH = {
    "front": [0, 2],
    "chosen": 2,
    "trials": [
        {"slot": 0, "state": "complete", "accuracy": 0.7, "unfairness": 0.2, "macs": 10_000_000},
        {"slot": 1, "state": "complete", "accuracy": 0.6, "unfairness": 0.3, "macs": 40_000_000},
        {"slot": 2, "state": "complete", "accuracy": 0.65, "unfairness": 0.1, "macs": 10_000_000},
        {"slot": 3, "state": "failed", "accuracy": None, "unfairness": None, "macs": 1},
    ],
}


def audit(accuracy: float, unfairness: float) -> dict:
    record = {"value": unfairness, "low": 0.0, "high": 0.4, "n": 90}
    return {
        "overall": {"accuracy": {"value": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05, "n": 90}},
        "attributes": {"sex": {"gaps": {"unfairness": record}}},
    }


def test_only_completed_candidates_are_drawn_the_chosen_one_last() -> None:
    points = candidates(SEARCH, {}, attribute="sex")
    assert [point.slot for point in points] == [1, 0, 2]
    assert [point.slot for point in points if point.on_front] == [0, 2]


def test_an_interval_of_another_figure_is_not_drawn() -> None:
    audits = {0: audit(0.7, 0.2), 2: audit(0.64, 0.1)}  # slot 2's audit judged another accuracy
    by_slot = {point.slot: point for point in candidates(SEARCH, audits, attribute="sex")}
    assert by_slot[0].accuracy.has_interval
    assert by_slot[0].unfairness.has_interval
    assert not by_slot[2].accuracy.has_interval
    assert by_slot[2].accuracy.value == 0.65


def test_the_area_of_a_mark_grows_with_the_macs() -> None:
    by_slot = {point.slot: point for point in candidates(SEARCH, {}, attribute="sex")}
    assert by_slot[1].radius_px == pytest.approx(2 * by_slot[0].radius_px)


def test_the_drawing_has_a_mark_per_candidate_a_ring_and_the_floor() -> None:
    points = candidates(SEARCH, {}, attribute="sex")
    drawn = draw_front(points, floor=Estimate(0.1, noise_mean=0.05, noise_p95=0.08))
    assert len(re.findall(r'class="dot', drawn)) == 3
    assert drawn.count('class="ring"') == 1
    assert drawn.count('class="floor"') == 1
    assert "slot 2 (chosen): accuracy 65.0\u202f%, U 0.100, 10.00\u202fM MACs" in drawn


def test_without_a_recorded_floor_none_is_drawn() -> None:
    assert 'class="floor"' not in draw_front(candidates(SEARCH, {}, attribute="sex"), floor=Estimate(None))


def test_a_search_by_the_standardised_gap_shows_that_gap() -> None:
    kept = audit(0.7, 0.9)
    gaps = kept["attributes"]["sex"]["gaps"]
    gaps["unfairness_standardized"] = {"value": 0.2, "low": 0.1, "high": 0.3, "n": 90}
    points = candidates(SEARCH | {"unfairness": "standardized"}, {0: kept}, attribute="sex")
    assert next(point for point in points if point.slot == 0).unfairness.high == 0.3
