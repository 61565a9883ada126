"""What the flags of a measured tone mean."""

from __future__ import annotations

from collections.abc import Mapping

TONE_FLAGS: Mapping[str, str] = {
    "no_skin": "nothing is left that could be skin, so the tone is not known",
    "few_pixels": "under 100 pixels, or 2 % of the image, are usable",
    "grey": "the skin has no colour, as in a grey picture, so the tone is not known",
    "cast": "over half of the skin says nothing, so the tone is not known; or its hue is none that skin has under "
    "white light, and the angle is kept",
    "wide": "half of the skin's angles span more than 60°, as where it is nearly grey, and the tone says little",
    "saturated": "over 5 % of the pixels outside the lesion are white",
    "clipped": "over 5 % of the pixels outside the lesion are black",
    "no_mask": "no lesion mask was there, so all was taken for skin",
    "empty_mask": "the lesion mask is empty, so all was taken for skin",
    "no_anchor": "nothing white was found by which to correct the light, so it was not",
    "no_lesion": "the mask that was found covers under 0.5 % of the image",
    "all_lesion": "the mask that was found covers over 90 % of the image",
    "many_parts": "the mask that was found is in many parts",
}
"""By name; the last three are of masks that were found, see ``tone.lesion_masks``."""
