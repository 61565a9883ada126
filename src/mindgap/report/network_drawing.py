"""The network drawn block by block, with what each block costs, and the shares its batches held."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from mindgap.core.errors import MindgapError
from mindgap.data.batches import parse_ratios
from mindgap.report.drawing import at, element, hover
from mindgap.report.estimate import amount, count, percent
from mindgap.space.architecture import Architecture, Backbone, BlockSpec
from mindgap.space.cost import Cost, block_cost, head_cost, stem_cost, stem_px
from mindgap.space.layers import shrunk

_NAMES = {
    "mb": ("MB", "inverted residual"),
    "db": ("DB", "downsampling"),
    "rb": ("RB", "residual"),
    "cb": ("CB", "two convolutions"),
    "skip": ("skip", "passes its input on"),
    "bottleneck": ("bottleneck", "residual"),
}


@dataclass(frozen=True)
class DrawnBlock:
    """A stage of the network as a card: a box, its words and its cost.

    Attributes:
        kind: ``same`` (map kept), ``down`` (map halved) or ``end`` (stem and classifier).
        title, lines, cost: what stands under the box.
        drawing: the box.
    """

    kind: str
    title: str
    lines: tuple[str, ...]
    cost: str
    drawing: Markup


def read_architecture(record: Mapping[str, Any]) -> tuple[Architecture | None, str]:
    """The architecture, or None with the reason in words."""
    if not record:
        return None, "the run kept no architecture.json"
    try:
        return Architecture.from_json(json.dumps(record)), ""
    except MindgapError as error:
        return None, str(error)


def draw_network(architecture: Architecture) -> list[DrawnBlock]:
    """Stem, blocks, head and classifier in order.

    Raises:
        MindgapError: a block's type is not registered here, or its choices do not fit.
    """
    px, channels = stem_px(architecture.stem, architecture.input_px), architecture.stem.channels
    rows: list[tuple[str, str, list[str], int, int, Cost]] = []
    stem = architecture.stem
    named = f"timm: {stem.name}" if isinstance(stem, Backbone) else stem.kind
    lines = [named, f"3 → {channels} channels", _map(architecture.input_px, px)]
    rows.append(("end", "stem", lines, px, channels, stem_cost(architecture.stem, architecture.input_px)))
    for number, spec in enumerate(architecture.blocks, start=1):
        cost, after = block_cost(spec, channels, px), shrunk(px, spec.stride)
        short, described = _NAMES.get(spec.type, (spec.type, "a plug-in block"))
        title, lines = f"{number} · {short}", [described, *_block_lines(spec, channels, px, after)]
        rows.append(("down" if spec.stride > 1 else "same", title, lines, after, spec.out_channels, cost))
        px, channels = after, spec.out_channels
    rows.append(_head_row(architecture, channels, px))
    total = sum(row[5].macs for row in rows) or 1
    return [_drawn(*row, input_px=architecture.input_px, total_macs=total) for row in rows]


def _block_lines(spec: BlockSpec, in_channels: int, px: int, after: int) -> list[str]:
    if spec.type == "skip":
        return [f"{in_channels} channels", _map(px, after)]
    choices = dict(spec.choices)
    kernel, inside, expand = choices.pop("kernel", 3), choices.pop("hidden_channels", None), choices.pop("expand", None)
    if inside is None and isinstance(expand, int):
        inside = in_channels * expand
    widths = [in_channels, inside, spec.out_channels] if inside is not None else [in_channels, spec.out_channels]
    lines = [f"{kernel}×{kernel}, stride {spec.stride}", " → ".join(map(str, widths)), _map(px, after)]
    return lines + [f"{name.replace('_', ' ')} {value}" for name, value in choices.items() if value is not None]


def _head_row(architecture: Architecture, channels: int, px: int) -> tuple[str, str, list[str], int, int, Cost]:
    width = architecture.head.width
    cost = head_cost(architecture.head, channels, px, num_classes=architecture.num_classes)
    before = [f"1×1, {channels} → {width}"] if width else []
    hidden = architecture.head.hidden
    inside = [f"{width or channels} → {hidden} hidden units"] if hidden else []
    last = f"{hidden or width or channels} → {architecture.num_classes} classes"
    lines = [*before, "mean over the map", *inside, last]
    return "end", "head", lines, 1, width or channels, cost


def _map(px: int, after: int) -> str:
    return f"map {after}×{after}" if px == after else f"map {px} → {after}"


def _drawn(
    kind: str, title: str, lines: Sequence[str], px: int, channels: int, cost: Cost, *, input_px: int, total_macs: int
) -> DrawnBlock:
    says = f"{title}: {', '.join(lines)}, {amount(cost.macs)} MACs, {amount(cost.params)} parameters"
    share = cost.macs / total_macs
    text = f"{amount(cost.macs)} MACs ({percent(share, 0)})"
    return DrawnBlock(kind, title, tuple(lines), text, _box(px / input_px, channels, share, says))


def _box(map_share: float, channels: int, cost_share: float, says: str) -> Markup:
    """A box in oblique view: side by the map, depth by the channels (log scale), with a bar of the cost below."""
    side = 8.0 + 40.0 * math.sqrt(min(map_share, 1.0))
    depth = 4.0 + 5.5 * math.log2(max(channels, 8) / 8)
    slant = depth * 0.6
    x, y = (104 - side - slant) / 2, 84 - side
    front = element("rect", x=x, y=y, width=side, height=side, class_="cube-front")
    top = element(
        "path", d=f"M{x:.1f} {y:.1f}l{slant:.1f} {-slant:.1f}h{side:.1f}l{-slant:.1f} {slant:.1f}z", class_="cube-top"
    )
    right = element(
        "path",
        d=f"M{x + side:.1f} {y:.1f}l{slant:.1f} {-slant:.1f}v{side:.1f}l{-slant:.1f} {slant:.1f}z",
        class_="cube-side",
    )
    track = element("rect", x=0, y=92, width=104, height=5, class_="cost-track")
    bar = element("rect", x=0, y=92, width=max(104 * cost_share, 0.5), height=5, class_="cost-bar")
    return element(
        "svg",
        hover(says),
        top,
        right,
        front,
        track,
        bar,
        viewBox="0 0 104 100",
        width=104,
        height=100,
        role="img",
        aria_label=says,
    )


@dataclass(frozen=True)
class RatioRow:
    """One group's share of the batches beside its natural share; texts are ready to print."""

    name: str
    batch: str
    natural: str
    n: str
    drawing: Markup


