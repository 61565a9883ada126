from __future__ import annotations

import numpy as np
import pytest

from mindgap.search.token_walk import choices_of, draw_uniform, follow, nearest_valid, replay
from mindgap.testing.token_game import SmallSpace


@pytest.mark.parametrize(
    ("choice", "valid", "nearest"),
    [(2, [1, 1, 1, 1], 2), (2, [1, 1, 0, 1], 1), (0, [0, 0, 0, 1], 3), (3, [1, 0, 1, 0], 2)],
)
def test_an_invalid_choice_is_mended_to_the_nearest_the_lower_of_two(choice, valid, nearest):
    assert nearest_valid(choice, np.array(valid, dtype=bool)) == nearest


def test_replayed_choices_are_named_by_kind_and_position():
    tokens = (4, 0, 2, 3, 2, 1)  # ratio; type 0 width 2; type 3 is a skip; type 2 width 1
    expected = {("ratio", 0): 4, ("type", 0): 0, ("width", 0): 2, ("type", 1): 3, ("type", 2): 2, ("width", 2): 1}
    assert choices_of(replay(SmallSpace(), tokens)) == expected


def test_following_a_candidates_own_choices_gives_the_candidate():
    space = SmallSpace()
    for seed in range(20):
        tokens = draw_uniform(space, np.random.default_rng(seed))
        assert follow(space, choices_of(replay(space, tokens)), np.random.default_rng(0)) == tokens


def test_following_mends_what_an_earlier_choice_made_invalid():
    choices = {("ratio", 0): 0, ("type", 0): 1, ("width", 0): 0, ("type", 1): 1, ("width", 1): 2, ("type", 2): 3}
    # type 1 may come once: the second becomes type 0, the nearest and lower; its width stays
    assert follow(SmallSpace(), choices, np.random.default_rng(0)) == (0, 1, 0, 0, 2, 3)


def test_a_place_that_was_never_come_to_is_drawn():
    choices = {("ratio", 0): 0, ("type", 0): 0, ("type", 1): 3, ("type", 2): 3}
    drawn = {follow(SmallSpace(), choices, np.random.default_rng(seed)) for seed in range(40)}
    assert drawn == {(0, 0, width, 3, 3) for width in range(3)}
