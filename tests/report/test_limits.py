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
    lines = data_limits({"test": make_audit(shown=True)}, store=store, excluded_groups=["other"])
    said = "\n".join(lines)
    assert "sex, test split: under 30 images in other (n\u00a0=\u00a012)" in said
    assert "Left out of U in the search's reward, being too small on the validation split: other." in said
    assert "sex = other, test split: no image of class melanoma" in said
    assert "age is unknown for 61 of 400 images, 2 of them outside its bands" in said
    assert "did not enter the store: 3 missing file." in said
    assert "2 pairs of nearly identical images" in said
    assert "Standardised U over age, test split, is not defined: classes common to all groups" in said
    assert len(lines) == len(set(lines)) == 7


def test_nothing_is_invented_where_the_store_is_not_known(make_audit) -> None:
    groups = {"a": (0.7, 100), "b": (0.7, 100)}
    audit = make_audit(shown=False, groups=groups)
    del audit["attributes"]["age"]
    assert data_limits({"test": audit}, store={}) == []


def test_excluded_groups_may_carry_their_sizes() -> None:
    said = data_limits({}, store={}, excluded_groups=[{"name": "other", "n": 12}])
    assert "other (n = 12)" in said[0]