def batch_shares(ratios: object, counts: Mapping[str, int]) -> dict[str, float] | None:
    """Share of a batch per group, from a search or from the option of ``train``; None if natural or unknown."""
    if isinstance(ratios, Mapping):
        return {str(name): float(share) for name, share in ratios.items()}
    if not isinstance(ratios, str) or ratios == "natural" or not counts:
        return None
    shares = parse_ratios(ratios, tuple(counts), np.array(list(counts.values())))
    return dict(zip(counts, shares.tolist(), strict=True))


def ratio_rows(ratios: Mapping[str, float] | None, counts: Mapping[str, int]) -> list[RatioRow]:
    """Shares of a batch by group; natural shares are over the training rows whose group is known.

    Args:
        ratios: share per group, 0..1; None if the batches were natural.
        counts: training rows per group; empty if unknown.
    """
    total = sum(counts.values())
    rows = []
    names = [*counts, *(name for name in ratios or {} if name not in counts)]
    for name in names:
        natural = counts.get(name, 0) / total if total else None
        batch = natural if ratios is None else float(ratios.get(name, 0.0))
        n = count(counts[name]) if name in counts else "–"
        rows.append(RatioRow(name, percent(batch), percent(natural), n, _ratio_bar(name, batch, natural)))
    return rows


def _ratio_bar(name: str, batch: float | None, natural: float | None) -> Markup:
    alt = f"{name}: {percent(batch)} of a batch, {percent(natural)} of the training data"
    marks = [element("rect", x="0", y=3, width="100%", height=18, class_="track")]
    if batch is not None:
        marks.append(element("rect", x="0", y=3, width=at(batch), height=18, class_="share-batch"))
    if natural is not None:
        marks.append(element("line", x1=at(natural), x2=at(natural), y1=0, y2=24, class_="reference"))
    return element("svg", hover(alt), *marks, class_="cell", width="100%", height=24, role="img", aria_label=alt)
