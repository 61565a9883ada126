"""What ``prune`` refuses, in one line, before anything is written."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mindgap.core.errors import MindgapError
from mindgap.space.architecture import save_network
from mindgap.train.trained_model import read_trained_model

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "method": ({"method": "snl"}, "no 'snl'.*snnl"),
    "option of the method": ({"method_options": {"featur": "mean"}}, "featur"),
    "layer": ({"layers": "hed"}, "no layer 'hed'.*head"),
    "layer without channels": ({"layers": "classifier"}, "has no channels to remove"),
    "layers that are coupled": ({"layers": "blocks.0,blocks.1"}, "'blocks.0' and 'blocks.1' lose channels together"),
    "attribute": ({"attributes": "sx"}, "no attribute 'sx'.*sex"),
    "gap": ({"gap": "equalized_od"}, "gap 'equalized_od' is unknown"),
    "weights of other attributes": ({"attribute_weights": {"age": 1.0}}, "attribute weights are of age"),
    "weights that are all 0": ({"attribute_weights": {"sex": 0.0}}, "not all 0"),
    "weights where none count": ({"method": "magnitude", "attribute_weights": "equal"}, "knows no attributes"),
    "weights that cannot be learned": ({"method": "fairprune", "attribute_weights": "learned"}, "for the method snnl"),
    "weights that are not numbers": ({"attribute_weights": {"sex": math.nan}}, "weights must be 0 or more"),
    "infinite weights": ({"attribute_weights": {"sex": math.inf}}, "weights must be 0 or more, not infinite"),
    "infinite learning rate": ({"lr": math.inf}, "lr is inf: give a finite number"),
    "teacher": ({"mitigation": "mfd"}, "needs a teacher"),
    "mitigation by groups": ({"mitigation": "domainindep"}, "predicts by each image's group"),
    "mitigation that works at the end": ({"mitigation": "fairprune"}, "works after the last epoch"),
    "attribute named twice": ({"attributes": "sex,sex"}, "named twice"),
    "mitigation": ({"mitigation": "ermm"}, "erm"),
    "share": ({"share": 1.5}, "share"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_is_refused_in_one_line_and_leaves_nothing(
    run: Path, quick: Callable[..., Any], tmp_path: Path, what: str
) -> None:
    options, said = REFUSED[what]
    with pytest.raises(MindgapError, match=said) as error:
        quick(run, tmp_path / "out", **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_network_that_predicts_by_groups_is_refused(
    make_run: Callable[..., Path], quick: Callable[..., Any], tmp_path: Path
) -> None:
    run = make_run(mitigation="domainindep")
    with pytest.raises(MindgapError, match="predicts by each image's group"):
        quick(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_run_is_refused(quick: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(MindgapError, match="holds no mindgap run"):
        quick(tmp_path, tmp_path / "out")


def test_a_group_with_too_few_images_to_score_by_is_named(
    make_run: Callable[..., Path], quick: Callable[..., Any], tmp_path: Path
) -> None:
    run = make_run({"n": 100, "minority": 0.06})
    with pytest.raises(MindgapError, match="images to score channels by, fewer than 8; join it"):
        quick(run, tmp_path / "out")


def test_the_rows_of_a_pruned_run_are_refused(pruned: Path, quick: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(MindgapError, match="the run it was pruned from"):
        quick(pruned, tmp_path / "out", rows=True)
    assert not (tmp_path / "out").exists()


def test_scores_that_overflow_are_refused_in_one_line(run: Path, quick: Callable[..., Any], tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    model = read_trained_model(run)
    with torch.no_grad():
        model.network.get_parameter("head.conv.weight")[0] = 3e37  # of which 16 sum to more than float32 holds
        model.network.get_parameter("head.norm.weight")[0] = 1e-37
        model.network.get_buffer("head.norm.running_mean")[0] = 0.0
    save_network(tmp_path / "run", model.architecture, model.network)
    with pytest.raises(MindgapError, match="channel 0 of layer 'head' has the score inf; its values overflow") as error:
        quick(tmp_path / "run", tmp_path / "out", method="magnitude")
    assert "\n" not in str(error.value)
