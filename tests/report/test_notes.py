"""Notes on gaps are said once for all gaps they hold for, and none is lost."""

from __future__ import annotations

from mindgap.report.case_mix import split_note
from mindgap.report.notes import gap_notes, shortened

UNDEFINED = "undefined in 13 of 500 bootstrap replicates"


def test_a_note_shared_by_gaps_is_one_line_and_undefined_resamples_another() -> None:
    gap = {"value": 0.1, "low": 0.0, "high": 0.2, "n": 9, "reason": None}
    part = {
        "gaps": {"eopp0": gap, "eopp1": gap, "spd": gap | {"low": None, "high": None, "reason": "no interval: x"}},
        "notes": {"eopp0": f"classes left out (df: never predicted); {UNDEFINED}", "eopp1": UNDEFINED},
    }
    assert gap_notes(part, ["eopp0", "eopp1", "spd"]) == [
        "EOpp0: classes left out (df: never predicted).",
        f"EOpp0 and EOpp1: {UNDEFINED}.",
        "SPD: no interval: x.",
    ]
    assert gap_notes(part, ["spd"]) == ["SPD: no interval: x."]


def test_a_note_splits_only_at_its_resamples() -> None:
    assert split_note("left out (a: x; b: y)") == ("left out (a: x; b: y)", "")
    assert split_note(f"left out (a: x; b: y); {UNDEFINED}") == ("left out (a: x; b: y)", UNDEFINED)
    assert split_note(UNDEFINED) == ("", UNDEFINED)


def test_a_very_long_note_is_cut_between_its_parts_and_says_so() -> None:
    long = "empty cells (" + "; ".join(f"class {k}: no positives in group 'a'" for k in range(200)) + ")"
    cut = shortened(long)
    assert len(cut) < 460
    assert cut.endswith("no positives in group 'a'; … the JSON has all)")
