"""Files as a page names them: a page travels, and the folders of the machine it was made on are nobody's business."""

from __future__ import annotations

from pathlib import Path


def short_place(path: Path | str) -> str:
    """The file's name with its last folder at most; records hold the whole path.

    Example:
        >>> short_place("/home/jane/clinic/predictions.csv")
        'clinic/predictions.csv'
    """
    place = Path(path)
    folder = place.parent.name
    return place.name if folder in {"", ".."} else f"{folder}/{place.name}"
