from __future__ import annotations

import pytest

from mindgap.search.memory_kills import memory_kills

V1 = "4:memory:/box\n3:cpuset:/\n0::/\n"
V2 = "0::/user/session\n"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        (V2, {"sys/fs/cgroup/user/session/memory.events": "oom 3\noom_kill 2\n", "proc/vmstat": "oom_kill 9\n"}, 2),
        (V1, {"sys/fs/cgroup/memory/box/memory.oom_control": "under_oom 0\noom_kill 4\n"}, 4),
        (V2, {"proc/vmstat": "pgfault 5\noom_kill 9\n"}, 9),
        (V2, {"proc/vmstat": "pgfault 5\n"}, None),
        (None, {}, None),
    ],
)
def test_kills_are_counted_in_the_own_group_before_the_whole_machine(tmp_path, groups, files, expected):
    for name, text in ({} if groups is None else {"proc/self/cgroup": groups} | files).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory_kills(tmp_path) == expected


def test_this_machine_can_be_asked():
    found = memory_kills()
    assert found is None or found >= 0
