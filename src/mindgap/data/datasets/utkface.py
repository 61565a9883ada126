"""UTKFace: faces with age, gender and race (Zhang, Song & Qi 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mindgap.data.dataset import DATASETS, AbstractDataset
from mindgap.data.image_files import ImageFiles
from mindgap.data.manifest import Manifest

GENDERS = {"0": "male", "1": "female"}
RACES = {"0": "white", "1": "black", "2": "asian", "3": "indian", "4": "other"}


@DATASETS.register("utkface")
class UtkFace(AbstractDataset):
    """UTKFace crops: gender as label, race and age as attributes, from a table or from the file names."""

    def manifest(self) -> Manifest:
        """Columns image_id, age, gender, race; the original's codes become words."""
        return Manifest(
            id="image_id",
            label="gender",
            classes=("female", "male"),
            attributes=("race", "age"),
            upright=True,
            values={"gender": GENDERS, "race": RACES},
        )

    def table(self, images: Path, metadata: Sequence[Path], *, key: str | None) -> pd.DataFrame:
        """Reads the tables, or with none the original names ``<age>_<gender>_<race>_<date>.jpg.chip.jpg``.

        A name with fewer parts gives missing cells, so its row is dropped for its label.
        """
        if metadata:
            return super().table(images, metadata, key=key)
        names = ImageFiles(images).paths()
        parts = [name.rpartition("/")[2].split("_") for name in names]
        cells = [part[:3] if len(part) == 4 else [None] * 3 for part in parts]
        ages, genders, races = zip(*cells, strict=True) if cells else ((), (), ())
        return pd.DataFrame({"image_id": names, "age": ages, "gender": genders, "race": races}, dtype="str")
