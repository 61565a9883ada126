"""Groups are shown with n, interval and what a reader must know of them."""

from __future__ import annotations

import pytest

from mindgap.report.audited import audit_views
from mindgap.report.groups import flag_texts, group_rows, known_accuracy


def test_known_accuracy_is_the_mean_weighted_by_n() -> None:
    groups = {"a": {"n": 30, "accuracy": {"value": 0.9}}, "b": {"n": 10, "accuracy": {"value": 0.5}}}
    assert known_accuracy({"groups": groups}) == pytest.approx(0.8)
    assert known_accuracy({"groups": {"a": {"n": 0, "accuracy": {"value": None}}}}) is None


def test_small_groups_look_different_and_say_so(make_audit) -> None:
    rows = group_rows(make_audit(shown=True)["attributes"]["sex"], overall=0.7)
    female, _, other = rows
    assert 'class="bar"' in female.bar
    assert 'class="bar small"' in other.bar
    assert other.flags == ("under 30 images", "no image of class melanoma")
    assert other.n == 12


def test_an_empty_group_is_a_reason_not_a_bar() -> None:
    group = {"n": 0, "accuracy": {"value": None, "reason": "no rows", "n": 0}, "flags": ["small"]}
    row = group_rows({"groups": {"a": group}}, overall=None)[0]
    assert "not defined: no rows" in row.bar
    assert "<svg" not in row.bar


def test_flags_of_classes_with_colons_are_whole() -> None:
    assert flag_texts(["no_positives:a:b"]) == ("no image of class a:b",)


def test_the_classes_that_a_group_lacks_are_one_flag_however_many() -> None:
    lacking = [f"no_positives:c{k}" for k in range(100)]
    assert flag_texts(["small", *lacking, "other"]) == (
        "under 30 images",
        "other",
        "no image of class c0, c1, c2, c3, c4 and 95 more",
    )


def test_a_figure_defined_in_no_group_is_said_once_and_takes_no_column(make_audit) -> None:
    audit = make_audit(shown=True)
    for group in audit["attributes"]["sex"]["groups"].values():
        group["positive_f1"] = {"value": None, "n": 0, "reason": "defined for two classes only, here 3"}
    (view,) = audit_views(audit, lead="sex")
    first = view.attributes[0]
    assert len(first.undefined_everywhere) == 1
    assert "defined for two classes only, here 3" in first.undefined_everywhere.values()
    assert not set(first.undefined_everywhere) & set(first.other_names)
    assert "Macro F1" in first.other_names
