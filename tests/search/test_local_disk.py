from __future__ import annotations

from pathlib import Path

import pytest

from mindgap.core.errors import RunError
from mindgap.search.local_disk import network_file_system, refuse_network_disk

MOUNTS = [("/", "ext4"), ("/home", "nfs4"), ("/home/me/scratch", "xfs")]


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/data/run", None), ("/home/me/run", "nfs4"), ("/home/me/scratch/run", None), ("/homes", None)],
)
def test_the_deepest_mount_point_decides(folder, kind):
    assert network_file_system(Path(folder), MOUNTS) == kind


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a file system of a known kind is needed: Linux's /proc")
def test_a_folder_on_a_file_system_that_the_machine_has_mounted_is_refused(tmp_path, monkeypatch):
    refuse_network_disk(Path("/proc/run"))
    monkeypatch.setattr("mindgap.search.local_disk.NETWORK", frozenset({"proc"}))
    with pytest.raises(RunError, match=r"^/proc/run: lies on a network file system \(proc\).*choose a local disk"):
        refuse_network_disk(Path("/proc/run"))
    refuse_network_disk(tmp_path / "run")
