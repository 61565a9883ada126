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
        return join_tables([(path, self._renamed(self.read(path))) for path in metadata], key=key)

    def read(self, path: Path) -> pd.DataFrame:
        """Reads one table as text, with the source's column names.

        Raises:
            DataError: the file cannot be read.
        """
        return read_table(path)

    def _renamed(self, table: pd.DataFrame) -> pd.DataFrame:
        renames = {old: new for old, new in self.manifest().renames.items() if new not in table.columns}
        return table.rename(columns=renames)


DATASETS: Registry[type[AbstractDataset]] = Registry("datasets", package="mindgap.data.datasets")
