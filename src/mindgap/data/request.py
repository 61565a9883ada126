"""What is asked of ``prepare``: every option checked and resolved."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from mindgap.core.errors import ConfigError, DataError, near_names
from mindgap.data.attribute import AttributeSpec, parse_attributes
from mindgap.data.dataset import DATASETS
from mindgap.data.decode import Constancy, Geometry, Resize
from mindgap.data.manifest import Manifest
from mindgap.data.split import check_shares

PathLike = str | os.PathLike[str]
_MIN_SIZE_PX = 8  # the smallest image that a network takes
_MAX_SIZE_PX = 4096


@dataclass(frozen=True)
class PrepareRequest:
    """All options of ``prepare``, resolved.

    Attributes:
        manifest: the preset's columns and words, with the user's columns in place.
        asked_cluster: the user named the cluster column, so it must be there.
    """

    images: Path
    metadata: tuple[Path, ...]
    masks: Path | None
    preset: str
    manifest: Manifest
    asked_cluster: bool
    specs: tuple[AttributeSpec, ...]
    geometry: Geometry
    shares: tuple[float, ...]
    seed: int
    max_dropped: float
    upright: bool

    def options(self) -> dict[str, Any]:
        """What the store depends on, as plain TOML values; the tables by their contents too.

        Raises:
            DataError: a table cannot be read.
        """
        manifest = self.manifest
        return {
            "images": str(self.images.resolve()),
            "metadata": [str(path.resolve()) for path in self.metadata],
            "metadata_sha256": [_file_digest(path) for path in self.metadata],
            "masks": str(self.masks.resolve()) if self.masks else None,
            "preset": self.preset,
            "id": manifest.id,
            "label": None if manifest.labels else manifest.label,
            "labels": list(manifest.labels),
            "cluster": manifest.cluster,
            "attributes": [spec.spec for spec in self.specs],
            "size": self.geometry.size_px,
            "resize": self.geometry.resize,
            **({} if self.geometry.constancy == "none" else {"constancy": self.geometry.constancy}),
            "split": list(self.shares),
            **({} if manifest.split is None else {"split_column": manifest.split}),
            "seed": self.seed,
            "max_dropped": self.max_dropped,
            "upright": self.upright,
        }


def resolve_request(
    *,
    images: PathLike,
    metadata: PathLike | Sequence[PathLike] | None,
    masks: PathLike | None,
    preset: str | None,
    columns: dict[str, str | None],
    labels: str | Sequence[str] | None,
    attributes: str | Sequence[str],
    size: int,
    resize: str,
    constancy: str,
    split: str | Sequence[float],
    seed: int,
    max_dropped: float,
    upright: bool | None,
) -> PrepareRequest:
    """Checks and resolves the options; ``columns`` holds id, label, cluster and split; upright is the preset's if None.

    Raises:
        ConfigError: an option makes no sense.
        DataError: the image or mask folder is not there.
        UnknownNameError: there is no such preset.
    """
    preset = preset or "folder"
    manifest = DATASETS.get(preset)().manifest()
    for name, column in columns.items():
        if column is not None and not column.strip():
            option = "--split-column" if name == "split" else f"--{name}"
            raise ConfigError(f"{option} {column!r} names no column; name one, or leave the option out")
    if not 0 <= max_dropped <= 1:
        raise ConfigError(f"max-dropped={max_dropped}: need a share in 0..1, as .5")
    for folder, option in ((images, "--images"), (masks, "--masks")):
        if folder is not None and not Path(folder).is_dir():
            raise DataError(f"{folder}: no such folder; check {option}")
    return PrepareRequest(
        images=Path(images),
        metadata=_paths(metadata),
        masks=None if masks is None else Path(masks),
        preset=preset,
        manifest=manifest.with_columns(
            id=columns["id"],
            label=columns["label"],
            labels=_names(labels),
            cluster=columns["cluster"],
            split=columns["split"],
        ),
        asked_cluster=columns["cluster"] is not None,
        specs=parse_attributes(attributes),
        geometry=_geometry(size, resize, constancy),
        shares=_shares(split),
        seed=seed,
        max_dropped=max_dropped,
        upright=manifest.upright if upright is None else upright,
    )


def _paths(metadata: PathLike | Sequence[PathLike] | None) -> tuple[Path, ...]:
    if metadata is None:
        return ()
    if isinstance(metadata, (str, os.PathLike)):
        text = os.fspath(metadata)
        return (Path(text),) if Path(text).exists() else tuple(Path(part.strip()) for part in text.split(","))
    return tuple(Path(path) for path in metadata)


def _names(labels: str | Sequence[str] | None) -> tuple[str, ...]:
    if labels is None:
        return ()
    names = tuple(name.strip() for name in (labels.split(",") if isinstance(labels, str) else labels))
    if not all(names):
        raise ConfigError(f"labels={labels!r} has an empty name; write them as a,b,c")
    return names


def _geometry(size: int, resize: str, constancy: str) -> Geometry:
    if not _MIN_SIZE_PX <= size <= _MAX_SIZE_PX:
        raise ConfigError(f"size={size}: need {_MIN_SIZE_PX}..{_MAX_SIZE_PX} pixels, as 64")
    rule = next((known for known in get_args(Resize) if known == resize), None)
    if rule is None:
        raise ConfigError(f"resize={resize!r}: {near_names(resize, get_args(Resize))}")
    light = next((known for known in get_args(Constancy) if known == constancy), None)
    if light is None:
        raise ConfigError(f"constancy={constancy!r}: {near_names(constancy, get_args(Constancy))}")
    return Geometry(size, rule, light)


def _shares(split: str | Sequence[float]) -> tuple[float, ...]:
    if not isinstance(split, str):
        return check_shares(split)
    try:
        return check_shares([float(part) for part in split.split(",")])
    except ValueError:
        raise ConfigError(f"split={split!r}: not numbers; write the shares as .7,.15,.15") from None


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot read the table ({error.strerror}); check --metadata") from None
