"""A figure draws the groups a reader needs, and says how many it leaves out."""

from __future__ import annotations

from mindgap.report.drawn_groups import drawn_groups, lowest_group, not_drawn

SIZES = {"a": 9, "b": 1, "c": 7, "empty": 0, "d": 8}


def test_the_largest_groups_are_drawn_in_the_order_of_the_audit() -> None:
    assert drawn_groups(SIZES, most=2) == ("a", "d")
    assert drawn_groups(SIZES) == ("a", "b", "c", "d")


def test_wanted_groups_are_never_missing_unless_they_have_no_rows() -> None:
    assert drawn_groups(SIZES, wanted=["b", None, "empty", "unknown"], most=2) == ("a", "b")


def test_the_lowest_group_is_one_large_enough_to_say(make_audit) -> None:
    groups = {"a": (0.7, 100), "b": (0.6, 100), "tiny": (0.1, 4)}
    assert lowest_group(make_audit(shown=True, groups=groups)["attributes"]["sex"]) == "b"
    assert lowest_group({}) is None


def test_what_is_not_drawn_is_counted() -> None:
    assert not_drawn(SIZES, ("a", "b", "c", "d")) == ""
    assert not_drawn(SIZES, ("a", "b", "c")) == "1 more group is not drawn; the tables have it."
    assert not_drawn(SIZES, ("a",)).startswith("3 more groups are not drawn")
