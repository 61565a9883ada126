"""FairFace: faces balanced over seven race labels (Karkkainen & Joo 2021)."""

from __future__ import annotations

from mindgap.data.dataset import DATASETS, AbstractDataset
from mindgap.data.manifest import Manifest


@DATASETS.register("fairface")
class FairFace(AbstractDataset):
    """FairFace: gender as label, race and age band as attributes."""

    def manifest(self) -> Manifest:
        """Columns of ``fairface_label_train.csv`` and ``fairface_label_val.csv``, which may be given together."""
        return Manifest(
            id="file",
            label="gender",
            classes=("Female", "Male"),
            attributes=("race", "age"),
            upright=True,
        )
