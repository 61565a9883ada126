"""The table of an explanation: the figures of every image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mindgap.core.files import atomic_path
from mindgap.data.image_store import Store
from mindgap.data.store_attributes import StoreAttribute
from mindgap.explain.store_focus import ExplainedRows
from mindgap.workflows.explain_record import Judged

FOCUS_TABLE = "focus.parquet"


def write_focus_table(
    path: Path,
    store: Store,
    rows: NDArray[np.int64],
    found: ExplainedRows,
    judged: Mapping[str, Judged],
    attributes: Mapping[str, StoreAttribute],
) -> None:
    """Writes the figures of every image: id, split, cluster, per label what was seen, and its groups.

    ``target`` is the class of the map, ``right`` whether the prediction is the label, ``focus`` NaN where it is not
    defined, ``blank_map`` whether nothing in the map speaks for the class. Of several labels the names of these columns
    end in the label's. An attribute of a name that is taken is under ``group_<name>``.

    Args:
        path: the Parquet file.
        store: of the images.
        rows: int64 (n,), which rows were explained.
        found: their figures.
        judged: those of each label.
        attributes: groups over all rows of the store.

    Raises:
        CapacityError: the file cannot be written.
    """
    columns: dict[str, Any] = {
        "id": store.ids[rows],
        "split": store.table["split"].to_numpy(dtype=object)[rows],
        "cluster": store.cluster_names[rows],
    }
    classes = np.array(store.classes, dtype=object)
    for number, (label, one) in enumerate(judged.items()):
        several = bool(label)
        parts: dict[str, Any] = {"label": one.labels if several else classes[one.labels]}
        if several:
            parts["probability"] = found.probabilities[:, store.classes.index(label)]
        else:
            parts["prediction"] = classes[found.probabilities.argmax(axis=1)]
            parts["probability"] = found.probabilities.max(axis=1)
            parts["target"] = classes[found.targets[number]]
        parts |= {"right": one.right, "focus": one.focus.values, "blank_map": one.is_blank}
        columns |= {f"{key}_{label}" if several else key: values for key, values in parts.items()}
    for name, of in attributes.items():
        free = f"group_{name}" if name in columns else name
        columns[free] = np.array([*of.groups.names, None], dtype=object)[of.groups.ids[rows]]
    with atomic_path(path) as file:
        pd.DataFrame(columns).to_parquet(file, index=False)
