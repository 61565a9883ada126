"""``mindgap tone``: measures skin tones in a store, and writes a new version of it with tones and twins."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from mindgap.core.config import parse
from mindgap.core.errors import ConfigError, RunError, near_names
from mindgap.core.files import is_occupied, no_new_parents_on_failure, read_json
from mindgap.core.notes import note
from mindgap.core.replacement import end_killed_replacement, put_in_place
from mindgap.core.run import RunFolder
from mindgap.data.attribute import parse_attributes
from mindgap.data.image_store import Store
from mindgap.data.request import PathLike
from mindgap.data.store_version import write_version
from mindgap.data.table import column_of
from mindgap.tone.bands import bands_of
from mindgap.tone.shift import ShiftSettings, find_shift
from mindgap.tone.targets import FLATTEN, draw_targets
from mindgap.workflows.partial_folder import partial_folder, removed_by_a_mistake
from mindgap.workflows.tone_pixels import measure_store, write_masks, write_twins
from mindgap.workflows.tone_record import tone_record

log = logging.getLogger(__name__)
MASK_SOURCES = ("stored", "classical")
DEFINITIONS = ("cielab", "lab8")


def tone(
    store: PathLike | Store,
    *,
    out: PathLike,
    masks: str | None = None,
    target: str = "IV",
    definition: str = "cielab",
    cut_offs: str = "wei",
    steps: int = 1,
    seed: int = 0,
    force: bool = False,
) -> dict[str, Any]:
    """Measures the skin tone of every image of a store, and makes each image's twin of another tone.

    The new store has the old one's images and rows; its table has ``ita_degrees``, ``ita_iqr_degrees``, ``ita_pixels``,
    ``ita_flags``, ``tone``, and of the twins ``twin_target_degrees``, ``twin_ita_degrees`` and ``twin_tone``. The tone
    is an attribute. It is built in a hidden folder and renamed, so ``out`` is whole or not there.

    Args:
        store: folder of the store.
        out: folder of the new one.
        masks: where lesion masks are from: the store's own, or a classical fallback without weights; None is the
            store's where it has some.
        target: tone of the twins: a tone band, degrees (``20``), a range of degrees (``10/28``), or ``flatten``.
        definition: of the angle; ``lab8`` is in another range, and its twins are made by ``cielab`` all the same.
        cut_offs: which bands the tones are named by: ``wei``, ``kinyanjui`` or ``groh``.
        steps: of the search for the twin's colour; 1 is Wei & Chakraborti's, 0 meets the angle exactly.
        seed: of the targets.
        force: replaces the store that is there.

    Returns:
        What ``store.json`` holds; its entry ``tone`` is about the tones.

    Raises:
        MindgapError: the store, an option or the disk is wrong; no store is left behind.
    """
    opened, place = store if isinstance(store, Store) else Store.open(Path(store)), Path(out).resolve()
    source = _mask_source(opened, masks)
    if definition not in DEFINITIONS:
        raise ConfigError(f"no definition {definition!r} of the angle; {near_names(definition, DEFINITIONS)}")
    asked = {"target": target, "definition": definition, "cut_offs": cut_offs, "steps": steps, "seed": seed}
    options = {"store": str(opened.path.resolve()), "fingerprint": opened.fingerprint, "masks": source, **asked}
    bands_of(np.zeros(0), cut_offs)
    parse(ShiftSettings, {"steps": steps}, source="tone")
    if target != FLATTEN:
        draw_targets(target, (), seed=seed)
    if place == opened.path.resolve():
        raise ConfigError(f"{out}: is the store itself; give --out another folder")
    end_killed_replacement(place)
    if _is_finished(place, options, force=force):
        return read_json(place / "store.json")
    grows = partial_folder(place, verb="tone", options=options, replace=force, keep=())
    with no_new_parents_on_failure(place), grows as run:
        with removed_by_a_mistake(run):
            record = _build(run.path, opened, source, asked)
            run.finish(fingerprint=record["fingerprint"])
        put_in_place(run.path, place, replace=force)
    return record


def _build(folder: Path, store: Store, source: str, asked: dict[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if source == "classical":
        found = write_masks(folder / "masks.bin", store)
        lesions, has_mask = found.masks, found.has_mask
        columns["has_mask"] = has_mask
    else:
        lesions, has_mask = store.masks, column_of(store.table, "has_mask").to_numpy(dtype=np.bool_)
    measured = measure_store(store, lesions, has_mask=has_mask, definition=asked["definition"])
    angles = measured if asked["definition"] == "cielab" else measure_store(store, lesions, has_mask=has_mask)
    bands = bands_of(angles.ita_degrees)
    shares = {str(band): float(np.mean(bands == band)) for band in set(bands.tolist()) - {None}}
    targets = draw_targets(asked["target"], store.ids.tolist(), seed=asked["seed"], shares=shares)
    settings = ShiftSettings(steps=asked["steps"])
    lightness = np.where(np.isnan(angles.ita_degrees), np.nan, angles.lightness)  # of an unknown tone there is no twin
    shift = find_shift(lightness, angles.yellowness, targets, settings=settings)
    twins = write_twins(folder / "twins.bin", store, lesions, shift=shift)
    reached = np.where(shift.possible, twins.ita_degrees, np.nan)
    columns |= measured.columns() | {
        "tone": bands_of(measured.ita_degrees, asked["cut_offs"]),
        "twin_target_degrees": np.where(shift.possible, targets, np.nan),
        "twin_ita_degrees": reached,
        "twin_tone": bands_of(reached),
    }
    record = {
        "tone": {**asked, "masks": source}
        | tone_record(measured, columns, shift=shift, source_bands=bands, settings=settings),
    }
    if source == "classical":
        record["masks"] = {"found": int(has_mask.sum()), "empty": int((~has_mask).sum())}
    return write_version(store, folder, columns=columns, attributes=parse_attributes("tone"), record=record)


def _mask_source(store: Store, masks: str | None) -> str:
    if masks not in {None, *MASK_SOURCES}:
        raise ConfigError(f"masks is {masks!r}; {near_names(masks or '', MASK_SOURCES)}")
    if masks == "stored" and store.masks is None:
        raise ConfigError(f"{store.path}: has no lesion masks; prepare it with --masks, or give --masks classical")
    if masks is None and store.masks is None:
        note(log, f"{store.path}: has no lesion masks; they are found without weights, which misses some")
    return masks or ("classical" if store.masks is None else "stored")


def _is_finished(place: Path, options: dict[str, Any], *, force: bool) -> bool:
    if not is_occupied(place):
        return False
    state = RunFolder.check(place, verb="tone", options=options, force=force)
    if state == "resumed":
        raise RunError(f"{place}: holds an unfinished store; --force replaces it")
    return state == "finished"
