"""Whether a folder lies on a disk of this machine: SQLite's locks do not hold on network file systems."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil

NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "afs", "fuse.sshfs"})


def network_file_system(folder: Path, mounts: Iterable[tuple[str, str]] | None = None) -> str | None:
    """Name of the network file system a folder lies on; None on a local disk.

    Args:
        folder: an existing folder.
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
