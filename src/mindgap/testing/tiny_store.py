"""A store of tiny images that a network learns in seconds, for tests that need one without a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mindgap.core.files import write_json

SIZE_PX = 16
SPLITS = ("train", "validation", "test")


def write_tiny_store(
    folder: Path,
    *,
    n: int = 300,
    multi_label: bool = False,
    minority: float = 0.4,
    twins: bool = False,
    masks: bool = False,
) -> Path:
    """Writes n images of 16 px whose red channel tells the class; group ``b`` is harder to read.

    Three fifths train, one fifth validates, one fifth tests; one row in fifteen has no group; pairs share a cluster.
    With twins nine tenths are of tone band II, the others of V; twins are the images upside down, of band V, and the
    last image has none. With masks the lesion is the left upper quarter of every image; the last image has no mask.
    """
    generator = np.random.default_rng(0)
    labels = np.arange(n) // 2 % 2
    sex = np.where(generator.random(n) < minority, "b", "a").astype(object)
    images = generator.integers(0, 120, (n, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    shift = np.where(sex == "b", 20, 60) * labels
    images[..., 0] += shift.astype(np.uint8)[:, None, None]
    sex[::15] = None
    split = np.array(["train"] * 3 + ["validation", "test"], dtype=object)[np.arange(n) // 4 % 5]
    columns: dict[str, object] = {"id": [f"i{row}" for row in range(n)], "split": split, "sex": sex}
    columns["cluster"] = [f"c{row // 2}" for row in range(n)]
    if multi_label:
        columns |= {"label_red": labels, "label_even": 1 - labels}
    else:
        columns["label"] = np.array(["dark", "red"])[labels]
    folder.mkdir(parents=True)
    images.tofile(folder / "images.bin")
    if twins:
        columns["tone"] = np.where(np.arange(n) % 10 == 3, "V", "II").astype(object)
        columns["twin_tone"] = ["V"] * (n - 1) + [None]
        np.concatenate([images[:-1, ::-1], images[-1:]]).tofile(folder / "twins.bin")
    if masks:
        columns["has_mask"] = np.arange(n) < n - 1
        lesions = np.zeros((n, SIZE_PX, SIZE_PX), dtype=np.uint8)
        lesions[:-1, : SIZE_PX // 2, : SIZE_PX // 2] = 255
        lesions.tofile(folder / "masks.bin")
    pd.DataFrame(columns).to_parquet(folder / "table.parquet")
    groups = [
        {"name": name, "n": int((sex == name).sum())}
        | {part: int(((sex == name) & (split == part)).sum()) for part in SPLITS}
        for name in ("a", "b")
    ]
    record = {
        "version": 1,
        "n": n,
        "size_px": SIZE_PX,
        "resize": "squash",
        "task": "multi-label" if multi_label else "single-label",
        "classes": ["red", "even"] if multi_label else ["dark", "red"],
        "attributes": {"sex": {"spec": "sex", "groups": groups, "unknown": int(pd.isna(sex).sum())}},
        "default_attribute": "sex",
        "fingerprint": f"tiny-{n}-{multi_label}-{minority}",
        "split": {},
        "seed": 0,
        "dropped": {},
        "duplicates": {},
        "source": {},
        "masks": {"read": n - 1} if masks else None,
        "tone": {"target": "V"} if twins else None,
    }
    write_json(folder / "store.json", record)
    return folder
