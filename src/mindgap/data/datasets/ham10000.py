"""HAM10000: dermoscopy, seven diagnoses (Tschandl, Rosendahl & Kittler 2018)."""

from __future__ import annotations

from mindgap.data.dataset import DATASETS, AbstractDataset
from mindgap.data.manifest import Manifest


@DATASETS.register("ham10000")
class Ham10000(AbstractDataset):
    """HAM10000 dermoscopy: seven diagnoses, sex, age; images of one lesion stay together."""

    def manifest(self) -> Manifest:
        """Columns of ``HAM10000_metadata``; ages are multiples of 5, and 0 occurs."""
        return Manifest(
            id="image_id",
            label="dx",
            classes=("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"),
            cluster="lesion_id",
            attributes=("sex", "age", "localization"),
            missing=frozenset({"unknown"}),
        )
