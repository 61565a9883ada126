"""Every recipe can be read and carried out, and holds what its paper printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mindgap.api import list_plugins
from mindgap.workflows.reproduce_recipe import MAIN, Scale, read_recipe, recipe_names
from mindgap.workflows.reproduce_steps import check_options

SCALES: tuple[Scale, ...] = ("laptop", "gpu", "paper")


def test_all_tables_of_the_four_papers_have_one() -> None:
    assert recipe_names() == ("bc1", "bc4", "bn1", "bn2", "mg1", "wc2", "wc3", "wc4")
    assert list_plugins("recipes")["mg1"] == "Max-group loss, Table 1"


@pytest.mark.parametrize("name", recipe_names())
def test_its_options_and_metrics_are_known(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.name == name
    for scale in SCALES:
        check_options(recipe, scale)
    assert {figure.attribute for figure in recipe.figures} <= {None, MAIN, "age", "sex"}
    for claim in recipe.claims:
        published = recipe.published(claim)
        if published is not None and claim.margin is None:
            assert (published < 0) == (claim.direction == "smaller")


@pytest.mark.parametrize(
    ("name", "row", "figure", "value"),
    [
        ("mg1", "max-group", "acc_diff", 0.157),
        ("mg1", "conventional", "f1", 0.765),
        ("bn1", "BiaslessNAS-Fair", "u", 0.0779),
        ("bn1", "MobileNetV2", "u", 0.2264),
        ("bn2", "MobileNetV2 (vanilla)", "di", 0.71),
        ("bn2", "D + f' + N", "accuracy", 0.8424),
        ("wc3", "with both", "abroca", 0.1973),
        ("wc4", "channel pruning", "eodds", 0.148),
    ],
)
def test_it_holds_what_was_printed(name: str, row: str, figure: str, value: float) -> None:
    rows = {one.label: one for one in read_recipe(name).rows}
    assert rows[row].paper[figure] == value


def test_the_docs_list_them_all() -> None:
    docs = Path(__file__).parents[3] / "docs" / "reproducing.md"
    listed = [line.split("`")[1] for line in docs.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert sorted(listed) == list(recipe_names())
