"""Pictures of an explanation, on request alone: images beside their maps, and single channels over images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mindgap.core.files import atomic_path
from mindgap.core.groups import Groups
from mindgap.core.seed import numpy_generator
from mindgap.data.image_store import Store
from mindgap.explain.explained_network import ExplainedNetwork
from mindgap.explain.overlay import channel_file_name, channel_overlays, overlays
from mindgap.explain.store_focus import ChannelSums, ExplainedRows, lesions_of_rows
from mindgap.report.gallery import GALLERY_FILE
from mindgap.report.picture_pairs import draw_pairs, panel_px, png_bytes
from mindgap.workflows.explain_record import Judged

CHANNELS_FOLDER = "channels"
_AT_ONCE = 16


def draw_examples(right: NDArray[np.bool_], groups: Groups, number: int, *, seed: int) -> NDArray[np.int64]:
    """Draws places among n images, from every group's right and wrong cases in turn; images of no known group last.

    Args:
        right: bool (n,).
        groups: of the n images.
        number: how many; all are drawn where there are fewer.
        seed: of the draw.

    Returns:
        int64, by group, right cases before wrong ones.
    """
    generator = numpy_generator(seed, "explained examples")
    order = generator.permutation(len(right)).astype(np.int64)
    cells = 2 * np.where(groups.known, groups.ids, len(groups.names)) + ~right
    by_cell = order[np.argsort(cells[order], kind="stable")]
    _, starts = np.unique(cells[by_cell], return_index=True)
    turns = np.arange(len(by_cell)) - np.repeat(starts, np.diff([*starts, len(by_cell)]))
    first = np.lexsort((cells[by_cell], turns))[:number]
    return by_cell[np.sort(first)]


def write_gallery(
    folder: Path,
    explained: ExplainedNetwork,
    store: Store,
    rows: NDArray[np.int64],
    found: ExplainedRows,
    judged: Judged,
    groups: Groups,
    *,
    places: NDArray[np.int64],
) -> dict[str, Any]:
    """Writes the sheet of pairs; returns what the record says of it.

    Args:
        folder: of the explanation.
        explained: the network and its explainer.
        store: of the images.
        rows: int64 (n,), the rows that were explained.
        found: their figures; the maps are of its first question.
        judged: of the same question.
        groups: of the n images.
        places: int64, which of the n images are shown.
    """
    shown = rows[places]
    maps = _maps(explained, store, shown, found.targets[0, places])
    lesions = 255 * lesions_of_rows(store, shown).numpy().astype(np.uint8)
    images = store.images[shown]
    with atomic_path(folder / GALLERY_FILE) as file:
        file.write_bytes(png_bytes(draw_pairs(images, lesions, list(overlays(images, maps)))))
    names = [*groups.names, None]
    return {
        "attribute": groups.attribute,
        "panel_px": panel_px(store.size_px),
        "cells": [
            {"group": name, "right": kind, "n": n}
            for number, name in zip([*range(len(groups.names)), -1], names, strict=True)
            for kind in (True, False)
            if (n := int(((groups.ids == number) & (judged.right == kind)).sum()))
        ],
        "examples": [
            _words(store, rows, found, judged, place) | {"group": names[groups.ids[place]]} for place in places.tolist()
        ],
    }


def chosen_channels(sums: ChannelSums, number: int) -> list[int]:
    """The channels that stand out: half those that look most outside the lesion, half those that look least there.

    Without a focus of any channel (no masks) those that are most active. Fewer where fewer are known or active.
    """
    focus = sums.mean_focus
    known = np.flatnonzero(~np.isnan(focus))
    if not known.size:
        active = np.flatnonzero(sums.activity > 0)
        return active[np.argsort(-sums.activity[active], kind="stable")][:number].tolist()
    falling = known[np.argsort(-focus[known], kind="stable")]
    most = min(number, len(falling))
    return [*falling[: most - most // 2].tolist(), *falling[len(falling) - most // 2 :].tolist()]


def write_channels(
    folder: Path, explained: ExplainedNetwork, store: Store, rows: NDArray[np.int64], *, channels: list[int]
) -> list[str]:
    """Writes an overlay of each channel on each of some images, and returns the files' names.

    Wei & Chakraborti, Alg. 4.
    """
    names: list[str] = []
    for chunk in torch.from_numpy(rows).split(_AT_ONCE):
        maps = explained.channel_maps(explained.batch(store, chunk))
        images = store.images[chunk.numpy()]
        for channel in channels:
            drawn = channel_overlays(images, maps, channel)
            for name, picture in zip(store.ids[chunk.numpy()], drawn, strict=True):
                names.append(channel_file_name(str(name), channel))
                with atomic_path(folder / CHANNELS_FOLDER / names[-1]) as file:
                    file.write_bytes(png_bytes(picture))
    return names


def _maps(
    explained: ExplainedNetwork, store: Store, rows: NDArray[np.int64], targets: NDArray[np.int64]
) -> torch.Tensor:
    chunks = zip(torch.from_numpy(rows).split(_AT_ONCE), torch.from_numpy(targets).split(_AT_ONCE), strict=True)
    return torch.cat([explained.maps(explained.batch(store, chunk), of).cpu() for chunk, of in chunks])


def _words(store: Store, rows: NDArray[np.int64], found: ExplainedRows, judged: Judged, place: int) -> dict[str, Any]:
    """What is said of one example."""
    target = int(found.targets[0, place])
    chances, label = found.probabilities[place], int(judged.labels[place])
    if store.task == "multi-label":
        name, chance = store.classes[target], float(chances[target])
        sides = (f"not {name}", name)
        predicted, probability = (sides[1], chance) if chance > 0.5 else (sides[0], 1 - chance)
        truth = sides[label]
    else:
        predicted, probability = store.classes[int(chances.argmax())], float(chances.max())
        truth = store.classes[label]
    return {
        "id": str(store.ids[rows[place]]),
        "label": truth,
        "predicted": predicted,
        "probability": probability,
        "target": store.classes[target],
        "right": bool(judged.right[place]),
        "focus": float(judged.focus.values[place]),
        "is_blank": bool(judged.is_blank[place]),
    }
