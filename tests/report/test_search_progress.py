"""The search's tables and curve say what the ledger said."""

from __future__ import annotations

import re

import pytest

from mindgap.report.search_progress import draw_progress, states_sentence, top_rows, unfinished

# BN Table 1's arithmetic on five invented candidates.
TRIALS = [
    {
        "slot": s, "state": "complete", "reward": 0.1 * s, "accuracy": 0.7 + 0.01 * s, "unfairness": 0.10 + 0.01 * s,
        "macs": 2e6,
    }
    for s in range(5)
]  # fmt: skip


def test_the_last_row_is_the_mean_and_the_sample_standard_deviation() -> None:
    rows, names = top_rows({"trials": TRIALS, "top": [4, 3, 2, 1, 0], "chosen": 4}, sizes={})
    assert [row.slot for row in rows] == ["4", "3", "2", "1", "0", "mean ± sd"]
    assert rows[0].chosen
    assert rows[-1].accuracy == "72.00 ± 1.58\u202f%"  # sd of 70..74 is sqrt(2.5)
    assert rows[-1].unfairness == "0.1200 ± 0.0158"
    assert rows[-1].reward == "0.200 ± 0.158"
    assert names == []


def test_group_columns_are_the_searchs_own_figures() -> None:
    trials = [dict(trial, groups={"f": 0.5 + 0.1 * (trial["slot"] == 4), "m": 0.75}) for trial in TRIALS]
    search = {"trials": trials, "top": [4, 3], "chosen": 4}
    rows, names = top_rows(search, sizes={"f": 40, "m": 60})
    assert names == ["f, n\u00a0=\u00a040", "m, n\u00a0=\u00a060"]
    assert rows[0].groups == ("60.0\u202f%", "75.0\u202f%")
    assert rows[-1].groups == ("55.00 ± 7.07\u202f%", "75.00 ± 0.00\u202f%")


def test_what_did_not_complete_is_listed_with_its_reason() -> None:
    trials = [*TRIALS, {"slot": 5, "state": "rejected", "reason": "latency 12.1 ms > 10 ms", "attempts": 1}]
    row = unfinished(trials)[0]
    assert (row.slot, row.state, row.reason, row.attempts) == (5, "rejected", "latency 12.1 ms > 10 ms", 1)
    assert states_sentence(trials) == "6 slots: 5 complete, 1 rejected."


def test_every_slot_has_a_mark_and_the_best_so_far_never_falls() -> None:
    trials = [*TRIALS, {"slot": 5, "state": "failed", "reason": "loss is nan", "reward": None}]
    drawn = draw_progress([*trials, {"slot": 6, "state": "complete", "reward": -1.0}])
    assert drawn.count('class="dot front"') == 5
    assert drawn.count('class="cross"') == 2
    levels = [float(y) for y in re.findall(r'y1="([\d.]+)"[^>]*class="curve', drawn)]
    assert levels == sorted(levels, reverse=True)


def test_without_a_completed_candidate_there_is_no_curve() -> None:
    assert draw_progress([{"slot": 0, "state": "failed", "reward": None}]) is None


@pytest.mark.parametrize("reward", [-1.0, -5.0])
def test_a_search_whose_candidates_all_missed_the_limit_is_still_drawn(reward: float) -> None:
    assert draw_progress([{"slot": 0, "state": "complete", "reward": reward}]) is not None
