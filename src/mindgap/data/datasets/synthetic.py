"""The set that ``mindgap synth`` writes."""

from __future__ import annotations

from mindgap.data.dataset import DATASETS, AbstractDataset
from mindgap.data.manifest import Manifest
from mindgap.data.synthesis.population import CLASSES


@DATASETS.register("synthetic")
class Synthetic(AbstractDataset):
    """Images of ``mindgap synth``: three lesion classes with known tone; images of one lesion stay together."""

    def manifest(self) -> Manifest:
        """Columns of the ``metadata.csv`` that ``mindgap synth`` writes."""
        return Manifest(
            id="image_id",
            label="label",
            classes=CLASSES,
            cluster="lesion_id",
            attributes=("true_tone", "sex", "age"),
        )
