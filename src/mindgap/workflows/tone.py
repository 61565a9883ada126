"""``mindgap tone``: measures skin tones in a store, and writes a new version of it with tones and twins."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mindgap.core.config import parse
from mindgap.core.errors import ConfigError, near_names
from mindgap.core.files import no_new_parents_on_failure, read_json
from mindgap.core.replacement import end_killed_replacement, put_in_place
from mindgap.data.attribute import MEASURED, Factor, parse_attributes
from mindgap.data.image_store import Store
from mindgap.data.request import PathLike
from mindgap.data.store_version import write_version
from mindgap.data.table import column_of
from mindgap.tone.bands import bands_of
from mindgap.tone.measure import Definition
from mindgap.tone.neutral import pooled_gains
from mindgap.tone.normalize import Edge
from mindgap.tone.shift import ShiftSettings, find_shift
from mindgap.tone.targets import FLATTEN, draw_targets
from mindgap.train.memory import keep_freed_memory
from mindgap.workflows.partial_folder import is_finished_store, partial_folder, removed_by_a_mistake
from mindgap.workflows.tone_masks import STATE_FILE, LesionsOfStore, MaskRequest, lesions_of, mask_request
from mindgap.workflows.tone_pixels import (
    Floats,
    ToneColumns,
    ToneInput,
    measure_anchors,
    measure_store,
    new_map,
    write_twins,
)
from mindgap.workflows.tone_record import tone_record

CONSTANCIES = ("none", "neutral_anchor", "source")
DEFINITIONS = ("cielab", "lab8")
ATTRIBUTES = ("tone", "tone_quantile")
MOST_QUANTILES = 9


def tone(
    store: PathLike | Store,
    *,
    out: PathLike,
    masks: str | None = None,
    mask_weights: PathLike | None = None,
    train_masks: bool = False,
    mask_epochs: int | None = None,
    mask_minutes: float | None = None,
    constancy: str = "none",
    source_column: str | None = None,
    target: str = "IV",
    definition: str = "cielab",
    cut_offs: str = "wei",
    quantiles: int | None = None,
    steps: int = 1,
    edge: str = "blur",
    seed: int = 0,
    force: bool = False,
) -> dict[str, Any]:
    """Measures the skin tone of every image of a store, and makes each image's twin of another tone.

    The new store has the old one's images and rows; its table has ``ita_degrees``, ``ita_iqr_degrees``, ``ita_pixels``,
    ``ita_flags``, ``tone``, and of the twins ``twin_target_degrees``, ``twin_ita_degrees`` and ``twin_tone``. The tone
    is an attribute, and so is ``tone_quantile`` where quantiles are asked for. It is built in a hidden folder and
    renamed, so ``out`` is whole or not there.

    Args:
        store: folder of the store.
        out: folder of the new one.
        masks: where lesion masks are from: ``stored``, the store's own; ``predict``, a U-Net, which masks every image;
            ``classical``, a fallback without weights. None is ``predict`` where weights are given, else the store's own
            where it has some.
        mask_weights: file of a U-Net, such as ``lesion_unet.safetensors`` of another store.
        train_masks: trains a U-Net on the store's masks, and keeps it in the new store as ``lesion_unet.safetensors``.
        mask_epochs: passes of that training; None is 20, and more where images are few.
        mask_minutes: on the clock, that it may take.
        constancy: correction of the light's colour before the tone is measured: ``none``; ``neutral_anchor``, by what
            is white in an image; ``source``, one correction for all images of a source. Twins stay under the image's
            own light.
        source_column: of the table, that names an image's source.
        target: tone of the twins: a tone band, degrees (``20``), a range of degrees (``10/28``), or ``flatten``, by
            what the training images lack.
        definition: of the angle; ``lab8`` is in another range, so bands and twins are by ``cielab`` all the same.
        cut_offs: which bands the tones are named by: ``wei``, ``kinyanjui`` or ``groh``.
        quantiles: groups of as many images each by the angle, 2 to 9: the attribute ``tone_quantile``, ``q1`` the
            darkest. Where a set has few images of dark skin, a band says little; a third of them says more.
        steps: of the search for the twin's colour; 1 is Wei & Chakraborti's, 0 meets the angle exactly.
        edge: where new skin meets the lesion: ``blur``, as published, or ``matte``, which moves skin that a mask
            includes as well, so that no seam shows, and leaves the lesion's core alone.
        seed: of the targets.
        force: replaces the store that is there.

    Returns:
        What ``store.json`` holds; its entry ``tone`` is about the tones.

    Raises:
        MindgapError: the store, an option or the disk is wrong; no store is left behind.
    """
    opened, place = store if isinstance(store, Store) else Store.open(Path(store)), Path(out).resolve()
    found = mask_request(
        opened, masks, weights=None if mask_weights is None else Path(mask_weights), trains=train_masks,
        epochs=mask_epochs, minutes=mask_minutes,
    )  # fmt: skip
    if definition not in DEFINITIONS:
        raise ConfigError(f"no definition {definition!r} of the angle; {near_names(definition, DEFINITIONS)}")
    if opened.info.constancy != "none":
        raise ConfigError(
            f"{opened.path}: its colours are under {opened.info.constancy}, which leaves skin no tone to measure; "
            "prepare it without --constancy"
        )
    if edge not in get_args(Edge):
        raise ConfigError(f"no edge {edge!r}; {near_names(edge, get_args(Edge))}")
    sources = _sources(opened, constancy, source_column)
    asked = {
        "target": target,
        "definition": definition,
        "cut_offs": cut_offs,
        "steps": steps,
        "edge": edge,
        "seed": seed,
    }
    asked |= {"constancy": constancy, "source_column": source_column, "quantiles": quantiles}
    masking = found.model_dump(mode="json", exclude={"weights"})
    options = {"store": str(opened.path.resolve()), "fingerprint": opened.fingerprint, "masks": masking, **asked}
    bands_of(np.zeros(0), cut_offs)
    if quantiles is not None and not 2 <= quantiles <= MOST_QUANTILES:
        raise ConfigError(f"--quantiles {quantiles}: give 2 to {MOST_QUANTILES} groups")
    _refuse_taken_names(opened, ATTRIBUTES if quantiles else ATTRIBUTES[:1])
    parse(ShiftSettings, {"steps": steps}, source="tone")
    if target != FLATTEN:
        draw_targets(target, (), seed=seed)
    if place == opened.path.resolve():
        raise ConfigError(f"{out}: is the store itself; give --out another folder")
    end_killed_replacement(place)
    if is_finished_store(place, verb="tone", options=options, force=force):
        return read_json(place / "store.json")
    grows = partial_folder(place, verb="tone", options=options, replace=force, keep=("resumed",))
    with no_new_parents_on_failure(place), grows as run:
        with removed_by_a_mistake(run):
            record = _build(run.path, opened, found, asked, sources=sources)
            run.finish(fingerprint=record["fingerprint"])
        put_in_place(run.path, place, replace=force)
    return record


def _build(
    folder: Path, store: Store, masks: MaskRequest, asked: dict[str, Any], *, sources: list[str | None] | None
) -> dict[str, Any]:
    keep_freed_memory()
    new_map(folder / "twins.bin", store.images.shape)  # a disk that is too small is to be known before a training
    lesions = lesions_of(store, masks, folder, seed=asked["seed"])
    seen, anchored = _under_light(ToneInput(store.images, lesions.masks), asked["constancy"], sources)
    doubts = _doubts(lesions) | ({} if anchored is None else {"no_anchor": ~anchored})
    angles = measure_store(seen).flagged(**doubts)
    measured = angles if asked["definition"] == "cielab" else _written(seen, angles, asked["definition"])
    bands = bands_of(angles.ita_degrees)
    shares = _shares(bands[store.rows("train")])
    targets = draw_targets(asked["target"], store.ids.tolist(), seed=asked["seed"], shares=shares)
    settings = ShiftSettings(steps=asked["steps"])
    unsure = np.isnan(angles.ita_degrees) | doubts["no_mask"] | doubts["empty_mask"]  # the lesion would be recoloured
    lightness = np.where(unsure, np.nan, angles.lightness)
    shift = find_shift(lightness, angles.yellowness, targets, settings=settings)
    twins, changed = write_twins(
        folder / "twins.bin", seen, shift=shift, lightness=angles.lightness, edge=asked["edge"]
    )
    reached = np.where(shift.possible, twins.ita_degrees, np.nan)
    columns = lesions.columns | measured.columns() | {
        "tone": bands_of(angles.ita_degrees, asked["cut_offs"]),
        "twin_target_degrees": np.where(shift.possible, targets, np.nan),
        "twin_ita_degrees": reached,
        "twin_tone": bands_of(reached),
    } | _quantiles(measured.ita_degrees, asked["quantiles"])  # fmt: skip
    record = ({} if lesions.counts is None else {"masks": lesions.counts}) | {
        "tone": {**asked, "masks": masks.source, "mask_training": lesions.training}
        | tone_record(angles, columns, shift=shift, source_bands=bands, settings=settings, changed=changed),
    }
    made = ["twins.bin", *([] if lesions.counts is None else ["masks.bin"])]
    attributes = parse_attributes([name for name in ATTRIBUTES if name in columns])
    whole = write_version(store, folder, columns=columns, attributes=attributes, record=record, made=made)
    (folder / STATE_FILE).unlink(missing_ok=True)
    return whole


def _quantiles(degrees: Floats, number: int | None) -> dict[str, Any]:
    """The column ``tone_quantile``, None where the angle is not known; nothing where no quantiles are asked for."""
    if number is None:
        return {}
    found = Factor("ita_degrees", quantiles=number).groups(pd.DataFrame({"ita_degrees": degrees})).groups
    return {"tone_quantile": np.array([*found.names, None], dtype=object)[found.ids]}


def _refuse_taken_names(store: Store, made: tuple[str, ...]) -> None:
    """An attribute by the name of a measured column would be lost under it, or be of an earlier measurement."""
    if taken := sorted(set(store.attributes) & (set(MEASURED) - set(made))):
        advice = (
            "give --quantiles" if taken[0] in ATTRIBUTES else "prepare the store without it, then cut with --quantiles"
        )
        raise ConfigError(
            f"{store.path}: its attribute {taken[0]!r} has the name of a column that is measured here; {advice}"
        )


def _written(seen: ToneInput, angles: ToneColumns, definition: Definition) -> ToneColumns:
    """The same measurements with the angle of another definition, where the one that bands are by is known."""
    other, known = measure_store(seen, definition=definition), ~np.isnan(angles.ita_degrees)
    return replace(
        angles,
        ita_degrees=np.where(known, other.ita_degrees, np.nan),
        ita_iqr_degrees=np.where(known, other.ita_iqr_degrees, np.nan),
    )


def _doubts(lesions: LesionsOfStore) -> dict[str, NDArray[np.bool_]]:
    """Where all of an image was taken for skin, as no mask was there, or an empty one."""
    has = lesions.has_mask
    empty = np.array([not mask.any() for mask in lesions.masks], dtype=np.bool_)
    return {"no_mask": ~has, "empty_mask": has & empty}


def _shares(bands: NDArray[np.object_]) -> dict[str, float]:
    """Shares of the bands among images of known tone."""
    known = [str(band) for band in bands.tolist() if band is not None]
    return {band: count / len(known) for band, count in Counter(known).items()}


def _under_light(
    seen: ToneInput, constancy: str, sources: list[str | None] | None
) -> tuple[ToneInput, NDArray[np.bool_] | None]:
    """The images with the gains of their light, and for which of them there are some."""
    if constancy == "none":
        return seen, None
    found = measure_anchors(seen)
    if sources is not None:
        found = pooled_gains(found, sources)
    return replace(seen, gains=found.gains), found.known


def _sources(store: Store, constancy: str, column: str | None) -> list[str | None] | None:
    """Names of the images' sources where they are needed."""
    if constancy == "shades_of_grey":
        raise ConfigError(
            "shades_of_grey makes skin grey with the light and says nothing of its tone; "
            "it is for a network's input: mindgap prepare --constancy shades_of_grey"
        )
    if constancy not in CONSTANCIES:
        raise ConfigError(f"no constancy {constancy!r}; {near_names(constancy, CONSTANCIES)}")
    if constancy != "source":
        if column is not None:
            raise ConfigError(f"--source-column {column} is of --constancy source; leave it out, or add that")
        return None
    if column is None:
        raise ConfigError("--constancy source needs --source-column, the table's column that names an image's source")
    if column not in store.table.columns:
        raise ConfigError(
            f"{store.path}: has no column {column!r}; {near_names(column, map(str, store.table.columns))}"
        )
    cells = column_of(store.table, column)
    return [None if missing else str(cell) for cell, missing in zip(cells, cells.isna(), strict=True)]
