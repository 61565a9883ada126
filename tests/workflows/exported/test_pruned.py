"""A network that lost channels predicts and is exported like any other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from mindgap.data.augment import normalize
from mindgap.data.image_store import Store
from mindgap.metrics.predictions import read_predictions
from mindgap.prune.masking import masked
from mindgap.prune.surgery import remove_channels
from mindgap.space.architecture import save_network
from mindgap.train.trained_model import read_trained_model
from mindgap.workflows.export import export
from mindgap.workflows.predict import predict

CHANNELS = {"head": range(0, 16, 2), "blocks.0.body.expand": range(5), "blocks.1": [0, 7], "blocks.1.body.first": [3]}


def test_a_pruned_run_predicts_as_the_masked_network_and_so_does_its_file(run, store, copy_of, tmp_path):
    model, pruned_run = read_trained_model(run), copy_of(run)
    pruned = remove_channels(model.architecture, model.network, CHANNELS)
    save_network(pruned_run, pruned.architecture, pruned.network)
    opened = Store.open(store)
    images = torch.from_numpy(np.asarray(opened.images[opened.rows("test")]))
    with torch.inference_mode(), masked(model.network, CHANNELS):
        pixels = normalize(images, mean=model.architecture.mean, std=model.architecture.std)
        expected = model.network(pixels).softmax(dim=1).numpy()
    record = export(pruned_run, out=tmp_path / "pruned.onnx")
    assert record["agreement"]["max_difference"] < 1e-5
    for source in (pruned_run, tmp_path / "pruned.onnx"):
        out = tmp_path / f"{source.name}.csv"
        predict(source, store, out=out)
        table = pd.read_csv(out)
        chances = table[[name for name in table if name.startswith("prob_")]].to_numpy()
        np.testing.assert_allclose(chances, expected, rtol=0, atol=1e-5)
    whole = read_predictions(run / "predictions.parquet", attributes=["sex"]).probabilities
    assert np.abs(whole - expected).max() > 0.01
