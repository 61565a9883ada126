"""Any folder of images with a CSV table."""

from __future__ import annotations

from mindgap.data.dataset import DATASETS, AbstractDataset
from mindgap.data.manifest import Manifest


@DATASETS.register("folder")
class Folder(AbstractDataset):
    """Any folder of images with a CSV; the user names the columns, and only an empty cell is missing."""

    def manifest(self) -> Manifest:
        """No column is known in advance."""
        return Manifest()
