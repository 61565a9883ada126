"""Examples of images beside their twins: one picture, where each lies in it, and what is said of it."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import pytest
from PIL import Image

from mindgap.report.example_sheet import ExampleWords, example_sheet
from mindgap.report.picture_pairs import GROUND, MOST_PX, OUTLINE

KNOWN = ExampleWords("i0", "II", 45.25, 8.0, ("cast",), 20.0, "IV", 21.04)
NONE = ExampleWords("i1", None, math.nan, math.nan, ("no_skin", "clipped"), math.nan, None, math.nan)


def sheet_of(words, *, size=16, lesion=None):
    """The sheet and its pixels; images are red and twins blue."""
    images, twins = np.zeros((2, len(words), size, size, 3), dtype=np.uint8)
    images[..., 0], twins[..., 2] = 200, 200
    lesions = np.zeros((len(words), size, size), dtype=np.uint8)
    if lesion is not None:
        lesions[:, lesion, lesion] = 255
    found = example_sheet(images, lesions, twins, words)
    kind, data = found.uri.split(",")
    assert kind == "data:image/png;base64"
    return found, np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_an_image_stands_beside_its_twin_with_its_lesion_outlined():
    found, pixels = sheet_of([KNOWN], lesion=slice(4, 12))
    assert (found.panel_px, found.pair_px) == (128, 256)
    assert pixels.shape == (128, 256, 3) == (found.height_px, found.width_px, 3)
    outline = (pixels == OUTLINE).all(axis=2)
    assert outline[32, 32:96].all()
    assert outline[32:96, 95].all()
    assert outline.sum() == 4 * 63, "one pixel wide around a square of 64"
    assert (pixels[~outline][:, 0] == 200).sum() == 128**2 - 4 * 63
    assert (pixels[:, 128:] == (0, 0, 200)).all()


@pytest.mark.parametrize("lesion", [None, slice(None)])
def test_an_empty_mask_and_one_of_the_whole_image_have_no_outline(lesion):
    assert not (sheet_of([KNOWN], lesion=lesion)[1] == OUTLINE).all(axis=2).any()


def test_where_there_is_no_twin_its_place_is_empty():
    found, pixels = sheet_of([NONE])
    assert (pixels[:, 128:] == GROUND).all()
    assert found.panels[0].twin == "no twin"


@pytest.mark.parametrize(("size", "panel"), [(1, 128), (8, 128), (100, 100), (128, 128), (192, 192), (256, MOST_PX)])
def test_small_images_are_repeated_and_large_ones_reduced(size, panel):
    found, pixels = sheet_of([KNOWN] * 3, size=size)
    assert found.panel_px == panel
    assert pixels.shape[1] % found.pair_px == pixels.shape[0] % panel == 0


def test_panels_lie_beside_and_below_one_another():
    found, pixels = sheet_of([KNOWN, NONE, KNOWN, KNOWN, NONE])
    assert [(one.x_px, one.y_px) for one in found.panels] == [(0, 0), (256, 0), (0, 128), (256, 128), (0, 256)]
    for one in found.panels:
        twin = pixels[one.y_px, one.x_px + 128]
        assert tuple(twin) == ((GROUND,) * 3 if one.twin == "no twin" else (0, 0, 200))


def test_captions_say_what_is_known():
    known, none = sheet_of([KNOWN, NONE])[0].panels
    assert (known.tone, known.angle) == ("tone II", "ITA 45.2°, IQR 8.0°")
    assert known.twin == "twin of tone IV, 21.0°, asked for 20.0°"
    assert known.alt.startswith("i0: an image of tone II, ITA 45.2°")
    assert (none.tone, none.angle, none.flags) == ("unknown tone", "ITA not known", ("no_skin", "clipped"))
    grey = ExampleWords("i", "I", 80.0, 1.0, (), 20.0, None, math.nan)
    assert sheet_of([grey])[0].panels[0].twin == "twin of unknown tone, asked for 20.0°"


def test_the_caution_counts_the_images():
    assert "holds 2 images of patients and their twins" in sheet_of([KNOWN, NONE])[0].caution
    assert "holds 1 image of a patient and its twin" in sheet_of([KNOWN])[0].caution
