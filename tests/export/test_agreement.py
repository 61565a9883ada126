from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.errors import DataError
from mindgap.export.agreement import agreement


def test_difference_and_flips_by_hand():
    ours = np.array([[0.6, 0.4], [0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    theirs = np.array([[0.4, 0.6], [0.8, 0.2], [0.5, 0.5], [0.2, 0.8]])
    found = agreement(ours, theirs, task="single-label")
    assert found.to_record() == {"n": 4, "max_difference": pytest.approx(0.2), "flipped": 0.25}


def test_a_flip_of_several_labels_is_one_of_images_times_labels():
    ours, theirs = np.array([[0.6, 0.4], [0.9, 0.1]]), np.array([[0.4, 0.4], [0.9, 0.5]])
    assert agreement(ours, theirs, task="multi-label").flipped == 0.25


def test_nan_agrees_with_nothing():
    with pytest.raises(DataError, match="a probability is NaN"):
        agreement(np.array([[0.5, 0.5]]), np.array([[np.nan, 0.5]]), task="single-label")
