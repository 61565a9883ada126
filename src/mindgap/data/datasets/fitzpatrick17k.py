"""Fitzpatrick17k: clinical images with human skin type labels (Groh et al. 2021)."""

from __future__ import annotations

from mindgap.data.dataset import DATASETS, AbstractDataset
from mindgap.data.manifest import Manifest


@DATASETS.register("fitzpatrick17k")
class Fitzpatrick17k(AbstractDataset):
    """Fitzpatrick17k clinical images: benign, malignant or non-neoplastic, by Fitzpatrick label."""

    def manifest(self) -> Manifest:
        """Columns of ``fitzpatrick17k.csv``; a scale of -1 is missing.

        Finer labels are in the columns ``nine_partition_label`` and ``label`` (114 conditions).
        """
        return Manifest(
            id="md5hash",
            label="three_partition_label",
            classes=("benign", "malignant", "non-neoplastic"),
            attributes=("fitzpatrick", "fitzpatrick_centaur"),
            renames={"fitzpatrick_scale": "fitzpatrick"},
            missing=frozenset({"-1"}),
        )
