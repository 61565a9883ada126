from __future__ import annotations

from pathlib import Path

from mindgap.cli.verbs.prepare import summary


def group(name: str, n: int, *flags: str, test: int = 0) -> dict:
    return {"name": name, "n": n, "test": test, "flags": list(flags)}


def attribute(*groups: dict, spec: str = "a", unknown: int = 0, out_of_range: int = 0) -> dict:
    return {"spec": spec, "groups": list(groups), "unknown": unknown, "out_of_range": out_of_range}


def lines(**changed: object) -> list[str]:
    plain = {
        "n": 100,
        "size_px": 64,
        "classes": ["a", "b"],
        "attributes": {"sex": attribute(group("f", 50, test=30), group("m", 49, test=30), spec="sex", unknown=1)},
        "split": {"counts": {"train": 20, "validation": 20, "test": 60}},
        "masks": None,
        "duplicates": {"pairs_across_splits": 0},
        "notes": [],
        "dropped": {},
    }
    return summary(Path("store"), plain | changed)


def test_a_clean_store_takes_a_line_and_one_per_attribute():
    assert lines() == ["store: 100 images of 64 px, classes a, b", "  sex: f 50, m 49; unknown 1"]


def test_what_may_leak_and_what_is_wrong_with_masks_is_said():
    assert lines(
        masks={"n": 90, "missing": 7, "unreadable": 3, "empty": 2},
        duplicates={"pairs_across_splits": 12},
        notes=["no column 'lesion_id': every image is a cluster of its own"],
        dropped={"unreadable": 4},
    )[2:] == [
        "  masks: 90 read; 7 missing, 3 unreadable, 2 empty",
        "  note: 12 pairs of near-duplicate images lie in different splits (see store.json)",
        "  note: no column 'lesion_id': every image is a cluster of its own",
        "  dropped: 4 unreadable (see store/dropped.csv)",
    ]


def test_values_out_of_range_and_groups_without_a_test_image_are_named():
    age = attribute(
        group("0-30", 60, test=30), group("30-60", 1, "single_image", "not_in_test"),
        spec="age:bands=0/30/60", unknown=39, out_of_range=5,
    )  # fmt: skip
    assert lines(attributes={"age": age})[1:] == [
        "  age: 0-30 60, 30-60 1; unknown 39, of which 5 are no number or out of range",
        "  note: no test image of age=30-60",
    ]


def test_a_group_is_small_by_its_test_images_as_gaps_are_read_on_them():
    sex = attribute(group("d", 40, test=1), group("f", 190, test=29), group("m", 200, test=30), spec="sex")
    assert lines(attributes={"sex": sex})[2:] == [
        "  note: sex=d has 1 test image: too few for its own figure",
        "  note: sex=f has 29 test images: too few for its own figure",
    ]


def test_without_a_test_split_a_group_is_small_by_all_its_images():
    sex = attribute(group("f", 190), group("m", 20), spec="sex")
    split = {"counts": {"train": 200, "validation": 10, "test": 0}}
    assert lines(attributes={"sex": sex}, split=split)[2:] == [
        "  note: sex=m has 20 images: too few for its own figure"
    ]


def test_a_group_whose_name_may_mean_a_missing_value_is_pointed_out_as_audit_does():
    sex = attribute(group("N/A", 1, test=40), group("f", 190, test=40), group("unknown", 80, test=40), spec="sex")
    assert lines(attributes={"sex": sex})[2:] == [
        "  note: sex has a group 'N/A' of 1 row; if that word means a missing value, empty those cells",
        "  note: sex has a group 'unknown' of 80 rows; if that word means a missing value, empty those cells",
    ]


def test_many_small_groups_take_one_line():
    large = [group(str(n), 40, test=30) for n in range(3)]
    single = [group(str(n), 1, "not_in_test", "single_image") for n in range(3, 30)]
    age = attribute(*large, *single, spec="age")
    assert lines(attributes={"age": age})[1:] == [
        "  age: 0 40, 1 40, 2 40, 3 1, 4 1, 5 1, 6 1, 7 1, 8 1, 9 1, 10 1, 11 1 and 18 more; unknown 0",
        "  note: 27 of 30 groups of age have under 30 test images; cut numbers with age:bands=…",
        "  note: no test image of age=3, 4, 5 and 24 more",
        "  note: one image only of age=3, 4, 5 and 24 more",
    ]
