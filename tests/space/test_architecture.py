"""Architectures: data that builds, stores and loads without loss."""

from __future__ import annotations

import json

import pytest
import torch

from mindgap.core.errors import CapacityError, ConfigError, DataError, MindgapError, UnknownNameError
from mindgap.space.architecture import (
    Architecture,
    BlockSpec,
    Head,
    Stem,
    load_network,
    read_architecture,
    save_network,
)


def small(**changes) -> Architecture:
    values = {
        "name": "small",
        "input_px": 32,
        "num_classes": 3,
        "stem": Stem(channels=16),
        "blocks": (
            BlockSpec(type="mb", out_channels=16, choices={"kernel": 3, "hidden_channels": 24}),
            BlockSpec(type="db", out_channels=24, stride=2, choices={"kernel": 5, "hidden_channels": 24}),
            BlockSpec(type="skip", out_channels=24),
            BlockSpec(type="rb", out_channels=32, choices={"kernel": 3, "hidden_channels": 16}),
        ),
        "head": Head(width=64),
        "dropout": 0.5,
    }
    return Architecture(**(values | changes))


def test_json_round_trip_is_exact():
    assert Architecture.from_json(small().to_json()) == small()


def test_an_architecture_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        small().name = "other"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("[1]", "holds a list"),
        ('{"name": "x"}', "missing"),
        (small().to_json().replace('"kind"', '"kin"'), "unknown key"),
        (small().to_json().replace('"version": 1', '"version": 2'), "version"),
        (small().to_json().replace("0.229", "0.0"), "above 0"),
        (small().to_json().replace('"stride": 2', '"stride": 3'), "stride"),
    ],
)
def test_text_that_is_no_architecture_is_refused_in_one_line(text, said):
    with pytest.raises(DataError, match=said) as refused:
        Architecture.from_json(text, source="a.json")
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("a.json")


def test_the_same_seed_gives_the_same_weights_whatever_ran_before():
    first = small().build(seed=3).state_dict()
    torch.rand(7)
    second = small().build(seed=3).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = small().build(seed=4).state_dict()
    assert not torch.equal(first["stem.conv.weight"], other["stem.conv.weight"])


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    small().build(seed=9)
    assert torch.equal(torch.rand(3), expected)


def test_convolutions_start_at_variance_two_over_fan_out():
    wide = small(blocks=(BlockSpec(type="cb", out_channels=96, choices={"hidden_channels": 96}),)).build()
    weight = wide.blocks[0].second.conv.weight
    assert float(weight.detach().std()) == pytest.approx((2 / (96 * 9)) ** 0.5, rel=0.02)
    assert not wide.classifier.bias.any()


def test_a_residual_block_starts_as_its_shortcut():
    network = small(blocks=(BlockSpec(type="rb", out_channels=16),)).build().train()
    images = torch.rand(4, 16, 8, 8)
    assert torch.allclose(network.blocks[0](images), images)


def test_forward_is_the_classifier_on_the_features():
    network = small().build().eval()
    images = torch.randn(2, 3, 32, 32)
    features = network.features(images)
    assert features.shape == (2, 64)
    assert torch.equal(network.classifier(features), network(images))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (BlockSpec(type="mb", out_channels=16, choices={"kernal": 3}), "kernal"),
        (BlockSpec(type="mb", out_channels=16, choices={"kernel": 4}), "odd"),
        (BlockSpec(type="mb", out_channels=16, choices={"hidden_channels": 8, "expand": 6}), "give one"),
        (BlockSpec(type="cb", out_channels=16, choices={"hidden_channels": 0}), "0 channels"),
        (BlockSpec(type="cb", out_channels=16, choices={"activation": "rely"}), "relu"),
        (BlockSpec(type="skip", out_channels=24), "skip keeps 16"),
        (BlockSpec(type="mbb", out_channels=16), "did you mean 'mb'"),
    ],
)
def test_a_block_that_cannot_be_built_is_named_in_one_line(spec, said):
    with pytest.raises((ConfigError, UnknownNameError), match=said) as refused:
        small(blocks=(spec,)).build()
    assert "\n" not in str(refused.value)


def test_saved_networks_load_with_identical_logits(tmp_path):
    network = small().build(seed=1)
    network.train()(torch.randn(8, 3, 32, 32))
    save_network(tmp_path / "run", small(), network)
    architecture, loaded = load_network(tmp_path / "run")
    images = torch.randn(2, 3, 32, 32)
    assert architecture == small()
    assert torch.equal(loaded.eval()(images), network.eval()(images))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["architecture.json", "weights.safetensors"]


def test_channels_last_weights_are_saved_too(tmp_path):
    network = small().build(seed=1).to(memory_format=torch.channels_last).eval()
    save_network(tmp_path, small(), network)
    images = torch.randn(2, 3, 32, 32)
    assert torch.allclose(load_network(tmp_path)[1].eval()(images), network(images), atol=1e-6)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CapacityError, match="cannot write") as refused:
        save_network(tmp_path / "file" / "run", small(), small().build())
    assert "\n" not in str(refused.value)


def pickled(path, network):
    torch.save(network.state_dict(), path)


def truncated(path, network):
    path.write_bytes(path.read_bytes()[:-40])


def garbage(path, network):
    path.write_bytes(b"\xff" * 64)


def foreign(path, network):
    other = small(blocks=()).build()
    save_network(path.parent / "other", small(blocks=()), other)
    (path.parent / "other" / "weights.safetensors").replace(path)


def wider(path, network):
    changed = small(head=Head(width=32))
    save_network(path.parent / "other", changed, changed.build())
    (path.parent / "other" / "weights.safetensors").replace(path)


def absent(path, network):
    path.unlink()


@pytest.mark.parametrize("damage", [pickled, truncated, garbage, foreign, wider, absent])
def test_damaged_or_foreign_weights_are_one_line(tmp_path, damage):
    network = small().build()
    save_network(tmp_path, small(), network)
    damage(tmp_path / "weights.safetensors", network)
    with pytest.raises(DataError, match=r"weights\.safetensors") as refused:
        load_network(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_folder_without_a_network_is_one_line(tmp_path):
    with pytest.raises(MindgapError, match="cannot read") as refused:
        load_network(tmp_path)
    assert "\n" not in str(refused.value)


def test_an_architecture_that_is_not_text_is_one_line(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not text"):
        read_architecture(tmp_path / "a.json")


def test_for_task_changes_classes_and_size_only():
    changed = small().for_task(num_classes=7, input_px=64)
    assert changed.num_classes == 7
    assert changed.input_px == 64
    assert json.loads(changed.to_json())["blocks"] == json.loads(small().to_json())["blocks"]
