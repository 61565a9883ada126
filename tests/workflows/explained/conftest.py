"""Runs on tiny images that are explained."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from mindgap.testing.tiny_store import write_tiny_store
from mindgap.testing.tiny_training import SMALL
from mindgap.workflows.train import train

N = 150


def _make_run(store, out, **options):
    path = out.with_suffix(".json")
    path.write_text(SMALL.to_json())
    defaults = {"epochs": 3, "batch_size": 32, "lr": 0.01, "precision": "fp32", "bootstrap": 0, "permutations": 0}
    train(store, network=path, out=out, **defaults | options)
    return out


@pytest.fixture(scope="session")
def make_run():
    """Trains the small network on a store: ``make_run(store, out, **options)``."""
    return _make_run


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("explained")


@pytest.fixture(scope="session")
def store(place):
    """A store with lesion masks."""
    return write_tiny_store(place / "store", n=N, masks=True)


@pytest.fixture(scope="session")
def run(place, store):
    return _make_run(store, place / "run")


@pytest.fixture
def blank_run(run, tmp_path):
    """The run with a classifier that nothing speaks for."""
    copied = tmp_path / "blank"
    shutil.copytree(run, copied)
    weights = load_file(copied / "weights.safetensors")
    weights["classifier.weight"] = torch.zeros_like(weights["classifier.weight"])
    save_file(weights, copied / "weights.safetensors")
    return copied
