"""Images of a store beside their twins, as one picture that a page holds; they are patients' images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mindgap.report.estimate import count, decimal
from mindgap.report.picture_pairs import Bytes, data_uri, draw_pairs, pair_places, panel_px


@dataclass(frozen=True)
class ExampleWords:
    """What is said of one example: its band, angle, spread, flags, and what its twin is; NaN and None are not known."""

    id: str
    band: str | None
    degrees: float
    iqr_degrees: float
    flags: tuple[str, ...]
    target_degrees: float
    twin_band: str | None
    twin_degrees: float


@dataclass(frozen=True)
class Panel:
    """Where one example lies in the sheet, and its caption."""

    x_px: int
    y_px: int
    id: str
    tone: str
    angle: str
    twin: str
    flags: tuple[str, ...]

    @property
    def alt(self) -> str:
        """What the picture shows, in words."""
        return f"{self.id}: an image of {self.tone}, {self.angle}, its lesion outlined; beside it: {self.twin}"


@dataclass(frozen=True)
class ExampleSheet:
    """A PNG of pairs, each of two squares of ``panel_px``: an image with its lesion outlined, and its twin."""

    uri: str
    width_px: int
    height_px: int
    panel_px: int
    panels: tuple[Panel, ...]

    @property
    def pair_px(self) -> int:
        """Width of a pair."""
        return 2 * self.panel_px

    @property
    def caution(self) -> str:
        """That the page holds images."""
        n = len(self.panels)
        said = "1 image of a patient and its twin" if n == 1 else f"{count(n)} images of patients and their twins"
        return (
            f"This page holds {said}, under Skin tone: keep it as you keep the images themselves, and make it anew "
            "without --examples to pass it on."
        )

    @property
    def how(self) -> str:
        """How they were drawn, and how to read them."""
        return (
            "Drawn by the audit's seed, as equally as there are images from every tone band and those of unknown tone, "
            "in each with and without flags in turn: their mix is not the set's. Left the image, its lesion mask "
            "outlined; right its twin."
        )


def example_sheet(images: Bytes, lesions: Bytes, twins: Bytes, words: Sequence[ExampleWords]) -> ExampleSheet:
    """Draws the sheet.

    Args:
        images: uint8 (n, S, S, 3), RGB.
        lesions: uint8 (n, S, S), 0 or 255.
        twins: uint8 (n, S, S, 3); not shown where the target is not known.
        words: of the n examples.
    """
    panel = panel_px(images.shape[1])
    known = [math.isfinite(one.target_degrees) for one in words]
    sheet = draw_pairs(images, lesions, [twin if has else None for twin, has in zip(twins, known, strict=True)])
    panels = [_panel(one, x, y) for one, (x, y) in zip(words, pair_places(len(words), panel), strict=True)]
    return ExampleSheet(data_uri(sheet), sheet.shape[1], sheet.shape[0], panel, tuple(panels))


def _panel(one: ExampleWords, x: int, y: int) -> Panel:
    known = math.isfinite(one.degrees)
    angle = f"ITA {decimal(one.degrees, 1)}°, IQR {decimal(one.iqr_degrees, 1)}°" if known else "ITA not known"
    return Panel(x, y, one.id, f"tone {one.band}" if one.band else "unknown tone", angle, _twin(one), one.flags)


def _twin(one: ExampleWords) -> str:
    if not math.isfinite(one.target_degrees):
        return "no twin"
    asked = f"asked for {decimal(one.target_degrees, 1)}°"
    if one.twin_band is None:
        return f"twin of unknown tone, {asked}"
    return f"twin of tone {one.twin_band}, {decimal(one.twin_degrees, 1)}°, {asked}"
