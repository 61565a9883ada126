from __future__ import annotations

import numpy as np

from mindgap.audit.tone_table import Tones, tone_record

SPLITS = np.array(["train", "train", "test", "test"], dtype=object)


def record(**columns):
    return tone_record(Tones(**columns), SPLITS, split_names=("train", "test"))


def test_angles_are_binned_and_dark_ones_counted():
    found = record(degrees=np.array([60.0, 28.0, np.nan, -95.0]))
    assert (found["n"], found["unknown"], found["darker_than_iii"]) == (3, 1, 2)
    assert sum(found["counts"]) == 3
    assert found["counts"][0] == 1
    assert found["counts"][found["edges_degrees"].index(60.0)] == 1
    assert found["bands"] is None


def test_bands_stand_from_light_to_dark_with_their_splits():
    bands = np.array(["VI", "I", "I", None], dtype=object)
    found = record(degrees=np.zeros(4), bands=bands)
    assert list(found["bands"].items()) == [
        ("I", {"n": 2, "train": 1, "test": 1}),
        ("VI", {"n": 1, "train": 1, "test": 0}),
    ]


def test_flags_are_counted_word_by_word():
    flags = np.array(["cast,few_pixels", "cast", None, ""], dtype=object)
    assert record(degrees=np.zeros(4), flags=flags)["flags"] == {"cast": 2, "few_pixels": 1}


def test_without_a_single_angle_nothing_is_claimed():
    found = record(degrees=np.full(4, np.nan))
    assert found["quartiles_degrees"] == [None, None, None]
    assert sum(found["counts"]) == 0


def test_bands_are_counted_by_class_and_split_with_the_reasons_of_the_others():
    bands = np.array(["II", "I", None, None], dtype=object)
    flags = np.array(["cast", "", "cast,few_pixels", "cast"], dtype=object)
    classes = {"mel": np.array([True, False, True, False]), "red": np.array([True, True, True, True])}
    degrees = np.array([50.0, 60.0, np.nan, np.nan])
    found = tone_record(Tones(degrees, bands, flags), SPLITS, split_names=("train", "test"), classes=classes)
    assert found["by_class"]["mel"] == {
        "n": 2, "known": 1, "bands": {"I": 0, "II": 1}, "shares": {"I": 0.0, "II": 1.0},
        "unknown": 1, "unknown_flags": {"cast": 1, "few_pixels": 1},
    }  # fmt: skip
    assert found["by_class"]["red"] == found["overall"]
    assert found["by_split"]["test"] == {
        "n": 2, "known": 0, "bands": {"I": 0, "II": 0}, "shares": {"I": None, "II": None},
        "unknown": 2, "unknown_flags": {"cast": 2, "few_pixels": 1},
    }  # fmt: skip
    assert found["overall"]["shares"] == {"I": 0.5, "II": 0.5}


def test_bands_of_other_cut_offs_stand_from_light_to_dark_too():
    bands = np.array(["dark", "tan_1", "very_light", "tan_2"], dtype=object)
    assert list(record(degrees=np.zeros(4), bands=bands)["bands"]) == ["very_light", "tan_2", "tan_1", "dark"]
