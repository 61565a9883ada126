"""The experiment on pruning prints what the kept predictions hold."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from mindgap.data.image_store import Store
from mindgap.testing.tiny_store import write_tiny_store

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


@pytest.fixture
def pruning(monkeypatch, tmp_path):
    """The script as a module, with its results elsewhere."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    module = importlib.import_module("pruning")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    return module


def asked(store: Path, name: str) -> argparse.Namespace:
    return argparse.Namespace(store=store, name=name, share=0.02, attributes="sex", bootstrap=40, permutations=40)


def test_the_table_has_every_network_with_its_floor_and_each_pair_over_seeds(pruning, tmp_path, capsys):
    place = write_tiny_store(tmp_path / "store", n=600)
    store = Store.open(place)
    rows, options = store.rows("test"), asked(place, "made")
    labels, groups, lines = store.labels[rows], store.groups("sex").ids[rows], []
    right = {
        pruning.UNPRUNED: np.ones(len(rows), dtype=bool),
        pruning.CONTROL: groups == 0,
        "snnl": np.ones(len(rows), dtype=bool),
        "magnitude": groups == 0,
    }
    for seed in (0, 1):
        test = {
            name: pruning.packed(np.eye(2)[np.where(of, labels, 1 - labels)] * 0.8 + 0.1, store)
            for name, of in right.items()
        }
        lines.append(json.dumps({"seed": seed, "fingerprint": store.fingerprint, "test": test}))
    (tmp_path / "pruning_made_0.02.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pruning.show(options)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"n = {len(rows)} test images, seeds 0, 1"
    table = {line.split(" | ")[0].removeprefix("| "): line for line in said[3:7]}
    accuracy = (groups == 0).mean()
    assert f"| {accuracy:.3f} [" in table["magnitude"]
    assert "| 1.000 [" in table["snnl"]
    assert all(" / " in line for line in table.values()), "each gap has its floor"
    sentences = said[7:]
    assert len(sentences) == 4
    assert "snnl" in sentences[3]
    assert "magnitude" in sentences[3]
    gap = float(table["magnitude"].split(" | ")[3].split(" ")[0])
    assert f"Over 2 seeds {-gap:+.3f} [{-gap:+.3f}, {-gap:+.3f}]." in sentences[3]


def test_another_store_is_refused(pruning, tmp_path):
    place = write_tiny_store(tmp_path / "store")
    line = json.dumps({"seed": 0, "fingerprint": "of another", "test": {}})
    (tmp_path / "pruning_made_0.02.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(pruning.DataError, match="is not the store of the kept seeds"):
        pruning.show(asked(place, "made"))
