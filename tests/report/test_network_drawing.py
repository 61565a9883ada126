"""The drawing of a network adds up to its cost and reads block by block."""

from __future__ import annotations

import re

import pytest

from mindgap.core.errors import UnknownNameError
from mindgap.report.network_drawing import batch_shares, draw_network, ratio_rows, read_architecture
from mindgap.space.cost import count_cost
from mindgap.space.network import resolve_network


def macs_of(drawn) -> int:
    return sum(round(float(m[0]) * {"M": 1e6, "k": 1e3, "": 1}[m[1] or ""]) for m in drawn)


def test_every_stage_is_drawn_in_order(drawn_architecture) -> None:
    blocks = draw_network(drawn_architecture)
    assert [block.title for block in blocks] == [
        "stem", "1 · MB", "2 · DB", "3 · skip", "4 · RB", "5 · DB", "6 · MB", "7 · CB", "8 · skip", "head",
    ]  # fmt: skip
    assert blocks[2].kind == "down"
    assert blocks[2].lines == ("downsampling", "5×5, stride 2", "24 → 48 → 32", "map 32 → 16")
    assert blocks[-1].lines == ("1×1, 96 → 160", "mean over the map", "160 → 3 classes")


def test_the_blocks_costs_sum_to_the_networks(drawn_architecture) -> None:
    said = [re.match(r"([\d.]+)\u202f?([Mk])? MACs", block.cost).groups() for block in draw_network(drawn_architecture)]
    assert macs_of(said) == pytest.approx(count_cost(drawn_architecture).macs, rel=0.01)


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet50"])
def test_reference_networks_are_drawn_too(name: str) -> None:
    architecture = resolve_network(name, num_classes=7, input_px=64)
    assert len(draw_network(architecture)) == len(architecture.blocks) + 2


def test_a_missing_or_damaged_architecture_is_a_sentence() -> None:
    assert read_architecture({}) == (None, "the run kept no architecture.json")
    architecture, reason = read_architecture({"name": "x"})
    assert architecture is None
    assert reason


def test_a_block_that_is_not_installed_is_named(drawn_architecture) -> None:
    record = drawn_architecture.model_dump(mode="json")
    record["blocks"][0]["type"] = "mx"
    architecture, _ = read_architecture(record)
    with pytest.raises(UnknownNameError, match="mx"):
        draw_network(architecture)


def test_batch_shares_stand_beside_natural_ones() -> None:
    rows = ratio_rows({"f": 0.6, "m": 0.4}, {"f": 25, "m": 75})
    assert [(row.name, row.batch, row.natural, row.n) for row in rows] == [
        ("f", "60.0\u202f%", "25.0\u202f%", "25"),
        ("m", "40.0\u202f%", "75.0\u202f%", "75"),
    ]
    assert [row.batch for row in ratio_rows(None, {"f": 25, "m": 75})] == ["25.0\u202f%", "75.0\u202f%"]
    assert [row.natural for row in ratio_rows({"f": 1.0}, {})] == ["–"]


def test_shares_are_read_from_a_record_or_an_option() -> None:
    counts = {"f": 25, "m": 75}
    assert batch_shares({"f": 0.6, "m": 0.4}, counts) == {"f": 0.6, "m": 0.4}
    assert batch_shares("f=.6,m=.4", counts) == {"f": 0.6, "m": 0.4}
    assert batch_shares("uniform", counts) == {"f": 0.5, "m": 0.5}
    assert batch_shares("natural", counts) is batch_shares(None, counts) is batch_shares("uniform", {}) is None
