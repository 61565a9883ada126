"""The store: one uint8 memory map of images and a table, row i ↔ image i; many processes may open it at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from mindgap.core.config import StrictModel, parse
from mindgap.core.errors import ConfigError, DataError, UnknownNameError, near_names
from mindgap.core.files import read_json
from mindgap.core.groups import Groups
from mindgap.data.attribute import MEASURED
from mindgap.data.decode import Constancy, Resize
from mindgap.data.split import SPLITS, cluster_numbers
from mindgap.data.table import column_of, numbered

if TYPE_CHECKING:
    import torch

VERSION = 1
TWINS_FILE = "twins.bin"
Task = Literal["single-label", "multi-label"]


class GroupInfo(StrictModel):
    """Images of one group, in all and per split; ``flags`` holds ``single_image`` and ``not_in_<split>``."""

    name: str
    n: int
    train: int
    validation: int
    test: int
    flags: tuple[str, ...] = ()


class AttributeInfo(StrictModel):
    """One attribute: its syntax, its groups in order, rows without it, and those of them whose value fits no group."""

    spec: str
    groups: tuple[GroupInfo, ...]
    unknown: int
    out_of_range: int = 0
    empty_groups: tuple[str, ...] = ()


class StoreInfo(StrictModel):
    """What ``store.json`` says; ``upright`` images, such as faces, are mirrored in training but not turned.

    ``constancy`` is of the images' colours. ``tone`` is what ``mindgap tone`` did; None before.
    """

    version: int
    n: int
    size_px: int
    resize: Resize
    constancy: Constancy = "none"
    upright: bool = False
    task: Task
    classes: tuple[str, ...]
    attributes: dict[str, AttributeInfo]
    default_attribute: str
    fingerprint: str
    split: dict[str, Any]
    seed: int
    dropped: dict[str, int]
    duplicates: dict[str, Any]
    source: dict[str, Any]
    masks: dict[str, int] | None = None
    tone: dict[str, Any] | None = None
    notes: tuple[str, ...] = Field(default=())


@dataclass(frozen=True, eq=False)
class Store:
    """A prepared data set; everything is read when first asked for.

    Attributes:
        path: the folder.
        info: the contents of ``store.json``.
    """

    path: Path
    info: StoreInfo

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """Opens a store.

        Raises:
            DataError: there is none, it is unfinished, or its files do not fit together.
        """
        folder = Path(path)
        if not (folder / "store.json").is_file():
            raise DataError(f"{folder}: no store here (no store.json); make one with mindgap prepare")
        record = read_json(folder / "store.json")
        version = record.get("version") if isinstance(record, dict) else None
        if version != VERSION:
            raise DataError(
                f"{folder}: store.json has version {version!r}, this mindgap reads {VERSION}; prepare it again"
            )
        try:
            info = parse(StoreInfo, record, source=str(folder / "store.json"))
        except ConfigError as error:
            raise DataError(f"{error}; prepare the store again") from None
        store = cls(folder, info)
        store._check_size("images.bin", info.n * info.size_px**2 * 3)
        if info.masks is not None:
            store._check_size("masks.bin", info.n * info.size_px**2)
        if info.tone is not None:
            store._check_size(TWINS_FILE, info.n * info.size_px**2 * 3)
        return store

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as its path, never as its pixels."""
        return Store.open, (self.path,)

    def _check_size(self, name: str, size: int) -> None:
        file = self.path / name
        found = file.stat().st_size if file.is_file() else 0
        if found != size:
            raise DataError(
                f"{file}: has {found} bytes, store.json says {size}; the store is damaged, prepare it again"
            )

    @property
    def n(self) -> int:
        """Number of images."""
        return self.info.n

    @property
    def size_px(self) -> int:
        """Side of the square images."""
        return self.info.size_px

    @property
    def task(self) -> Task:
        """``single-label`` or ``multi-label``."""
        return self.info.task

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of their numbers; label names if multi-label."""
        return self.info.classes

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the sensitive attributes, in the order asked for."""
        return tuple(self.info.attributes)

    @property
    def fingerprint(self) -> str:
        """Digest of pixels, labels, groups, clusters and splits."""
        return self.info.fingerprint

    @cached_property
    def table(self) -> pd.DataFrame:
        """The table, row i ↔ image i."""
        try:
            table = pd.read_parquet(self.path / "table.parquet")
        except (OSError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(f"{self.path / 'table.parquet'}: cannot read ({reason}); prepare the store again") from None
        if len(table) != self.n:
            raise DataError(f"{self.path}: the table has {len(table)} rows, store.json says {self.n}; prepare it again")
        return table

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """uint8 (N, S, S, 3) RGB, a copy-on-write map: shared between processes, changes stay in memory."""
        shape = (self.n, self.size_px, self.size_px, 3)
        return np.memmap(self.path / "images.bin", dtype=np.uint8, mode="c", shape=shape)

    @cached_property
    def masks(self) -> NDArray[np.uint8] | None:
        """uint8 (N, S, S), 0 or 255 (all 0 where ``has_mask`` is false); None if no masks were given."""
        if self.info.masks is None:
            return None
        return np.memmap(self.path / "masks.bin", dtype=np.uint8, mode="c", shape=(self.n, self.size_px, self.size_px))

    @cached_property
    def twins(self) -> NDArray[np.uint8] | None:
        """uint8 (N, S, S, 3), each image with its skin of another tone; None before ``mindgap tone``.

        Where ``twin_target_degrees`` of the table is empty the twin is the image itself.
        """
        if self.info.tone is None:
            return None
        shape = (self.n, self.size_px, self.size_px, 3)
        return np.memmap(self.path / TWINS_FILE, dtype=np.uint8, mode="c", shape=shape)

    def image_tensor(self) -> torch.Tensor:
        """uint8 tensor (N, S, S, 3) over the map itself; nothing is read or copied yet."""
        import torch

        return torch.from_numpy(self.images)

    @cached_property
    def labels(self) -> NDArray[np.int64] | NDArray[np.uint8]:
        """int64 (N,) class numbers, or uint8 (N, L) if multi-label."""
        if self.task == "multi-label":
            return self.table[[f"label_{name}" for name in self.classes]].to_numpy(dtype=np.uint8)
        return numbered(column_of(self.table, "label"), self.classes)

    def groups(self, attribute: str) -> Groups:
        """Groups of an attribute over all N rows, in the order of ``store.json``.

        Raises:
            UnknownNameError: the store has no such attribute.
        """
        if attribute not in self.info.attributes:
            names = near_names(attribute, self.attributes)
            if attribute in MEASURED:
                names = f"it exists only after `{MEASURED[attribute]}`; known: {', '.join(sorted(self.attributes))}"
            raise UnknownNameError(f"{self.path}: no attribute {attribute!r}; {names}")
        names = tuple(group.name for group in self.info.attributes[attribute].groups)
        return Groups(attribute, names, numbered(column_of(self.table, attribute), names))

    @cached_property
    def ids(self) -> NDArray[np.object_]:
        """Object (N,): image ids."""
        return self.table["id"].to_numpy(dtype=object)

    @cached_property
    def cluster_names(self) -> NDArray[np.object_]:
        """Object (N,): the cluster's name, None where a row has none."""
        names = column_of(self.table, "cluster").to_numpy(dtype=object, copy=True)
        names[pd.isna(names)] = None
        return names

    @cached_property
    def clusters(self) -> NDArray[np.int64]:
        """int64 (N,): cluster numbers; a row without a cluster is a cluster of its own."""
        return cluster_numbers(column_of(self.table, "cluster"))

    def rows(self, split: str) -> NDArray[np.int64]:
        """int64: the row numbers of a split, rising.

        Raises:
            UnknownNameError: it is none of train, validation, test.
        """
        if split not in SPLITS:
            raise UnknownNameError(f"no split {split!r}; {near_names(split, SPLITS)}")
        return np.flatnonzero((self.table["split"] == split).to_numpy(dtype=np.bool_))
