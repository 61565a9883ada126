from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.errors import DataError
from mindgap.core.files import write_json
from mindgap.core.groups import Groups
from mindgap.export.left_out import groups_left_out_by, least_group_sizes, left_out


def groups(*sizes):
    names = tuple("abcdef"[: len(sizes)])
    return {"tone": Groups("tone", names, np.repeat(np.arange(len(sizes)), sizes))}


@pytest.mark.parametrize(
    ("sizes", "told", "names"),
    [
        ((40, 30, 29, 0), {}, ["c", "d"]),
        ((40, 30), {}, []),
        ((40, 29, 28), {}, []),  # two would not be left
        ((40, 30, 29, 4), {"tone": ["d"]}, ["d"]),
        ((40, 30, 29, 4), {"tone": []}, []),
        ((40, 30, 29, 0), {"tone": ["d", "gone"]}, ["d"]),
        ((40, 30, 29), {"sex": ["x"]}, ["c"]),
    ],
)
def test_a_group_is_left_out_if_the_run_did_or_else_if_it_is_small(sizes, told, names):
    found = groups(*sizes)
    assert left_out(found, least_group_sizes(found, told=told)).get("tone", []) == names


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"attribute": "tone", "excluded_groups": ["d"]}, {"tone": ("d",)}),
        ({"attribute": "tone", "excluded_groups": []}, {"tone": ()}),
        ({"presets": ["fair"], "excluded_groups": []}, {}),
        ({"attribute": "tone"}, {}),
        ([1], {}),
        (None, {}),
    ],
)
def test_a_search_says_which_groups_it_left_out_and_other_runs_do_not(record, told, tmp_path):
    if record is not None:
        write_json(tmp_path / "search.json", record)
    assert groups_left_out_by(tmp_path) == told


def test_a_damaged_record_of_a_search_is_refused(tmp_path):
    (tmp_path / "search.json").write_text("{")
    with pytest.raises(DataError, match=r"search\.json: not valid JSON"):
        groups_left_out_by(tmp_path)
