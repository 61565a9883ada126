"""Plain training on synthetic images leaves a gap where the set was made harder for one group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mindgap.audit.model_audit import audit_predictions
from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.loop import TrainSettings, train_network
from mindgap.train.store_predictions import to_predictions
from mindgap.workflows.prepare import prepare
from mindgap.workflows.synth import synth

ARCHITECTURE = Architecture(
    name="small",
    input_px=64,
    num_classes=3,
    stem=Stem(channels=16),
    blocks=(
        BlockSpec(type="cb", out_channels=32, stride=2, choices={"kernel": 3, "hidden_channels": 32}),
        BlockSpec(type="cb", out_channels=64, stride=2, choices={"kernel": 3, "hidden_channels": 64}),
        BlockSpec(type="cb", out_channels=64, stride=2, choices={"kernel": 3, "hidden_channels": 64}),
    ),
    head=Head(width=96),
)


def audit_of_plain_training(folder: Path, *, n: int, epochs: int, seed: int, bias: float = 0.3) -> dict[str, Any]:
    """The audit on the test split after synth, prepare and training with natural batches and cross-entropy."""
    synth(folder / "set", n=n, seed=seed, bias=bias)
    prepare(
        images=folder / "set" / "images",
        metadata=folder / "set" / "metadata.csv",
        out=folder / "store",
        preset="synthetic",
        attributes="true_tone",
        seed=seed,
        workers=1,
    )
    store = Store.open(folder / "store")
    settings = TrainSettings(epochs=epochs, seed=seed, precision="fp32")
    groups = store.groups("true_tone")
    network = ARCHITECTURE.build(seed=seed)
    train_network(
        network, store, train_rows=store.rows("train"), groups=groups, settings=settings, architecture=ARCHITECTURE
    )
    rows = store.rows("test")
    probabilities = predict_probabilities(network, store.image_tensor(), rows, architecture=ARCHITECTURE)
    return audit_predictions(to_predictions(store, rows, probabilities), bootstrap=200, permutations=1000)


@pytest.mark.slow
def test_a_small_network_learns_the_label_well_above_chance_in_a_few_epochs(tmp_path):
    audit = audit_of_plain_training(tmp_path, n=3000, epochs=5, seed=0)
    assert audit["overall"]["accuracy"]["low"] > 0.55  # the largest class is 0.4 of the images


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_plain_training_shows_a_gap_above_its_noise_floor(tmp_path, seed):
    audit = audit_of_plain_training(tmp_path, n=6000, epochs=10, seed=seed)
    tone = audit["attributes"]["true_tone"]
    gap = tone["gaps"]["unfairness"]
    assert gap["value"] > gap["noise_p95"]
    assert gap["p_value"] <= 0.01
    assert tone["groups"]["dark"]["accuracy"]["value"] < tone["groups"]["light"]["accuracy"]["value"]


@pytest.mark.slow
def test_without_bias_the_gap_is_much_smaller(tmp_path):
    gaps = [
        audit_of_plain_training(tmp_path / str(bias), n=6000, epochs=10, seed=0, bias=bias)["attributes"]["true_tone"]
        for bias in (0.0, 0.6)
    ]
    plain, biased = (record["gaps"]["unfairness"]["value"] for record in gaps)
    assert plain < biased / 2
