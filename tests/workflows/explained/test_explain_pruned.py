"""Kept against pruned channels of a run's network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindgap.core.errors import ConfigError
from mindgap.data.image_store import Store
from mindgap.explain.focus_records import FocusOptions
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.train.trained_model import read_trained_model
from mindgap.workflows.explain import explain
from mindgap.workflows.explain_pruned import pruned_record


@pytest.fixture
def compared(run, store):
    """Compares channels of the run's network on the test split."""

    def of(removed, store=store):
        model, opened = read_trained_model(run), Store.open(store)
        return pruned_record(
            model.network, removed, facts=model.facts, store=opened, rows=opened.rows("test"),
            device=torch.device("cpu"), options=FocusOptions(bootstrap=50, permutations=50), batch_size=7,
        )  # fmt: skip

    return of


def test_channels_that_look_outside_are_told_from_those_kept(compared, run, tmp_path):
    focus = explain(run, out=tmp_path / "out", layer="blocks.0", examples=1, channels=1, bootstrap=0, permutations=0)
    means = np.array([np.nan if one is None else one for one in focus["channels"]["mean_focus"]])
    highest = np.argsort(-np.nan_to_num(means))[:3]
    found = compared({"blocks.0": highest.tolist()})["blocks.0"]
    assert found["channels"] == len(means)
    assert found["removed"]["value"] == pytest.approx(means[highest].mean())
    assert found["kept"]["value"] == pytest.approx(np.nanmean(np.delete(means, highest)))
    assert found["difference"]["value"] == pytest.approx(found["removed"]["value"] - found["kept"]["value"])
    assert found["difference"]["low"] <= found["difference"]["value"] <= found["difference"]["high"]


def test_every_layer_has_its_record_and_the_network_stays_as_it_was(compared, run):
    before = {name: of.clone() for name, of in read_trained_model(run).network.state_dict().items()}
    assert list(compared({"blocks.0": [0], "head": [1, 2]})) == ["blocks.0", "head"]
    after = read_trained_model(run).network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_without_masks_the_reason_is_the_same_as_elsewhere(compared, tmp_path):
    found = compared({"head": [1]}, store=write_tiny_store(tmp_path / "bare", n=60))["head"]
    assert found["difference"]["value"] is None
    assert found["difference"]["reason"].startswith("the store has no lesion masks")


def test_a_channel_or_layer_that_is_not_there_is_refused(compared):
    with pytest.raises(ConfigError, match=r"layer 'head' has the channels 0\.\.15, and 3\.\.16 are said to be pruned"):
        compared({"head": [3, 16]})
    with pytest.raises(ConfigError, match="no layer 'haed'"):
        compared({"haed": [0]})
