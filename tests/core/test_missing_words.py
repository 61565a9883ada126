from __future__ import annotations

import pytest

from mindgap.core.missing_words import missing_word_notes


@pytest.mark.parametrize("word", ["unknown", "Unknown ", "NA", "n/a", "NaN", "none", "NULL", "missing", "?", "-"])
def test_a_word_for_a_missing_value_is_told_with_its_rows(word):
    (told,) = missing_word_notes("sex", [("female", 9), (word, 80)])
    assert told == f"sex has a group {word!r} of 80 rows; if that word means a missing value, empty those cells"


def test_words_that_only_hold_one_are_names():
    assert missing_word_notes("site", [("banana", 3), ("unknown primary", 2), ("0-30", 1)]) == []
