"""PAD-UFES-20: clinical photographs by smartphone, six diagnoses (Pacheco et al. 2020)."""

from __future__ import annotations

from mindgap.data.dataset import DATASETS, AbstractDataset
from mindgap.data.manifest import Manifest

FITZPATRICK = {f"{level}.0": str(level) for level in range(1, 7)}
SEXES = {"MALE": "male", "FEMALE": "female"}


@DATASETS.register("pad_ufes_20")
class PadUfes20(AbstractDataset):
    """PAD-UFES-20 clinical photographs: six diagnoses, human Fitzpatrick label, sex, age; patients stay together."""

    def manifest(self) -> Manifest:
        """Columns of the original ``metadata.csv``, whose ``fitspatrick`` and ``gender`` get their usual names."""
        return Manifest(
            id="image_id",
            label="dx",
            classes=("ACK", "BCC", "MEL", "NEV", "SCC", "SEK"),
            cluster="patient_id",
            attributes=("fitzpatrick", "sex", "age", "region"),
            renames={"img_id": "image_id", "diagnostic": "dx", "fitspatrick": "fitzpatrick", "gender": "sex"},
            values={"fitzpatrick": FITZPATRICK, "sex": SEXES},
            missing=frozenset({"UNK", "unknown"}),
        )
