from __future__ import annotations

from pathlib import Path

import pytest

from mindgap.search.local_disk import network_file_system

MOUNTS = [("/", "ext4"), ("/home", "nfs4"), ("/home/me/scratch", "xfs")]


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/data/run", None), ("/home/me/run", "nfs4"), ("/home/me/scratch/run", None), ("/homes", None)],
)
def test_the_deepest_mount_point_decides(folder, kind):
    assert network_file_system(Path(folder), MOUNTS) == kind


def test_the_test_folder_is_asked_of_the_system(tmp_path):
    assert network_file_system(tmp_path) in {None, "nfs4", "nfs"}
