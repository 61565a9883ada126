"""What the data cannot answer is said, each thing once."""

from __future__ import annotations

from mindgap.report.limits import data_limits


def test_every_limit_of_the_data_is_a_sentence(make_audit) -> None:
    store = {
        "n": 400,
        "attributes": {"age": {"unknown": 61, "out_of_range": 2}, "sex": {"unknown": 0, "out_of_range": 0}},
        "dropped": {"missing_file": 3, "unreadable": 0},
        "duplicates": {"pairs": [["a", "b"], ["c", "d"]]},
    }
    audit = make_audit(shown=True)
    audit["attributes"]["age"]["unknown"] = 9
    audit["attributes"]["sex"]["unknown"] = 0
    lines = data_limits({"test split": audit}, store=store, excluded_groups=["other"])
    said = "\n".join(lines)
    assert "sex, test split: under 30 images in other (n\u00a0=\u00a012)" in said
    assert "Left out of U in the search's reward, being too small on the validation split: other." in said
    assert "sex = other, test split: no image of class melanoma" in said
    assert (
        "age is unknown for 9 of 600 images of the test split; they are left out of the figures over age. "
        "Images of unknown age in the training split were trained on." in said
    )
    assert "In the store, 2 values of age lie outside its bands and count as unknown." in said
    assert "61" not in said
    assert "did not enter the store: 3 missing file." in said
    assert "2 pairs of nearly identical images" in said
    assert "Standardised U over age, test split, is not defined: classes common to all groups" in said
    assert len(lines) == len(set(lines)) == 8


def test_nothing_is_invented_where_the_store_is_not_known(make_audit) -> None:
    groups = {"a": (0.7, 100), "b": (0.7, 100)}
    audit = make_audit(shown=False, groups=groups)
    del audit["attributes"]["age"]
    assert data_limits({"test split": audit}, store={}) == []


def test_excluded_groups_may_carry_their_sizes() -> None:
    said = data_limits({}, store={}, excluded_groups=[{"name": "other", "n": 12}])
    assert "other (n = 12)" in said[0]


def test_a_class_that_does_not_occur_is_named(make_audit) -> None:
    audit = make_audit(shown=False) | {"class_support": {"melanoma": 0, "nevus": 400, "keratosis": 200}}
    said = data_limits({"test split": audit}, store={})
    assert "No image of class melanoma in the test split: no figure speaks of it." in said


def test_an_attribute_that_the_audit_does_not_count_is_counted_in_the_store(make_audit) -> None:
    store = {"n": 400, "attributes": {"sex": {"unknown": 4}}}
    assert any("sex is unknown for 4 of 400 images of the store" in x for x in data_limits({}, store=store))


def test_unknown_groups_are_counted_once_per_split_whatever_the_labels(make_audit) -> None:
    audit = make_audit(shown=False)
    audit["attributes"]["sex"]["unknown"] = 9
    named = {"test split (label a)": audit, "test split (label b)": audit, "validation split (label a)": audit}
    lines = [line for line in data_limits(named, store={}) if "unknown for" in line]
    assert len(lines) == 1
    assert "9 of 600 images of the test split, 9 of 600 images of the validation split; they" in lines[0]


def test_one_pair_is_not_said_in_plural() -> None:
    said = data_limits({}, store={"duplicates": {"pairs_across_splits": 1}})
    assert said == ["1 pair of nearly identical images lies in different splits; test figures may be flattered."]


def test_gaps_undefined_for_one_reason_are_one_line_over_all_attributes(make_audit) -> None:
    audit = make_audit(shown=False)
    nothing = {"value": None, "n": 0, "reason": "defined for two classes only, here 3"}
    for part in audit["attributes"].values():
        part["gaps"] |= {"equalized_odds_medfair": nothing, "positive_f1_difference": nothing}
    lines = [line for line in data_limits({"test split": audit}) if "two classes only" in line]
    assert len(lines) == 1
    assert lines[0].endswith("over sex and age, test split, are not defined: defined for two classes only, here 3.")
