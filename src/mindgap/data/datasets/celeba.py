"""CelebA: celebrity faces with forty binary labels (Liu et al. 2015)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mindgap.core.errors import DataError
from mindgap.data.dataset import DATASETS, AbstractDataset
from mindgap.data.manifest import Manifest

LABELS = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes",
    "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns", "Smiling",
    "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace",
    "Wearing_Necktie", "Young",
)  # fmt: skip


@DATASETS.register("celeba")
class CelebA(AbstractDataset):
    """CelebA faces: 39 binary labels, gender as attribute; images of one identity stay together."""

    def manifest(self) -> Manifest:
        """Columns of ``list_attr_celeba`` (-1/1) joined with ``identity_CelebA``; ``Male`` becomes gender.

        The split is drawn here, identity by identity, unless ``list_eval_partition`` is given as a table too, and its
        column ``partition`` as ``--split-column``. No label is left out for being rare (Blanzeisky & Cunningham kept
        34 of the 39): what needs more rows says so itself.
        """
        return Manifest(
            id="image_id",
            labels=LABELS,
            cluster="identity",
            attributes=("gender", "Young"),
            upright=True,
            renames={"Male": "gender"},
            values={"gender": {"1": "male", "-1": "female"}} | {label: {"-1": "0"} for label in LABELS},
        )

    def read(self, path: Path) -> pd.DataFrame:
        """Reads a CSV table or an original text file: label names after a count, or lines of name and value.

        Raises:
            DataError: the file cannot be read, or a line has too few or too many cells.
        """
        return _read_text(path) if path.suffix == ".txt" else super().read(path)


def _read_text(path: Path) -> pd.DataFrame:
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot read the table ({error}); check --metadata") from None
    if lines and len(lines[0]) == 1:
        lines = lines[1:]
    if not lines:
        raise DataError(f"{path}: the table is empty; it needs one line per image")
    if len(lines[0]) + 1 == len(lines[-1]):
        names, rows = ["image_id", *lines[0]], lines[1:]
    else:
        names, rows = ["image_id", "partition" if "partition" in path.stem else "identity"], lines
    faulty = next((number for number, row in enumerate(rows, start=1) if len(row) != len(names)), None)
    if faulty is not None:
        raise DataError(f"{path}: row {faulty} has {len(rows[faulty - 1])} cells, not {len(names)}; mend the file")
    return pd.DataFrame(rows, columns=names, dtype="str")
