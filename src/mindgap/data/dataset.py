"""What a data set's tables mean: which column holds what, in which words. One preset per file in ``datasets/``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mindgap.core.registry import Registry
from mindgap.data.manifest import Manifest
from mindgap.data.table import join_tables, read_table


class AbstractDataset(ABC):
    """A data set preset: says what its tables mean, and reads them if they are not plain CSV."""

    @abstractmethod
    def manifest(self) -> Manifest:
        """The columns and words of this data set."""

    def table(self, images: Path, metadata: Sequence[Path], *, key: str | None) -> pd.DataFrame:  # noqa: ARG002
        """Reads the tables as text: files with the same columns are stacked, others joined on the image id.

        Args:
            images: folder of the images, for data sets whose labels are in the file names.
            metadata: the tables.
            key: column of image names, or None where the user named none.

        Raises:
            DataError: a file cannot be read or the files do not fit together.
        """
        renames = self.manifest().renames
        tables = [(path, read_table(path).rename(columns=dict(renames))) for path in metadata]
        return join_tables(tables, key=key)


DATASETS: Registry[type[AbstractDataset]] = Registry("datasets", package="mindgap.data.datasets")
