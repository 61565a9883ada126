"""The lesion masks that tones are measured around: a store's own, a U-Net's, or a fallback's without weights."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mindgap.core.config import StrictModel, parse
from mindgap.core.errors import ConfigError, DataError, TrainingFailure, near_names
from mindgap.core.notes import note
from mindgap.data.image_store import Store
from mindgap.data.table import column_of
from mindgap.tone.classical_mask import classical_masks
from mindgap.tone.mask_scores import jaccard
from mindgap.tone.unet import LesionNetwork, load_unet, predict_lesions, save_unet
from mindgap.tone.unet_training import UNetEpoch, UNetTraining, train_unet
from mindgap.train.device import choose_device
from mindgap.workflows.tone_pixels import BATCH, image_batch, new_map

log = logging.getLogger(__name__)
MASK_SOURCES = ("stored", "predict", "classical")
UNET_FILE = "lesion_unet.safetensors"
LEAST_BATCH, LEAST_EPOCH_STEPS, LEAST_STEPS = 4, 20, 600  # of a U-Net's training
USABLE_JACCARD = 0.5  # on the validation split
STATE_FILE = "lesion_unet.training.safetensors"


class MaskRequest(StrictModel):
    """Where lesion masks are from.

    Attributes:
        source: ``stored``, ``predict`` or ``classical``.
        weights: file of the U-Net that predicts.
        weights_digest: SHA-256 of that file.
        training: how a U-Net is trained on the store's masks first; None, where none is.
    """

    source: str
    weights: Path | None = None
    weights_digest: str | None = None
    training: UNetTraining | None = None


@dataclass(frozen=True, eq=False)
class LesionsOfStore:
    """Masks of a store.

    Attributes:
        masks: uint8 (N, S, S), 0 or 255.
        has_mask: bool (N,).
        columns: of the table, where they are new.
        counts: of what was found, for ``store.json``; None where the store's own are kept.
        training: what to say of a U-Net that was trained.
    """

    masks: NDArray[np.uint8]
    has_mask: NDArray[np.bool_]
    columns: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] | None = None
    training: dict[str, Any] | None = None


def mask_request(
    store: Store, masks: str | None, *, weights: Path | None, trains: bool, epochs: int | None, minutes: float | None
) -> MaskRequest:
    """What was asked for, if it is possible; says on the log what a user may not expect.

    Raises:
        ConfigError: it is not.
        DataError: the weights cannot be read.
    """
    source = masks or ("predict" if weights is not None else "stored" if store.masks is not None else "classical")
    if source not in MASK_SOURCES:
        raise ConfigError(f"masks is {masks!r}; {near_names(source, MASK_SOURCES)}")
    if (source == "stored" or trains) and store.masks is None:
        asked = "--masks stored" if source == "stored" else "--train-masks"
        raise ConfigError(f"{store.path}: has no lesion masks for {asked}; prepare it with --masks")
    if trains and "found" in (store.info.masks or {}):
        raise ConfigError(
            f"{store.path}: its masks were found, not drawn, and teach a network their own errors; "
            "--train-masks needs a store that was prepared with --masks"
        )
    if source == "predict" and weights is None and not trains:
        raise ConfigError("--masks predict needs a network: give --mask-weights FILE, or --train-masks")
    if weights is not None and (trains or source != "predict"):
        other = "--train-masks" if trains else f"--masks {source}"
        raise ConfigError(f"--mask-weights and {other} exclude each other; leave one of them out")
    if not trains and (epochs is not None or minutes is not None):
        raise ConfigError("--mask-epochs and --mask-minutes are of a training; add --train-masks")
    if masks is None and source == "classical":
        note(log, f"{store.path}: has no lesion masks; they are found without weights, which misses some")
    digest = None
    if weights is not None:
        if not weights.is_file():
            raise DataError(f"{weights}: no such file; give {UNET_FILE} of a store that mindgap tone wrote")
        load_unet(weights)
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    training = _training(epochs, minutes) if trains else None
    return MaskRequest(source=source, weights=weights, weights_digest=digest, training=training)


def _training(epochs: int | None, minutes: float | None) -> UNetTraining:
    asked = {name: value for name, value in (("epochs", epochs), ("minutes", minutes)) if value is not None}
    return parse(UNetTraining, asked, source="--train-masks")


def lesions_of(store: Store, request: MaskRequest, folder: Path, *, seed: int) -> LesionsOfStore:
    """Finds the masks, and writes what is new of them into a folder: ``masks.bin``, and a network that was trained.

    A training that is killed goes on from its last epoch when the folder is the same; ``STATE_FILE`` there is the
    caller's to remove when all is done.

    Raises:
        DataError: there are too few masks to train on.
        CapacityError: the disk is full or cannot be written.
    """
    masks = None
    if request.source != "stored":  # a disk that is too small is to be known before a training
        masks = new_map(folder / "masks.bin", (store.n, store.size_px, store.size_px))
    network, training = None, None
    if request.training is not None:
        network, training = _trained(store, request.training, folder, seed=seed)
    elif request.weights is not None:
        network = load_unet(request.weights)
        save_unet(network, folder / UNET_FILE)  # what the masks are from stays with them
        network.to(choose_device("auto"))
    if masks is None:
        has_mask = column_of(store.table, "has_mask").to_numpy(dtype=np.bool_)
        return LesionsOfStore(_stored(store), has_mask, training=training)
    found = _found(masks, store, network if request.source == "predict" else None)
    return replace(found, training=training)


def _found(masks: np.memmap[Any, np.dtype[np.uint8]], store: Store, network: LesionNetwork | None) -> LesionsOfStore:
    """Fills the masks, uint8 (N, S, S), by a network or without one."""
    flags: list[str] = []
    has_mask, expected = np.zeros(store.n, dtype=np.bool_), np.full(store.n, np.nan)
    for start in range(0, store.n, BATCH):
        rows = slice(start, min(start + BATCH, store.n))
        images = image_batch(store.images[rows])
        found = classical_masks(images) if network is None else predict_lesions(network, images)
        masks[rows] = 255 * found.masks.numpy().astype(np.uint8)
        has_mask[rows], expected[rows] = found.found, found.confidence
        flags += [",".join(names) for names in found.flags]
    masks.flush()
    columns: dict[str, Any] = {"has_mask": has_mask, "mask_flags": np.array(flags, dtype=object)}
    columns["mask_expected_jaccard"] = expected
    counts = Counter(name for names in flags for name in names.split(",") if name)
    told = {"found": int(has_mask.sum()), "empty": int((~has_mask).sum())}
    return LesionsOfStore(masks, has_mask, columns, told | {f"flagged_{name}": n for name, n in sorted(counts.items())})


def _fitted(training: UNetTraining, *, images: int, seed: int) -> UNetTraining:
    """In bf16 where matrices of it are multiplied; few images are seen more often, and in smaller batches."""
    batch_size = min(training.batch_size, max(LEAST_BATCH, images // LEAST_EPOCH_STEPS))
    epochs = training.epochs
    if "epochs" not in training.model_fields_set:
        epochs = max(epochs, -(-LEAST_STEPS // max(1, images // batch_size)))
    narrow = torch.cuda.is_available() or bool(torch.cpu.get_capabilities().get("amx_bf16"))
    return training.model_copy(update={"batch_size": batch_size, "epochs": epochs, "seed": seed, "narrow": narrow})


def _trained(store: Store, wanted: UNetTraining, folder: Path, *, seed: int) -> tuple[LesionNetwork, dict[str, Any]]:
    """The network, and how well it masks images of the validation and the test split."""
    masks = _stored(store)
    has_mask = column_of(store.table, "has_mask").to_numpy(dtype=np.bool_)
    rows = {split: store.rows(split)[has_mask[store.rows(split)]] for split in ("train", "validation", "test")}
    settings = _fitted(wanted, images=len(rows["train"]), seed=seed)
    try:
        network = train_unet(
            store.images, masks, train_rows=rows["train"], validation_rows=rows["validation"], settings=settings,
            checkpoint=folder / STATE_FILE, device=choose_device("auto"), on_epoch=_say,
        )  # fmt: skip
    except TrainingFailure as failure:
        raise DataError(f"{store.path}: {failure}; check the masks, or use --masks classical") from None
    scores = {split: _score(network, store.images, masks, rows[split]) for split in ("validation", "test")}
    reached = scores["validation"]["mean"]
    if reached is None or reached < USABLE_JACCARD:
        note(
            log, f"{store.path}: the lesion U-Net masks badly (Jaccard {reached} on the validation split); train longer"
        )
    save_unet(network, folder / UNET_FILE)
    return network, {"file": UNET_FILE, "settings": settings.model_dump(), "jaccard": scores}


def _stored(store: Store) -> NDArray[np.uint8]:
    if store.masks is None:
        raise DataError(f"{store.path}: has no lesion masks; prepare it with --masks")
    return store.masks


def _score(
    network: LesionNetwork, images: NDArray[np.uint8], masks: NDArray[np.uint8], rows: NDArray[np.int64]
) -> dict[str, float | int | None]:
    """Mean Jaccard; that of an empty mask is not defined, and left out."""
    scores = [np.zeros(0)]
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        found = predict_lesions(network, image_batch(images[some])).masks
        scores.append(jaccard(found, torch.from_numpy(masks[some] > 127)))
    known = np.concatenate(scores)
    known = known[np.isfinite(known)]
    return {"n": len(known), "mean": float(known.mean()) if len(known) else None}


def _say(done: UNetEpoch) -> None:
    note(log, f"lesion masks, epoch {done.epoch}: mean Jaccard {done.jaccard:.3f} on the validation split")
