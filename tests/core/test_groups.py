from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.errors import ShapeError
from mindgap.core.groups import Groups
from mindgap.core.seed import derive_seed, numpy_generator


def test_unknown_rows_are_counted_nowhere():
    groups = Groups("sex", ("female", "male"), np.array([0, 1, 1, -1]))
    assert groups.counts().tolist() == [1, 2]
    assert groups.shares().tolist() == pytest.approx([1 / 3, 2 / 3])
    assert groups.take(np.array([3, 1])).ids.tolist() == [-1, 1]
    assert groups.known.tolist() == [True, True, True, False]


def test_shares_of_an_attribute_known_nowhere_are_nan():
    assert np.isnan(Groups("sex", ("a", "b"), np.array([-1])).shares()).all()


def test_a_group_number_out_of_range_is_refused():
    with pytest.raises(ShapeError, match=r"must lie in -1..1, got 0..2"):
        Groups("sex", ("a", "b"), np.array([0, 2]))
    with pytest.raises(ShapeError, match="one-dimensional"):
        Groups("sex", ("a", "b"), np.zeros((2, 2), np.int64))


def test_seeds_depend_on_every_part_its_kind_and_order():
    seeds = {
        derive_seed(0, "a"),
        derive_seed("a", 0),
        derive_seed("0", "a"),
        derive_seed(1, "a"),
        derive_seed(0, "a", 0),
    }
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert numpy_generator(3, "x").integers(1000) == numpy_generator(3, "x").integers(1000)


def test_groups_are_renumbered_in_an_order_that_names_all_of_them():
    groups = Groups("age", ("10-20", "5-10"), np.array([0, 1, -1, 0]))
    ordered = groups.in_order(("0-5", "5-10", "10-20"))
    assert ordered.names == ("5-10", "10-20")
    assert ordered.ids.tolist() == [1, 0, -1, 1]
    assert groups.in_order(("5-10",)) is groups
