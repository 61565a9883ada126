"""Images of an epoch that are taken from the store's twins of another tone."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import ConfigError
from mindgap.data.image_store import TWINS_FILE, Store
from mindgap.metrics.roc import auroc
from mindgap.tone.blend import BANDS, AdaptiveBlend, BlendSettings
from mindgap.train.device import fits_in_memory

log = logging.getLogger(__name__)
TOO_MUCH = 0.05  # of the images, over what any tone band had before
Predict = Callable[[NDArray[np.int64]], NDArray[np.float64]]


class Blending:
    """Adaptive blending of one training run.

    Args:
        store: of the images.
        train_rows: int64 (n,), rows that are trained on.
        settings: when images are replaced.
        seed: of the draws.
        may_look: whether the store's validation images may steer; not where some of them are held out.

    Raises:
        ConfigError: the store has no twins, or its tones are named in another way than theirs.
    """

    def __init__(
        self,
        store: Store,
        train_rows: NDArray[np.int64],
        *,
        settings: BlendSettings,
        seed: int,
        may_look: bool = True,
    ) -> None:
        self.n = store.n
        self._twins = torch.from_numpy(check_blend(settings, store))
        tones, twins = _words(store, "tone"), _words(store, "twin_tone")
        self.adaptive = AdaptiveBlend(tones[train_rows], twins[train_rows], settings=settings, seed=seed)
        rows = store.rows("validation") if may_look else np.zeros(0, dtype=np.int64)
        self._validation = {band: rows[tones[rows] == band] for band in BANDS}
        labels, classes = store.labels, len(store.classes)
        self._is = labels.astype(np.bool_) if labels.ndim == 2 else labels[:, None] == np.arange(classes)
        self._told: tuple[str, ...] | None = None

    def with_twins(self, epoch: int, positions: Tensor, rows: Tensor) -> Tensor:
        """Rows of the store, N more where the twin is taken.

        Args:
            epoch: from 0.
            positions: int64 (steps, B), into the training rows.
            rows: int64 (steps, B), of the store.
        """
        replaced = torch.from_numpy(self.adaptive.draw(epoch, positions.cpu().numpy()))
        return rows + self.n * replaced.to(rows.device)

    def take(self, images: Tensor, dim: int, rows: Tensor) -> Tensor:
        """As ``Tensor.index_select``, uint8 (B, S, S, 3) of images (N, S, S, 3), but rows from N on are the twins'."""
        own, twin = rows % self.n, rows >= self.n
        if images.device.type == "cpu":
            found = images.index_select(dim, own)
            found[twin] = self._twins.index_select(dim, own[twin])
            return found
        if self._twins.device != images.device and fits_in_memory(self._twins, images.device):
            self._twins = self._twins.to(images.device)
        if self._twins.device != images.device:
            twins = self._twins.index_select(dim, own.cpu()).to(images.device, non_blocking=True)
            return torch.where(twin[:, None, None, None], twins, images.index_select(dim, own))
        return torch.where(twin[:, None, None, None], self._twins.index_select(dim, own), images.index_select(dim, own))

    def end_epoch(self, epoch: int, predict: Predict, *, is_last: bool = False) -> dict[str, float | None]:
        """What the log says of the epoch (from 1); raises probabilities where it is due, but for no epoch to come.

        Shares and probabilities are those that the epoch was drawn by. The first epoch says how many training images
        are of each tone band (``blend_n_…``); an epoch after which validation images are looked at how many of those
        are (``auc_n_…``), and the AUROC of each band that has any.

        Args:
            epoch: number of the epoch that is done, from 1.
            predict: float64 (n, C) of validation rows.
            is_last: whether the training ends here.
        """
        record = self.adaptive.record()
        said: dict[str, float | None] = {"blend_replaced": record["replaced"]}
        if epoch == 1:
            said |= {f"blend_n_{band}": images for band, images in record["images"].items()}
        for figure in ("share", "chance"):
            said |= {f"blend_{figure}_{band}": value for band, value in record[f"{figure}s"].items()}
        return said | (self._look(predict) if self.adaptive.is_due(epoch) and not is_last else {})

    def _look(self, predict: Predict) -> dict[str, float | None]:
        counts = {band: len(rows) for band, rows in self._validation.items()}
        aucs = {band: self._auc(rows, predict) for band, rows in self._validation.items() if len(rows)}
        unknown = self.adaptive.look(aucs, counts)
        if unknown and unknown != self._told:
            log.info("blending: AUROC is not known of tone bands %s; they are not raised", ", ".join(unknown))
        self._told = unknown
        if not aucs:
            return {}
        said: dict[str, float | None] = {f"auc_n_{band}": n for band, n in counts.items()}
        return said | {f"auc_{band}": None if np.isnan(auc) else auc for band, auc in aucs.items()}

    def _auc(self, rows: NDArray[np.int64], predict: Predict) -> float:
        """Macro one-vs-rest AUROC over the classes that have both kinds of images here; NaN without one."""
        probabilities = predict(rows)
        areas = [auroc(truth, scores) for truth, scores in zip(self._is[rows].T, probabilities.T, strict=True)]
        known = [area for area in areas if not np.isnan(area)]
        return float(np.mean(known)) if known else float("nan")


def check_blend(settings: BlendSettings | None, store: Store) -> NDArray[np.uint8]:
    """The store's twins; none are asked for if ``settings`` is None.

    Raises:
        ConfigError: the store has no twins, or its tones are named in another way than theirs.
    """
    if settings is None:
        return np.zeros(0, dtype=np.uint8)
    if store.twins is None:
        raise ConfigError(f"{store.path}: there are no twins to blend with ({TWINS_FILE}); make them with mindgap tone")
    if not has_twin_bands(store):
        raise ConfigError(
            f"{store.path}: tones are named in another way than those of their twins, so no blend can count them; "
            "make the store with mindgap tone without --cut-offs"
        )
    return store.twins


def blend_doubts(settings: BlendSettings | None, store: Store, train_rows: NDArray[np.int64]) -> list[str]:
    """What a user may not expect of a blend, a line each: that it replaces nothing, or makes a band too frequent."""
    if settings is None:
        return []
    tones, twins = (_words(store, name)[train_rows] for name in ("tone", "twin_tone"))
    record = AdaptiveBlend(tones, twins, settings=settings, seed=0).record()
    if not record["replaced"]:
        why = "none of a band that it takes from has a twin of one that lacks images"
        return [f"{store.path}: the blend replaces no image, as {why}"]
    most = max(*record["shares_before"].values(), settings.share)
    over = [f"{band} ({share:.0%})" for band, share in record["shares"].items() if share > most + TOO_MUCH]
    if not over:
        return []
    what = f"{store.path}: with the blend more images are of tone band {' and '.join(over)} than of any before"
    return [f"{what}; twins of mindgap tone --target flatten are of the bands that are rare"]


def has_twin_bands(store: Store) -> bool:
    """Whether the tones of images are named as those of their twins always are: by CIELAB and the paper's cut-offs."""
    said = store.info.tone or {}
    banded_otherwise = said.get("definition") == "lab8" and "twins_not_known" not in said  # as earlier versions did
    return said.get("cut_offs", "wei") == "wei" and not banded_otherwise


def _words(store: Store, column: str) -> NDArray[np.object_]:
    """A column of the table, None where it is empty."""
    words = store.table[column].to_numpy(dtype=object, copy=True)
    words[[value is None or value != value or value == "" for value in words]] = None  # noqa: PLR0124  (NaN)
    return words
