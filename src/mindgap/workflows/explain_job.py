"""One explanation: its options, the images and classes that it is of, and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from mindgap.core.config import StrictModel
from mindgap.core.errors import ConfigError, DataError
from mindgap.core.progress import progress
from mindgap.data.image_store import Store
from mindgap.data.store_attributes import StoreAttribute
from mindgap.explain.explained_network import ExplainedNetwork
from mindgap.explain.explainers.grad_cam import GradCam
from mindgap.explain.focus_records import FocusOptions
from mindgap.explain.layer_maps import LAST_MAPS
from mindgap.explain.store_focus import ExplainedRows, explain_rows
from mindgap.workflows.explain_examples import chosen_channels, draw_examples, write_channels, write_gallery
from mindgap.workflows.explain_pruned import BeforePruning, pruned_record
from mindgap.workflows.explain_record import (
    Judged,
    channels_record,
    judged_of,
    mask_counts,
    question_record,
)
from mindgap.workflows.explain_table import FOCUS_TABLE, write_focus_table
from mindgap.workflows.explain_targets import AskedTargets, targets_of

PRUNED_FOLDER = "pruned"
MOST_EXAMPLES, MOST_CHANNELS = 200, 64


class ExplainOptions(StrictModel):
    """Options of an explanation; see ``explain``."""

    method: str
    split: str
    layer: str | None
    target: str | None
    examples: int = Field(ge=0, le=MOST_EXAMPLES)
    channels: int = Field(ge=0, le=MOST_CHANNELS)
    batch_size: int = Field(ge=1)
    device: Literal["auto", "cpu", "cuda"]
    seed: int = Field(ge=0)
    bootstrap: int = Field(ge=0)
    permutations: int = Field(ge=0)
    min_group: int = Field(ge=1)


@dataclass(frozen=True, eq=False)
class ExplainJob:
    """What is explained.

    Attributes:
        store: of the images.
        explained: the network with its explainer, on its device.
        options: of the verb.
        attributes: whose groups are compared.
        rows: int64 (n,), the rows that are explained.
        asked: which class each image is explained for.
        before: of a pruned run, the network that it was made of.
    """

    store: Store
    explained: ExplainedNetwork
    options: ExplainOptions
    attributes: Mapping[str, StoreAttribute]
    rows: NDArray[np.int64]
    asked: AskedTargets
    before: BeforePruning | None = None

    @staticmethod
    def of(
        store: Store,
        explained: ExplainedNetwork,
        options: ExplainOptions,
        *,
        attributes: Mapping[str, StoreAttribute],
        before: BeforePruning | None = None,
    ) -> ExplainJob:
        """Checks that there is something to explain.

        Raises:
            ConfigError: channels are asked for without examples, or a target that does not fit.
            DataError: the split has no image.
            UnknownNameError: the store has no such split or class.
        """
        if options.channels and not options.examples:
            raise ConfigError(
                f"--channels {options.channels}: channels are drawn over examples; add --examples N, by which people's "
                "images lie in the folder and on the page"
            )
        rows = store.rows(options.split)
        if not len(rows):
            raise DataError(f"{store.path}: has no image in the split {options.split!r}; choose another")
        return ExplainJob(store, explained, options, attributes, rows, targets_of(store, options.target), before)

    def try_one(self) -> None:
        """Explains one image, so that what cannot be explained is known before anything is written.

        Raises:
            ConfigError: the network has no such layer, or not what the method needs.
        """
        images = self.explained.batch(self.store, torch.from_numpy(self.rows[:1]))
        self.explained.maps(images, torch.zeros(1, dtype=torch.int64))

    def write(self, folder: Path) -> dict[str, Any]:
        """Explains every image, writes the table and the pictures, and returns the record.

        Raises:
            DataError: the network predicts NaN.
            CapacityError: the folder cannot be written.
        """
        with progress(len(self.rows), "explaining") as bar:
            found = explain_rows(
                self.explained, self.store, self.rows, targets=self.asked.targets, batch_size=self.options.batch_size,
                channels=self.options.channels > 0, on_batch=bar.advance,
            )  # fmt: skip
        judged = {
            label: judged_of(found, self.store, self.rows, number) for number, label in enumerate(self.asked.labels)
        }
        with progress(None, "resampling"):
            record = self._figures(found, judged)
        write_focus_table(folder / FOCUS_TABLE, self.store, self.rows, found, judged, self.attributes)
        return record | self._pictures(folder, found, next(iter(judged.values()))) | {"pruned": self._pruned()}

    def _pruned(self) -> dict[str, Any] | None:
        """The focus of removed channels beside that of kept ones, in the network from before the pruning."""
        if self.before is None:
            return None
        return pruned_record(
            self.before.network, self.before.removed, facts=self.explained.facts, store=self.store, rows=self.rows,
            device=self.explained.device, options=self._resampling, batch_size=self.options.batch_size,
        )  # fmt: skip

    @property
    def _resampling(self) -> FocusOptions:
        return FocusOptions(self.options.bootstrap, self.options.permutations, self.options.seed)

    def _figures(self, found: ExplainedRows, judged: Mapping[str, Judged]) -> dict[str, Any]:
        attributes = {
            name: of._replace(groups=of.groups.take(self.rows)) for name, of in self.attributes.items()
        }  # fmt: skip
        options = self.options
        masks = mask_counts(self.store, self.rows)
        tone, chosen = self.store.info.tone or {}, self._chosen(found)
        parts = {
            label: question_record(
                one, attributes, has_masks=masks["known"] > 0, options=self._resampling, min_group=options.min_group
            )
            for label, one in judged.items()
        }
        layer = self.options.layer or LAST_MAPS
        return {
            "schema": 1,
            "kind": "explanation",
            "task": self.store.task,
            "n": len(self.rows),
            "classes": list(self.store.classes),
            "method": options.method,
            "layer": layer,
            "map_px": list(found.map_px),
            "size_px": self.store.size_px,
            "split": options.split,
            "target": self.asked.says,
            "masks": masks | {"source": tone.get("masks", "stored")},
            "settings": options.model_dump(include={"bootstrap", "permutations", "seed", "min_group"}),
            **(parts[""] if self.asked.labels == ("",) else {"labels": parts}),
            "channels": None if found.channels is None else channels_record(found.channels, layer=layer, chosen=chosen),
        }

    def _chosen(self, found: ExplainedRows) -> list[int]:
        return [] if found.channels is None else chosen_channels(found.channels, self.options.channels)

    def _pictures(self, folder: Path, found: ExplainedRows, judged: Judged) -> dict[str, Any]:
        """Writes what was asked for of the first question; without examples nothing."""
        if not self.options.examples:
            return {"gallery": None}
        lead = self.store.info.default_attribute
        first = self.attributes.get(lead, next(iter(self.attributes.values()))).groups.take(self.rows)
        places = draw_examples(judged.right, first, self.options.examples, seed=self.options.seed)
        gallery = write_gallery(
            folder, self.explained, self.store, self.rows, found, judged, first, places=places
        )  # fmt: skip
        if found.channels is not None:
            gallery["channel_files"] = write_channels(
                folder, self.explained, self.store, self.rows[places],
                channels=self._chosen(found),
            )  # fmt: skip
            gallery["pruned_files"] = self._removed_channels(folder, self.rows[places])
        return {"gallery": gallery | {"label": self.asked.labels[0]}}

    def _removed_channels(self, folder: Path, rows: NDArray[np.int64]) -> dict[str, list[str]]:
        """Writes overlays of the first channels that pruning removed, below ``pruned`` by layer; the files' names."""
        before, files = self.before, dict[str, list[str]]()
        if before is None:
            return files
        for layer, channels in before.removed.items():
            explained = ExplainedNetwork.of(
                before.network, GradCam(layer=layer), facts=self.explained.facts, classes=self.store.classes,
                device=self.explained.device,
            )  # fmt: skip
            first = list(channels[: self.options.channels])
            files[layer] = write_channels(folder / PRUNED_FOLDER / layer, explained, self.store, rows, channels=first)
        return files
