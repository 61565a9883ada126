"""Groups too small to say what an export does to them: those that the run left out of its U, or of few images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mindgap.core.files import read_json
from mindgap.core.groups import Groups
from mindgap.core.small_group import SMALL_GROUP

SEARCH_FILE = "search.json"


def groups_left_out_by(run: Path) -> dict[str, tuple[str, ...]]:
    """Attribute → the groups that a search left out of its U, maybe none; no entry where the run does not say.

    Raises:
        DataError: its record is damaged.
    """
    record = read_json(run / SEARCH_FILE) if (run / SEARCH_FILE).is_file() else None
    if not isinstance(record, dict):
        return {}
    attribute, names = record.get("attribute"), record.get("excluded_groups")
    return {attribute: tuple(map(str, names))} if isinstance(attribute, str) and isinstance(names, list) else {}


def least_group_sizes(groups: Mapping[str, Groups], *, told: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Attribute → images under which a group is left out of U; of attributes of which some are.

    Args:
        groups: attribute → groups of the images that judge.
        told: attribute → the groups that the run left out for being too small on the same images. Of other attributes
            those of under 30 images are left out, if two are left.

    Example:
        >>> least_group_sizes({"sex": Groups("sex", ("a", "b", "c"), np.repeat([0, 1, 2], [40, 40, 1]))}, told={})
        {'sex': 30}
    """
    sizes = {
        name: _of_names(of, told[name]) if name in told else _of_few_images(of.counts().tolist())
        for name, of in groups.items()
    }
    return {name: size for name, size in sizes.items() if size}


def left_out(groups: Mapping[str, Groups], sizes: Mapping[str, int]) -> dict[str, list[str]]:
    """Attribute → the groups of fewer images than its size."""
    return {
        name: [group for group, n in zip(groups[name].names, groups[name].counts(), strict=True) if n < size]
        for name, size in sizes.items()
    }


def _of_names(groups: Groups, names: Sequence[str]) -> int:
    sizes = dict(zip(groups.names, groups.counts().tolist(), strict=True))
    return max((sizes[name] + 1 for name in names if name in sizes), default=0)


def _of_few_images(counts: Sequence[int]) -> int:
    small = sum(n < SMALL_GROUP for n in counts)
    return SMALL_GROUP if small and len(counts) - small >= 2 else 0
