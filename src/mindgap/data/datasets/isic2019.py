"""ISIC 2019 challenge, training set: dermoscopy, eight diagnoses."""

from __future__ import annotations

from mindgap.data.dataset import DATASETS, AbstractDataset
from mindgap.data.manifest import Manifest

DIAGNOSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC")


@DATASETS.register("isic2019")
class Isic2019(AbstractDataset):
    """ISIC 2019 dermoscopy: eight diagnoses, sex, age, site; images of one lesion stay together."""

    def manifest(self) -> Manifest:
        """Columns of ``ISIC_2019_Training_GroundTruth.csv`` joined with ``..._Metadata.csv``.

        The label is one-hot; a row of the column UNK, which has no training images, is dropped as an unknown label.
        """
        return Manifest(
            id="image",
            label="label",
            one_hot=(*DIAGNOSES, "UNK"),
            classes=DIAGNOSES,
            cluster="lesion_id",
            attributes=("sex", "age", "site"),
            renames={"age_approx": "age", "anatom_site_general": "site"},
            missing=frozenset({"unknown"}),
        )
