"""What a page calls the noise floor, which depends on how the groups were redrawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FloorWords:
    """How a page speaks of one kind of noise floor.

    Attributes:
        holds: what the floor holds.
        among: among which images the groups were redrawn.
        redrawn: what such groups are called.
    """

    holds: str
    among: str
    redrawn: str


WITHIN_CLASS = FloorWords("chance and case mix", "within each class", "groups redrawn with the same mix of classes")
ALL_CLASSES = FloorWords("chance", "among all images, whatever their class,", "groups redrawn at random")


def floor_words(audit: Mapping[str, Any]) -> FloorWords:
    """The words for the floor of an AUDIT; one that does not tell was redrawn within each class, as is usual."""
    return ALL_CLASSES if (audit.get("settings") or {}).get("floor") == "all-classes" else WITHIN_CLASS
