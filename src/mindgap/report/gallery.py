"""Images beside the maps of where a network looks on them, group by group, right and wrong cases apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgap.core.errors import DataError
from mindgap.report.estimate import count, decimal, percent
from mindgap.report.picture_pairs import pair_places, png_uri

GALLERY_FILE = "gallery.png"
RIGHT, WRONG = "right", "wrong"


@dataclass(frozen=True)
class Shown:
    """Where one example lies in the sheet, and its caption."""

    x_px: int
    y_px: int
    id: str
    says: str
    about: str

    @property
    def alt(self) -> str:
        """What the picture shows, in words."""
        return f"{self.id}: the image, its lesion outlined where a mask is known; beside it the map. {self.says}"


@dataclass(frozen=True)
class Cell:
    """The examples of one group that are right, or wrong, of so many."""

    title: str
    examples: tuple[Shown, ...]


@dataclass(frozen=True)
class Gallery:
    """A PNG of pairs, each of two squares of ``panel_px``, and what each shows, by group and by right and wrong."""

    uri: str
    width_px: int
    height_px: int
    panel_px: int
    cells: tuple[Cell, ...]

    @property
    def pair_px(self) -> int:
        """Width of a pair."""
        return 2 * self.panel_px

    @property
    def n(self) -> int:
        """How many examples there are."""
        return sum(len(cell.examples) for cell in self.cells)

    @property
    def caution(self) -> str:
        """That the page holds images."""
        said = "1 image of a person" if self.n == 1 else f"{count(self.n)} images of people"
        return (
            f"This page holds {said}, each beside its map: keep it as you keep the images themselves, and make it anew "
            "without --examples to pass it on."
        )


def read_gallery(folder: Path, record: Mapping[str, Any]) -> Gallery | None:
    """The gallery that an explanation's folder holds; None if no examples were asked for.

    Raises:
        DataError: the sheet is missing or damaged.
    """
    found = record["gallery"]
    if found is None:
        return None
    try:
        content = (folder / GALLERY_FILE).read_bytes()
    except OSError as error:
        raise DataError(f"{folder / GALLERY_FILE}: cannot read ({error.strerror}); explain it again") from None
    examples, panel = found["examples"], int(found["panel_px"])
    places = pair_places(len(examples), panel)
    shown = [_shown(one, record, x, y) for one, (x, y) in zip(examples, places, strict=True)]
    return Gallery(
        uri=png_uri(content),
        width_px=max(x for x, _ in places) + 2 * panel,
        height_px=places[-1][1] + panel,
        panel_px=panel,
        cells=_cells(found, examples, shown),
    )


def _cells(found: Mapping[str, Any], examples: Sequence[Mapping[str, Any]], shown: Sequence[Shown]) -> tuple[Cell, ...]:
    cells: dict[tuple[Any, bool], list[Shown]] = {}
    for one, picture in zip(examples, shown, strict=True):
        cells.setdefault((one["group"], one["right"]), []).append(picture)
    return tuple(Cell(_title(found, group, right, len(of)), tuple(of)) for (group, right), of in cells.items())


def _title(found: Mapping[str, Any], group: str | None, right: bool, n: int) -> str:  # noqa: FBT001  (a cell's key)
    of = next(cell["n"] for cell in found["cells"] if cell["group"] == group and cell["right"] == right)
    whose = f"{found['attribute']} not known" if group is None else f"{found['attribute']} {group}"
    return f"{whose}, {RIGHT if right else WRONG}: {count(n)} of {count(of)}"


def _shown(one: Mapping[str, Any], record: Mapping[str, Any], x: int, y: int) -> Shown:
    predicted = f"{one['predicted']} ({percent(one['probability'], 0)})"
    says = f"predicted {predicted}" + ("" if one["right"] else f", is {one['label']}")
    explained = [] if one["target"] == one["predicted"] else [f"map for {one['target']}"]
    focus = _focus(one, has_masks=record["masks"]["known"] > 0)
    return Shown(x, y, one["id"], says, ", ".join([*explained, focus]))


def _focus(one: Mapping[str, Any], *, has_masks: bool) -> str:
    if one["is_blank"]:
        return "empty map: nothing speaks for the class"
    if one["focus"] is not None:
        return f"focus {decimal(one['focus'], 2)}"
    return "focus not known" if has_masks else ""
