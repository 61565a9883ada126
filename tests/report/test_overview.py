"""The sentence over all findings sorts them by what is shown, and leaves none out."""

from __future__ import annotations

from mindgap.report.estimate import listed
from mindgap.report.findings import Finding
from mindgap.report.gap_families import families, headline
from mindgap.report.overview import fold, overview


def finding(name: str, kind: str, **other) -> Finding:
    return Finding(name, kind, "title", (), **other)


def test_every_kind_of_finding_has_its_sentence() -> None:
    found = [
        finding("tone", "shown"),
        finding("age", "shown"),
        finding("sex", "not shown"),
        finding("site", "not shown", judged=False),
        finding("camera", "not defined"),
    ]
    assert overview(found) == (
        "A gap is shown over tone and age. Over sex none in accuracy is shown beyond chance and case mix. "
        "Over site the gap is not judged. Over camera the gap is not defined."
    )
    assert overview(found[2:3] * 2) == "No gap in accuracy is shown beyond chance and case mix over sex or sex."
    assert overview(found[:1]) == ""


def test_of_many_labels_those_with_a_gap_are_named_and_the_others_counted() -> None:
    found = [finding("sex", "shown", label="naevus"), *(finding("sex", "not shown", label=str(k)) for k in range(30))]
    assert overview(found) == (
        "A gap is shown over sex (label naevus). Over 30 pairs of label and attribute none in accuracy is shown beyond "
        "chance and case mix."
    )


def test_only_many_findings_are_folded_away() -> None:
    first, more = fold([finding(str(k), "shown") for k in range(7)])
    assert (len(first), more) == (7, [])
    first, more = fold([finding(str(k), "shown") for k in range(20)])
    assert (len(first), len(more)) == (6, 14)


def test_long_lists_say_how_many_more_there_are() -> None:
    assert listed("abc") == "a, b and c"
    assert listed("a") == "a"
    assert listed([]) == ""
    assert listed(map(str, range(200)), most=2) == "0, 1 and 198 more"


MANY = [
    "unfairness", "unfairness_standardized", "accuracy_difference", "accuracy_ratio", "f1_difference",
    "equalized_odds_abs_mean", "equalized_odds_worst", "eopp0", "spd", "selection_rate_ratio", "abroca", "uei", "mine",
]  # fmt: skip


def test_few_gaps_stand_together_and_of_many_those_of_a_convention_stand_apart() -> None:
    assert headline(MANY[:12]) == MANY[:12]
    assert families(MANY[:12]) == {}
    apart = families(MANY)
    assert [MANY.index(name) for name in headline(MANY)] == [0, 1, 2, 3, 5, 10, 11]
    assert apart["Equalised odds and equal opportunity, other conventions"] == ["equalized_odds_worst", "eopp0"]
    assert apart["Others"] == ["mine"]
    assert sorted([*headline(MANY), *(name for names in apart.values() for name in names)]) == sorted(MANY)
