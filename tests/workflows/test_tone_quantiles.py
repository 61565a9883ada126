"""Groups of as many images each by their angle, an attribute of the toned store."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from mindgap.core.errors import ConfigError
from mindgap.data.image_store import Store
from mindgap.workflows.prepare import prepare
from mindgap.workflows.tone import tone
from mindgap.workflows.train import train

SHORT = {"epochs": 1, "bootstrap": 0, "permutations": 0}


def test_quantiles_of_the_angle_are_an_attribute_that_runs_can_use(place, toned, tmp_path):
    tone(place / "store", out=tmp_path / "new", quantiles=3)
    found = Store.open(tmp_path / "new")
    assert found.attributes == ("sex", "tone", "tone_quantile")
    groups, degrees = found.groups("tone_quantile"), found.table["ita_degrees"].to_numpy()
    assert groups.names == ("q1", "q2", "q3")
    assert np.array_equal(degrees, toned.table["ita_degrees"].to_numpy(), equal_nan=True)
    assert np.array_equal(groups.ids < 0, np.isnan(degrees))
    assert max(groups.counts()) - min(groups.counts()) <= 1
    darkest, lightest = (degrees[groups.ids == k] for k in (0, 2))
    assert darkest.max() < lightest.min()
    train(found, network="resnet18", attribute="tone_quantile", mitigation="groupdro", out=tmp_path / "run", **SHORT)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert list(metrics["test"]["attributes"]) == [*found.attributes]
    with pytest.raises(ConfigError, match=r"attribute 'tone_quantile' .* measured here; give --quantiles"):
        tone(found, out=tmp_path / "again")
    with pytest.raises(ConfigError, match="--quantiles 10: give 2 to 9 groups"):
        tone(place / "store", out=tmp_path / "again", quantiles=10)
    assert not (tmp_path / "again").exists()


def test_an_attribute_under_the_name_of_a_measured_column_is_refused(place, tmp_path):
    table = pd.read_csv(place / "set" / "metadata.csv").rename(columns={"true_ita_degrees": "ita_degrees"})
    table.to_csv(tmp_path / "table.csv", index=False)
    prepare(
        images=place / "set" / "images", metadata=tmp_path / "table.csv", masks=place / "set" / "masks", id="image_id",
        label="label", attributes="sex,ita_degrees:quantiles=3", cluster="lesion_id", size=48, out=tmp_path / "store",
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"attribute 'ita_degrees' .* measured here; prepare the store without it"):
        tone(tmp_path / "store", out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
