"""Networks of timm: with a small stand-in for the package, without it, and with the real one where it imports."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch
from safetensors.torch import save_file

from mindgap.core.errors import CapacityError, ConfigError, DataError, UnknownNameError
from mindgap.report.network_drawing import draw_network
from mindgap.search.cost_model import network_counts
from mindgap.space.architecture import Architecture, Backbone, load_network, save_network
from mindgap.space.cost import Cost, count_cost
from mindgap.space.foreign_weights import load_foreign_weights
from mindgap.space.network import resolve_network
from mindgap.testing.network import counted_macs
from mindgap.train.inference import InferenceNetwork
from mindgap.train.modes import in_modes
from mindgap.train.precision import BF16, FP32, measure_plan, network_parts
from mindgap.workflows.plugins import list_plugins

PX = 32


@pytest.fixture
def architecture(fake_timm):
    return resolve_network("timm:mini", num_classes=3, input_px=PX)


@pytest.fixture
def images():
    return torch.randn(4, 3, PX, PX, generator=torch.Generator().manual_seed(0))


def test_it_is_data_that_says_what_the_backbone_gives(architecture):
    assert architecture.stem == Backbone(name="mini", channels=8, stride=4)
    assert (architecture.mean, architecture.std) == ((0.5,) * 3, (0.25,) * 3)
    assert architecture.name == "timm:mini"
    assert Architecture.from_json(architecture.to_json()) == architecture
    assert resolve_network("timm:wide", num_classes=3, input_px=PX).stem.channels == 12


def test_it_is_built_without_weights_from_elsewhere_and_as_the_package_draws_it(architecture, fake_timm):
    first, again, other = (architecture.build(seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.conv1.weight"], other["stem.conv1.weight"])
    assert first["stem.bn2.bias"].eq(0.125).all()
    assert float(first["classifier.weight"].std()) == pytest.approx(0.01, rel=0.5)
    assert not any(pretrained for _, pretrained in fake_timm.asked)


def test_it_gives_maps_features_and_logits(architecture, images):
    network = architecture.build(seed=1).eval()
    with torch.inference_mode():
        assert network.feature_maps(images).shape == (4, 8, 8, 8)
        assert torch.equal(network.classifier(network.features(images)), network(images))
        assert network(images).shape == (4, 3)


def test_its_cost_is_counted_without_touching_the_random_state(architecture):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    cost, network = count_cost(architecture), architecture.build()
    assert cost.macs == counted_macs(network, PX)
    assert cost.params == sum(parameter.numel() for parameter in network.parameters())
    assert network_counts(architecture)[0] == 27 * 8 * 256 + 72 * 8 * 64
    assert torch.equal(torch.rand(1), expected)
    assert count_cost(architecture.for_task(num_classes=3, input_px=2 * PX)).macs == 4 * (cost.macs - 24) + 24


def test_it_saves_and_loads_with_identical_logits(architecture, images, tmp_path):
    network = architecture.build(seed=1).eval()
    save_network(tmp_path, architecture, network)
    again, loaded = load_network(tmp_path)
    assert again == architecture
    assert torch.equal(loaded.eval()(images), network(images))


def test_it_is_timed_and_computed_part_by_part(architecture, images):
    plan = measure_plan(network_parts(architecture), batch_size=4)
    assert len(plan.modes(architecture)) == 2
    network = architecture.build(seed=1).eval()
    expected = network(images)
    for of, tolerance in ((FP32, 1e-5), (BF16, 0.02)):
        modes = of.modes(architecture)
        torch.testing.assert_close(InferenceNetwork(network, modes)(images), expected, rtol=0, atol=tolerance)
        with in_modes(network, modes):
            torch.testing.assert_close(network(images).float(), expected, rtol=0, atol=tolerance)


def test_it_is_drawn_with_its_name_and_its_map(architecture):
    stem, head = draw_network(architecture)
    assert stem.lines == ("timm: mini", "3 → 8 channels", "map 32 → 8")
    assert head.lines[-1] == "8 → 3 classes"


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize(("classes", "drawn"), [(3, ()), (7, ("classifier.weight", "classifier.bias")), (0, None)])
def test_the_packages_own_names_start_it(architecture, fake_timm, images, tmp_path, suffix, classes, drawn):
    theirs = fake_timm.create_model("mini", pretrained=False, num_classes=classes).eval()
    path = tmp_path / f"model{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(theirs.state_dict(), path)
    network = architecture.build(seed=1).eval()
    expected = ("classifier.weight", "classifier.bias") if drawn is None else drawn
    assert load_foreign_weights(network, path) == expected
    assert torch.equal(network.stem.conv2.weight, theirs.conv2.weight)
    if classes == 3:
        torch.testing.assert_close(network(images), theirs(images))


def test_weights_of_another_of_its_networks_are_refused(architecture, fake_timm, tmp_path):
    theirs = fake_timm.create_model("mini", pretrained=False, num_classes=3).state_dict()
    save_file({name: of for name, of in theirs.items() if "2" not in name}, tmp_path / "part.safetensors")
    save_file(theirs | {"extra.weight": torch.zeros(1)}, tmp_path / "more.safetensors")
    wide = fake_timm.create_model("wide", pretrained=False, num_classes=3).state_dict()
    save_file(wide, tmp_path / "wide.safetensors")
    for name, message in [
        ("part", "lacks bn2, conv2"),
        ("more", "has extra, fc, which the network has not"),
        ("wide", r"conv1\.weight is \(12, 3, 3, 3\), stem\.conv1\.weight needs \(8, 3, 3, 3\)"),
    ]:
        with pytest.raises(DataError, match=message):
            load_foreign_weights(architecture.build(), tmp_path / f"{name}.safetensors")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("minni", UnknownNameError, r"no network 'minni'; did you mean 'timm:mini'\?"),
        ("hf-hub:timm/mini", UnknownNameError, "no network 'hf-hub:timm/mini'"),
        ("", UnknownNameError, "no network ''"),
        ("tokens", ConfigError, r"gives \(1, 64, 8\) for an image of 32 px and no maps"),
        ("square", ConfigError, r"takes no images of 32 px \(Input height \(32\) doesn't match"),
        ("stubborn", ConfigError, "cannot build it without its pool"),
    ],
)
def test_what_cannot_be_a_backbone_is_refused_in_one_line(fake_timm, name, error, message):
    with pytest.raises(error, match=message) as refused:
        resolve_network(f"timm:{name}", num_classes=3, input_px=PX)
    assert "\n" not in str(refused.value)


def test_a_damaged_description_names_the_key_and_those_that_are_known(architecture):
    for text, message in [
        (
            architecture.to_json().replace('"channels"', '"chanels": 1, "channels"'),
            r"stem\.chanels'; did you mean 'channels'",
        ),
        (architecture.to_json().replace('"stride": 4', '"stride": 0'), r"stem\.stride is 0: give more than 0"),
        (architecture.to_json().replace('"timm"', '"tim"'), r"stem\.kind is 'tim'"),
    ]:
        with pytest.raises(DataError, match=message):
            Architecture.from_json(text, source="a.json")


def test_it_is_listed_beside_the_networks():
    assert "mindgap[backbones]" in list_plugins("networks")["timm:NAME"]


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is here")
def test_its_absence_is_one_line_that_says_what_brings_it():
    with pytest.raises(CapacityError, match=r"needs timm, not installed here; pip install 'mindgap\[backbones\]'"):
        resolve_network("timm:resnet18", num_classes=3, input_px=PX)


def test_a_package_that_does_not_import_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(CapacityError, match=r"cannot be imported here \(operator torchvision::nms does not exist\)"):
        resolve_network("timm:resnet18", num_classes=3, input_px=PX)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_100", "regnety_002"])
def test_real_networks_give_timms_logits_from_timms_weights(name, tmp_path):
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # its torchvision may not fit this torch
        pytest.skip(f"timm does not import here: {error}")
    theirs = timm.create_model(name, num_classes=5).eval()
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    architecture = resolve_network(f"timm:{name}", num_classes=5, input_px=64)
    network = architecture.build(seed=1).eval()
    assert load_foreign_weights(network, tmp_path / "model.safetensors") == ()
    assert count_cost(architecture).params == sum(parameter.numel() for parameter in network.parameters())
    assert count_cost(architecture) != Cost()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert network.feature_maps(images).shape == (2, architecture.stem.channels, 2, 2)
        if name != "mobilenetv3_small_100":  # which averages before its last layer
            torch.testing.assert_close(network(images), theirs(images), rtol=1e-4, atol=1e-5)
