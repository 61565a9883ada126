"""Small recipes on small stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mindgap.api import prepare, reproduce, synth
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.testing.tiny_training import SMALL

QUICK: dict[str, Any] = {"bootstrap": 60, "permutations": 60, "workers": 1}

HEAD = """
name = "own"
title = "A table of our own"
paper = "nobody's"
question = "Does it hold up?"
data = "four images"
suited = "any"
by_group = "accuracy"
differs = ["all of it <b>differs</b>"]
"""

SINGLE = (
    HEAD
    + """
[[steps]]
name = "plain"
verb = "train"
says = "one network, twice"
options = { network = "NETWORK", precision = "fp32", lr = 0.01 }
[steps.scales]
laptop = { seeds = 2, epochs = 2 }
paper = { seeds = 9, epochs = 900 }
[[steps]]
name = "methods"
verb = "compare"
says = "two methods"
options = { methods = "erm,reweight", network = "@plain.network", trials = 0, precision = "fp32" }
[steps.scales]
laptop = { seeds = 2, epochs = 1 }
[[steps]]
name = "pruned"
verb = "prune"
says = "fewer channels"
options = { run = "@plain", method = "magnitude", iterations = 1, epochs = 1, share = 0.2, KEPT }

[[figures]]
key = "accuracy"
label = "accuracy"
metric = "accuracy"
[[figures]]
key = "u"
label = "U"
metric = "unfairness"
attribute = "main"
[[figures]]
key = "of_moon"
label = "U of moon"
metric = "unfairness"
attribute = "moon"

[[rows]]
label = "plain"
of = "plain"
paper = { accuracy = 0.8, u = 0.1 }
[[rows]]
label = "reweighted"
of = "methods:reweight"
paper = { accuracy = 0.79, u = 0.05 }
[[rows]]
label = "pruned"
of = "pruned"
[[rows]]
label = "no such method"
of = "methods:magic"

[[claims]]
says = "reweighting narrows the gap"
row = "reweighted"
than = "plain"
figure = "u"
direction = "smaller"
[[claims]]
says = "pruning costs nothing"
row = "pruned"
than = "plain"
figure = "accuracy"
direction = "larger"
margin = 0.9
[[claims]]
says = "there is a gap"
row = "plain"
figure = "u"
direction = "larger"
[[claims]]
says = "magic helps"
row = "no such method"
than = "plain"
figure = "u"
direction = "smaller"
[[claims]]
says = "the moon matters"
row = "pruned"
than = "plain"
figure = "of_moon"
direction = "smaller"
"""
)

SEVERAL = (
    HEAD.replace('by_group = "accuracy"', 'by_group = "underestimation"\ntask = "multi-label"')
    + """
[[steps]]
name = "base"
verb = "train"
says = "a network"
options = { network = "NETWORK", epochs = 2, precision = "fp32", lr = 0.01 }
[[steps]]
name = "tuned"
verb = "tune"
says = "its heads"
options = { run = "@base", budget = 60, population = 20, min_rows = 3 }

[[figures]]
key = "uei"
label = "UEI"
metric = "uei"
attribute = "main"

[[rows]]
label = "base"
of = "base"
[[rows]]
label = "tuned"
of = "tuned"

[[claims]]
says = "tuning lowers it"
row = "tuned"
than = "base"
figure = "uei"
direction = "smaller"
[[claims]]
says = "it is there"
row = "base"
figure = "uei"
direction = "larger"
"""
)


KEPT = "control = true, max_accuracy_drop = 1.0, min_gap_reduction = -1.0"
"""Options of a pruning that always keeps its iteration."""


def write_recipe(folder: Path, text: str) -> Path:
    """Writes a recipe whose network is ``SMALL``."""
    (folder / "small.json").write_text(SMALL.to_json(), encoding="utf-8")
    place = folder / "own.toml"
    text = text.replace("KEPT", KEPT)
    place.write_text(text.replace("NETWORK", str(folder / "small.json")), encoding="utf-8")
    return place


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, with a gap."""
    return write_tiny_store(tmp_path_factory.mktemp("store") / "store", n=900)


@pytest.fixture(scope="session")
def several_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labels."""
    return write_tiny_store(tmp_path_factory.mktemp("store") / "store", n=900, multi_label=True)


@pytest.fixture(scope="session")
def toned_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic lesions with masks."""
    folder = tmp_path_factory.mktemp("synth")
    synth(folder / "made", n=120, size=48, seed=0, dark_share=0.3)
    prepare(
        images=folder / "made" / "images", metadata=folder / "made" / "metadata.csv", id="image_id", label="label",
        attributes="true_tone,sex", cluster="lesion_id", masks=folder / "made" / "masks", size=48,
        out=folder / "store", workers=1,
    )  # fmt: skip
    return folder / "store"


@pytest.fixture(scope="session")
def done(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The single-label recipe, made."""
    folder = tmp_path_factory.mktemp("reproduced")
    reproduce(str(write_recipe(folder, SINGLE)), data=store, attribute="sex", out=folder / "run", **QUICK)
    return folder / "run"
