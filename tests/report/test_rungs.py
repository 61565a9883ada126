"""The table of rungs says what the search recorded."""

from __future__ import annotations

import json

from mindgap.report.cautions import arbitrary_choice
from mindgap.report.document import write_report
from mindgap.report.rungs import rung_rows, spared_sentence
from mindgap.report.search_progress import draw_progress, states_sentence, unfinished

UNKNOWN = {"tau": None, "low": None, "high": None, "reason": "fewer than 5 candidates reached both rungs"}
RUNGS = {
    "epochs": [1, 4, 16],
    "reached": [24, 7, 3],
    "image_passes": 10_000,
    "image_passes_without": 45_000,
    "agreement": [
        {
            "epochs": 1,
            "n": 9,
            "n_control": 2,
            "accuracy": {"tau": 0.5, "low": 0.1, "high": 0.8, "reason": None},
            "unfairness": UNKNOWN,
        },
        {"epochs": 4, "n": 9, "n_control": 0, "accuracy": UNKNOWN, "unfairness": UNKNOWN},
    ],
}


def test_every_rung_has_a_row_and_tau_its_interval_or_its_reason() -> None:
    first, second, last = rung_rows(RUNGS)
    assert (first.epochs, first.reached) == ("1", "24")
    assert first.accuracy == "0.50 [0.10, 0.80]"
    assert first.unfairness == "not defined: fewer than 5 candidates reached both rungs"
    assert first.judged_again == "n\u00a0=\u00a09, 2 of them by the control group"
    assert second.judged_again == "n\u00a0=\u00a09"
    assert (last.epochs, last.reached, last.accuracy, last.judged_again) == ("16", "3", "–", "–")


def test_what_was_spared_is_said_with_both_figures() -> None:
    said = spared_sentence(RUNGS)
    assert "10\u202f000 image passes" in said
    assert "45\u202f000, 4.5 times as many" in said
    assert spared_sentence(RUNGS | {"image_passes": 0}) == "No candidate was judged."


TRIALS = [
    {"slot": 0, "state": "complete", "reward": 0.2, "accuracy": 0.8, "unfairness": 0.1, "epochs": 16},
    {"slot": 1, "state": "pruned", "reward": 0.21, "accuracy": 0.9, "unfairness": 0.1, "epochs": 2},
    {"slot": 2, "state": "pruned", "reward": -1.0, "accuracy": 0.3, "unfairness": 0.1, "epochs": 2},
    {"slot": 3, "state": "failed", "reward": -1.0, "reason": "loss is nan"},
]


def test_a_stopped_candidate_is_drawn_apart_and_is_not_among_those_without_a_result() -> None:
    drawn = str(draw_progress(TRIALS))
    assert drawn.count('class="dot front"') == 1
    assert drawn.count('class="dot other"') == 1
    assert "stopped after 2 epochs" in drawn
    assert drawn.count('class="cross"') == 2
    assert [row.slot for row in unfinished(TRIALS)] == [3]
    assert states_sentence(TRIALS) == "4 slots: 1 complete, 2 stopped early, 1 failed."


def test_a_stopped_candidate_above_the_floor_does_not_hide_that_the_choice_is_arbitrary() -> None:
    search = {"trials": TRIALS, "reward": {"accuracy_floor": 0.85}}
    assert "No candidate trained to the end reached the accuracy" in arbitrary_choice(search)
    assert arbitrary_choice(search | {"reward": {"accuracy_floor": 0.75}}) == ""


def test_the_page_says_stopped_early_and_lists_unused_candidates_only_where_there_are_some(tmp_path):
    (tmp_path / "config.toml").write_text('verb = "search"\n[options]\n')
    for trials, unused in ((TRIALS, True), (TRIALS[:3], False)):
        (tmp_path / "search.json").write_text(json.dumps({"trials": trials, "front": [0], "top": [0], "chosen": 0}))
        page = write_report(tmp_path).read_text()
        assert page.count("<td>stopped early</td>") == 2
        assert ">pruned<" not in page
        assert ("Candidates not used" in page) == unused
