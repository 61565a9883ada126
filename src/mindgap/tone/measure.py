"""The individual typology angle of the skin in images, with what makes it doubtful."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import ShapeError
from mindgap.tone.lab import lab_of
from mindgap.tone.quantiles import masked_quantiles
from mindgap.tone.skin import SkinFinding, find_skin

Definition = Literal["cielab", "lab8"]
LEAST_RADIUS = 5.0  # distance from L* 50, b* 0; nearer the angle is noise
FEW_PIXELS, FEW_SHARE = 100, 0.02  # of the image
SPOILT_SHARE = 0.05  # of the pixels outside the lesion
LEAST_CHROMA = 0.5  # of the median skin; under it is grey to the rounding of bytes, which has an angle of 90° or none
WIDE_DEGREES = 60.0  # interquartile range of the angle; wider, the skin is near grey and its angle near any
HUES_DEGREES = (15.0, 85.0)  # of a* and b*; human skin under white light lies well within
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ToneMeasure:
    """Tones of n images.

    Attributes:
        ita_degrees: float64 (n,), median over the usable skin pixels; NaN where it is not known, and a flag says why.
        ita_iqr_degrees: float64 (n,), their interquartile range.
        ita_pixels: int64 (n,), how many they are.
        lightness: float64 (n,), median L* of the skin.
        yellowness: float64 (n,), median b* of the skin.
        flags: n tuples of names of ``tone.flags.TONE_FLAGS``.
        finding: which pixels are what.
    """

    ita_degrees: Floats
    ita_iqr_degrees: Floats
    ita_pixels: NDArray[np.int64]
    lightness: Floats
    yellowness: Floats
    flags: tuple[tuple[str, ...], ...]
    finding: SkinFinding


def measure_tone(
    images: Tensor,
    lesions: Tensor,
    *,
    definition: Definition = "cielab",
    gains: Tensor | None = None,
    skin: Tensor | None = None,
) -> ToneMeasure:
    """Measures skin tones from pixels.

    Per pixel the angle is atan2(L* − 50, b*); pixels with b* ≤ 0, or nearer than 5 to L* 50 and b* 0, say nothing.
    Where over half of the skin says nothing the angle is not known, and the image is flagged ``cast``; so is one whose
    skin has a hue that no skin has under white light, but its angle is kept. Nor is it known of grey pictures.

    Args:
        images: uint8 (N, 3, H, W).
        lesions: bool (N, H, W).
        definition: ``cielab``, or ``lab8``: atan((2.55·L* − 50)/(b* + 128)), which 8-bit images of OpenCV give and a
            widely used published table holds; its angles are in another range.
        gains: (N, 3), of each channel's light, see ``neutral_gains``; without them pixels count as they are.
        skin: bool (N, H, W), where it is known which pixels are skin, as of a twin, whose dark skin is no frame.

    Raises:
        ShapeError: they do not fit together.

    Source:
        Chardon et al. 1991; Wei & Chakraborti, eq. 1.
    """
    finding = find_skin(images, lesions, gains=gains)
    if skin is not None:
        if skin.shape != lesions.shape:
            raise ShapeError(f"skin {tuple(skin.shape)} is not of the images {tuple(lesions.shape)}; give one map each")
        finding = replace(finding, skin=skin)
    lightness, a, b = finding.lab.unbind(1)
    above = lightness - 50
    if definition == "lab8":
        usable, slope = finding.skin, (2.55 * lightness - 50) / (b + 128)
    else:
        usable = finding.skin & (b > 0) & (above.square() + b.square() >= LEAST_RADIUS**2)
        slope = above / b
    low, middle, high = np.degrees(np.arctan(masked_quantiles(slope, usable, [0.25, 0.5, 0.75]))).T
    pixels, whole = (part.sum(dim=(1, 2)).cpu().numpy() for part in (usable, finding.skin))
    medians = [masked_quantiles(values, finding.skin, [0.5])[:, 0] for values in (lightness, a, b)]
    seen = finding.lab if gains is None else lab_of(images)  # a correction of the light colours a grey picture
    chroma = np.hypot(*(masked_quantiles(seen[:, channel], finding.skin, [0.5])[:, 0] for channel in (1, 2)))
    grey = (whole > 0) & (chroma < LEAST_CHROMA)
    odd = (whole > 0) & (2 * pixels < whole) & ~grey
    hue = np.degrees(np.arctan2(medians[2], medians[1]))
    known = ~odd & ~grey & (pixels > 0)
    spread = np.where(known, high - low, np.nan)
    with np.errstate(invalid="ignore"):
        strange = (whole > 0) & ~grey & ((hue < HUES_DEGREES[0]) | (hue > HUES_DEGREES[1]))
        colours = {"grey": grey, "cast": odd | strange, "wide": spread > WIDE_DEGREES}
    flags = _flags(finding, pixels=pixels, skin=whole, colours=colours)
    return ToneMeasure(
        ita_degrees=np.where(known, middle, np.nan),
        ita_iqr_degrees=spread,
        ita_pixels=pixels.astype(np.int64),
        lightness=medians[0],
        yellowness=medians[2],
        flags=flags,
        finding=finding,
    )


def _flags(
    finding: SkinFinding,
    *,
    pixels: NDArray[np.int64],
    skin: NDArray[np.int64],
    colours: dict[str, NDArray[np.bool_]],
) -> tuple[tuple[str, ...], ...]:
    few = max(FEW_PIXELS, FEW_SHARE * finding.skin[0].numel()) if len(skin) else 0
    table = {
        "no_skin": skin == 0,
        "few_pixels": (skin > 0) & (pixels < few),
        **colours,
        "saturated": finding.shares["shining"] > SPOILT_SHARE,
        "clipped": finding.shares["black"] > SPOILT_SHARE,
    }
    return tuple(tuple(name for name, where in table.items() if where[i]) for i in range(len(skin)))
