"""ResNet-18 of half the width, which two cores can train many times."""

from __future__ import annotations

from pathlib import Path

from mindgap.core.files import write_text
from mindgap.data.image_store import Store
from mindgap.space.network import resolve_network


def half_width(store: Path, work: Path) -> Path:
    """Writes the architecture for a store (7×7 stem with pool) and returns its file."""
    opened = Store.open(store)
    whole = resolve_network("resnet18", num_classes=len(opened.classes), input_px=opened.size_px)
    blocks = tuple(block.model_copy(update={"out_channels": block.out_channels // 2}) for block in whole.blocks)
    stem = whole.stem.model_copy(update={"channels": whole.stem.channels // 2})
    half = whole.model_copy(update={"name": "resnet18_half", "stem": stem, "blocks": blocks})
    write_text(work / "resnet18_half.json", half.to_json())
    return work / "resnet18_half.json"
