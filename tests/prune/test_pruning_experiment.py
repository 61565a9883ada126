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
    return argparse.Namespace(store=store, name=name, share=0.02, attributes="sex", bootstrap=40, permutations=200)


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
    rows_of = [line.strip("| ").split(" | ") for line in said if line.startswith("| ")]
    overall = {cells[0]: cells for cells in rows_of if len(cells) == 3}
    assert overall["magnitude"][1].startswith(f"{(groups == 0).mean():.3f} [")
    assert overall["snnl"][1].startswith("1.000 [")
    gaps = {cells[1]: cells[2:] for cells in rows_of if cells[0] == "sex" and cells[2] not in right}
    assert set(gaps) == set(right)
    assert all(" / " in cell for cells in gaps.values() for cell in cells[:2]), "each gap has its floor"
    pairs = {(cells[1], cells[2]): cells for cells in rows_of if cells[0] == "sex" and cells[2] in right}
    assert set(pairs) == {
        (pruning.UNPRUNED, pruning.CONTROL), ("snnl", pruning.CONTROL), ("magnitude", pruning.CONTROL),
        ("snnl", "magnitude"),
    }  # fmt: skip
    whole = {(cells[0], cells[1]): cells for cells in rows_of if len(cells) == 6 and cells[1] in right}
    assert set(whole) == set(pairs)
    assert whole["snnl", "magnitude"][-1] == "better"
    gap = float(gaps["magnitude"][0].split(" ")[0])
    assert gap > 0.5
    assert pairs["snnl", "magnitude"][4] == f"{-gap:+.3f} no interval", "seeds that agree are not certain"
    assert pairs["snnl", "magnitude"][-1] == "helps"
    assert pairs["magnitude", pruning.CONTROL][-1] == "no difference shown"


def test_another_store_and_one_without_a_finished_seed_are_refused(pruning, tmp_path):
    place = write_tiny_store(tmp_path / "store")
    with pytest.raises(pruning.DataError, match="no seed is finished yet"):
        pruning.show(asked(place, "made"))
    line = json.dumps({"seed": 0, "fingerprint": "of another", "test": {}})
    (tmp_path / "pruning_made_0.02.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(pruning.DataError, match="is not the store of the kept seeds"):
        pruning.show(asked(place, "made"))
