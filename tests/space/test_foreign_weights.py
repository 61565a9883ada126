"""Weights of other libraries: mapped by layer, recognised by what the network sees, refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from mindgap.core.errors import DataError
from mindgap.space.architecture import save_network
from mindgap.space.foreign_weights import ForeignWeights, load_foreign_weights, map_weights
from mindgap.space.network import resolve_network

ANALOG_CLOCK, CROSSWORD = 409, 918


@pytest.fixture
def imagenet_weights(shared_data):
    path = shared_data.parent / "weights" / "mobilenet_v2_imagenet.pt"
    if not path.is_file():
        pytest.skip("the pretrained weights are not here: no ../shared/weights beside the repository")
    return path


def clock() -> Image.Image:
    image = Image.new("RGB", (224, 224), (240, 240, 240))
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 20, 204, 204), fill="white", outline="black", width=8)
    draw.line((112, 112, 112, 50), fill="black", width=6)
    draw.line((112, 112, 160, 112), fill="black", width=8)
    for angle in np.arange(12) * np.pi / 6:
        across, down = np.cos(angle), np.sin(angle)
        ends = (112 + 70 * across, 112 + 70 * down, 112 + 84 * across, 112 + 84 * down)
        draw.line(ends, fill="black", width=4)
    return image


def checkerboard() -> Image.Image:
    squares = (np.indices((224, 224)) // 28).sum(axis=0) % 2
    return Image.fromarray((255 * (1 - squares)).astype(np.uint8)).convert("RGB")


def test_torchvision_weights_map_key_by_key_and_recognise_what_they_learnt(imagenet_weights):
    network = resolve_network("mobilenet_v2", num_classes=1000, input_px=224).build()
    before = network.state_dict()["classifier.bias"].clone()
    assert load_foreign_weights(network, imagenet_weights) == ()
    theirs = torch.load(imagenet_weights, weights_only=True)
    ours = network.state_dict()
    pairs = {"stem.conv.weight": "features.0.0.weight", "blocks.1.expand.conv.weight": "features.2.conv.0.0.weight"}
    pairs |= {
        "blocks.2.body.project.norm.running_var": "features.3.conv.3.running_var",
        "head.norm.bias": "features.18.1.bias",
    }
    assert all(torch.equal(ours[own], theirs[foreign]) for own, foreign in pairs.items())
    assert not torch.equal(ours["classifier.bias"], before)
    images = np.stack([np.asarray(clock()), np.asarray(checkerboard())]).astype(np.float32) / 127.5 - 1
    with torch.inference_mode():
        probabilities = network.eval()(torch.from_numpy(images).permute(0, 3, 1, 2)).softmax(1)
    assert probabilities.argmax(1).tolist() == [ANALOG_CLOCK, CROSSWORD]
    assert float(probabilities[0, ANALOG_CLOCK]) > 0.5
    assert float(probabilities[1, CROSSWORD]) > 0.7


def test_a_classifier_for_other_classes_is_left_as_drawn(imagenet_weights):
    network = resolve_network("mobilenet_v2", num_classes=7, input_px=64).build(seed=2)
    drawn = network.classifier.weight.detach().clone()
    assert load_foreign_weights(network, imagenet_weights) == ("classifier.weight", "classifier.bias")
    assert torch.equal(network.classifier.weight, drawn)


def test_weights_of_another_network_are_refused_in_one_line(imagenet_weights):
    with pytest.raises(DataError, match="layers with weights") as refused:
        load_foreign_weights(resolve_network("resnet18", num_classes=7, input_px=64).build(), imagenet_weights)
    assert "\n" not in str(refused.value)


def test_our_own_weights_start_a_network_for_other_classes(tmp_path):
    source = resolve_network("mobilenet_v2", num_classes=3, input_px=32)
    save_network(tmp_path, source, source.build(seed=1))
    network = source.for_task(num_classes=5, input_px=32).build(seed=2)
    left = load_foreign_weights(network, tmp_path / "weights.safetensors")
    assert left == ("classifier.weight", "classifier.bias")
    assert torch.equal(network.stem.conv.weight, source.build(seed=1).stem.conv.weight)


def test_a_safetensors_file_of_another_library_is_refused(tmp_path):
    network = resolve_network("mobilenet_v2", num_classes=3, input_px=32).build()
    path = tmp_path / "model.safetensors"
    save_file({f"features.{name}": tensor for name, tensor in network.state_dict().items()}, path)
    with pytest.raises(DataError, match=r"give a \.pt state dict"):
        load_foreign_weights(network, path)


def test_a_shape_that_does_not_fit_is_named(tmp_path):
    network = resolve_network("mobilenet_v2", num_classes=3, input_px=32).build()
    tensors = network.state_dict() | {"head.conv.weight": torch.zeros(640, 320, 1, 1)}
    with pytest.raises(DataError, match=r"head\.conv\.weight needs \(1280, 320, 1, 1\)"):
        map_weights(network, tensors)


def test_what_differs_is_named_first_and_counted(tmp_path):
    source = resolve_network("mobilenet_v2", num_classes=3, input_px=32)
    network, tensors = source.build(), source.build().state_dict()
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("blocks")}
    more = {f"{name}.weight": torch.zeros(1) for name in "abcd"}
    with pytest.raises(DataError, match=r"lacks blocks\.0.*, and \d+ more and has a, b, c, and 1 more, which the"):
        map_weights(network, kept | more)
    wrong = {name: torch.zeros(1) if name.startswith("blocks.1.") else tensor for name, tensor in tensors.items()}
    with pytest.raises(DataError, match=r"is \(1,\), blocks\.1\.\S+ needs .*; and \d+ more; give") as refused:
        map_weights(network, wrong)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("named", ["ours", "foreign"])
def test_weights_without_a_classifier_start_the_rest(tmp_path, named):
    source = resolve_network("mobilenet_v2", num_classes=3, input_px=32)
    tensors = {name: of for name, of in source.build(seed=1).state_dict().items() if "classifier" not in name}
    if named == "foreign":
        tensors = {f"features.{name}": tensor for name, tensor in tensors.items()}
    torch.save(tensors, tmp_path / "body.pth")
    network = source.build(seed=2)
    drawn = network.classifier.weight.detach().clone()
    assert load_foreign_weights(network, tmp_path / "body.pth") == ("classifier.weight", "classifier.bias")
    assert torch.equal(network.classifier.weight, drawn)
    assert torch.equal(network.head.conv.weight, source.build(seed=1).head.conv.weight)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = resolve_network("mobilenet_v2", num_classes=3, input_px=32).build()
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tensors["stem.conv.weight"][0] = float("nan")
    torch.save(tensors, tmp_path / "spoilt.pt")
    with pytest.raises(DataError, match=r"a value of stem\.conv\.weight is NaN or infinite"):
        load_foreign_weights(network, tmp_path / "spoilt.pt")


def test_the_digest_is_of_the_content(tmp_path):
    network = resolve_network("mobilenet_v2", num_classes=3, input_px=32).build()
    for name in ("a.safetensors", "b.safetensors"):
        save_file(network.state_dict(), tmp_path / name)
    save_file(network.state_dict() | {"classifier.bias": torch.ones(3)}, tmp_path / "c.safetensors")
    a, b, c = (ForeignWeights.read(tmp_path / f"{name}.safetensors").digest for name in "abc")
    assert a == b != c


class Runs:
    """An object whose unpickling would run code."""

    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("case", ["absent", "garbage", "table", "code", "list", "scalars", "truncated.safetensors"])
def test_a_file_that_is_no_state_dict_is_refused_in_one_line_and_runs_nothing(tmp_path, capsys, case):
    path = tmp_path / f"{case}.pt" if "." not in case else tmp_path / case
    if case == "garbage":
        path.write_bytes(b"\x00\x01garbage")
    elif case == "table":
        path.write_text("name,label\na,b\n")
    elif case == "truncated.safetensors":
        path.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    elif case != "absent":
        torch.save({"code": {"a": Runs()}, "list": [1], "scalars": {"a": 1}}[case], path)
    network = resolve_network("mobilenet_v2", num_classes=3, input_px=32).build()
    with pytest.raises(DataError) as refused:
        load_foreign_weights(network, path)
    assert "\n" not in str(refused.value)
    assert "weights_only" not in str(refused.value), "torch's advice to execute the file is not passed on"
    assert "executed" not in capsys.readouterr().out


def test_a_wrapped_state_dict_is_unwrapped(tmp_path):
    source = resolve_network("mobilenet_v2", num_classes=3, input_px=32).build(seed=1)
    torch.save({"epoch": 3, "state_dict": source.state_dict()}, tmp_path / "checkpoint.pt")
    network = resolve_network("mobilenet_v2", num_classes=3, input_px=32).build(seed=2)
    assert load_foreign_weights(network, tmp_path / "checkpoint.pt") == ()
    assert torch.equal(network.classifier.weight, source.classifier.weight)
