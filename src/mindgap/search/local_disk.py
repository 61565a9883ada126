"""Whether a folder lies on a disk of this machine: SQLite's locks do not hold on network file systems."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil

from mindgap.core.errors import RunError

NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "afs", "fuse.sshfs"})


def network_file_system(folder: Path, mounts: Iterable[tuple[str, str]] | None = None) -> str | None:
    """Name of the network file system a folder lies on; None on a local disk.

    Args:
        folder: the folder, which need not exist yet.
        mounts: mount points with the name of their file system; None asks the system.

    Example:
        >>> network_file_system(Path("/home/me/run"), [("/", "ext4"), ("/home", "nfs4")])
        'nfs4'
    """
    if mounts is None:
        mounts = [(part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)]
    place = folder.resolve()
    over = [(Path(point), kind) for point, kind in mounts if place.is_relative_to(point)]
    if not over:
        return None
    kind = max(over, key=lambda mount: len(mount[0].parts))[1]
    return kind if kind in NETWORK else None


def refuse_network_disk(folder: Path) -> None:
    """Lets only folders on a local disk pass; the folder need not exist yet.

    Raises:
        RunError: it lies on a network file system.
    """
    network = network_file_system(folder)
    if network is not None:
        raise RunError(
            f"{folder}: lies on a network file system ({network}), where SQLite is not safe; choose a local disk"
        )
