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
