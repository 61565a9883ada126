"""Flags and confidence of lesion masks, and encoders that are not installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mindgap.core.errors import CapacityError, UnknownNameError
from mindgap.tone.classical_mask import classical_masks
from mindgap.tone.encoder_unet import PACKAGE, encoder_unet
from mindgap.tone.lesion_masks import expected_jaccard, judged_masks
from mindgap.tone.unet import (
    ENCODER_MULTIPLE,
    EncoderUNet,
    UNet,
    UNetSettings,
    load_unet,
    normalised,
    predict_lesions,
    predict_masks,
    save_unet,
)

INSTALLED = importlib.util.find_spec(PACKAGE) is not None


def masks_of(*places, size=20):
    """One mask per place, a tuple of boxes (top, bottom, left, right)."""
    masks = torch.zeros((len(places), size, size), dtype=torch.bool)
    for mask, boxes in zip(masks, places, strict=True):
        for top, bottom, left, right in boxes:
            mask[top:bottom, left:right] = True
    return masks


def test_each_doubt_has_its_flag():
    """Of 400 pixels none; 1 (.25 %); all; a box; 20 and 4 (83 % in the larger); 20 and 6 (77 %)."""
    places = [(), [(0, 1, 0, 1)], [(0, 20, 0, 20)], [(5, 10, 5, 9)]]
    places += [[(5, 10, 5, 9), (15, 17, 15, 17)], [(5, 10, 5, 9), (15, 17, 15, 18)]]
    masks = masks_of(*places)
    found = judged_masks(masks, method="unet", confidence=np.full(6, 0.7))
    assert found.flags == (("no_lesion",), ("no_lesion",), ("all_lesion",), (), (), ("many_parts",))
    assert torch.equal(found.masks[:4], masks[:4]), "lesions may be so small or so large"
    assert found.masks[4:].flatten(1).sum(dim=1).tolist() == [20, 20], "the largest part stays"
    assert found.found.tolist() == [False, True, True, True, True, True]
    assert found.confidence.tolist() == [0.7] * 6


def test_the_fallback_gives_no_mask_where_it_missed():
    masks = masks_of([(0, 1, 0, 1)], [(0, 20, 0, 20)], [(5, 10, 5, 9)])
    found = judged_masks(masks, method="classical")
    assert found.flags == (("no_lesion",), ("all_lesion",), ())
    assert found.found.tolist() == [False, False, True]
    assert torch.equal(found.masks[2], masks[2])
    assert masks[1].all(), "what was given is not changed"


def test_the_expected_jaccard_by_hand():
    """Two pixels masked at .9 and .7, two not at .2 and 0: 1.6 of 2 + .2. All sure: 1. Nothing masked: none."""
    probabilities = torch.tensor([[[0.9, 0.7], [0.2, 0.0]], [[1.0, 0.0], [0.0, 0.0]], [[0.1, 0.1], [0.1, 0.1]]])
    found = expected_jaccard(probabilities, probabilities > 0.5)
    assert found[:2] == pytest.approx([1.6 / 2.2, 1.0])
    assert np.isnan(found[2])


def blobs(n: int) -> torch.Tensor:
    coarse = 255 * torch.rand((n, 3, 4, 4), generator=torch.Generator().manual_seed(n))
    return torch.nn.functional.interpolate(coarse, size=(24, 24), mode="bilinear").to(torch.uint8)


def mixed_network() -> UNet:
    """Drawn at random, its bias such that it masks a part of what is coarse."""
    torch.manual_seed(0)
    network = UNet(UNetSettings(width=2, input_px=24)).eval()
    torch.nn.init.normal_(network.head.weight, std=100.0)
    with torch.inference_mode():
        middle = network(normalised(blobs(8), 24)).median()
    torch.nn.init.constant_(network.head.bias, float(network.head.bias.detach() - middle))
    return network


@pytest.mark.parametrize("dims", [(2,), (3,), (2, 3)])
def test_a_mirrored_image_has_the_mirrored_mask(dims):
    """The network alone does not see it so; the mean over the mirror images does."""
    network, images = mixed_network(), blobs(6)
    found, other = predict_lesions(network, images), predict_lesions(network, images.flip(dims))
    back = [dim - 1 for dim in dims]
    assert 0.02 < float(found.masks.float().mean()) < 0.98
    assert float((found.masks != other.masks.flip(back)).float().mean()) < 0.002
    assert not torch.equal(predict_masks(network, images), predict_masks(network, images.flip(dims)).flip(back))


def test_a_network_says_how_sure_it_is_and_the_fallback_does_not():
    images, network = blobs(3), mixed_network()
    found = predict_lesions(network, images, batch_size=2)
    assert found.method == "unet"
    assert ((found.confidence > 0) & (found.confidence < 1)).all()
    fallback = classical_masks(images)
    assert fallback.method == "classical"
    assert np.isnan(fallback.confidence).all()
    none = predict_lesions(network, images[:0])
    assert (none.masks.shape, none.flags, none.found.tolist()) == ((0, 24, 24), (), [])


@pytest.mark.parametrize(("bias", "flag"), [(50.0, "all_lesion"), (-50.0, "no_lesion")])
@pytest.mark.parametrize("size", [(8, 8), (1, 1), (40, 24)])
def test_a_network_that_sees_lesion_everywhere_or_nowhere_is_flagged(bias, flag, size):
    network = UNet(UNetSettings(width=2, input_px=16))
    torch.nn.init.constant_(network.head.bias, bias)
    grey = torch.full((2, 3, *size), 128, dtype=torch.uint8)
    found = predict_lesions(network, grey)
    assert found.flags == ((flag,), (flag,))
    assert found.masks.shape == (2, *size)
    assert bool(found.masks.all()) == bool(found.masks.any()) == (flag == "all_lesion")
    assert found.confidence == pytest.approx(1.0 if flag == "all_lesion" else np.nan, nan_ok=True)


@pytest.mark.skipif(INSTALLED, reason="segmentation-models-pytorch is installed")
def test_an_encoder_that_is_not_installed_is_one_line(tmp_path):
    line = f"'resnet18' of a lesion U-Net needs {PACKAGE}, not installed here; pip install 'mindgap\\[segment\\]'"
    with pytest.raises(CapacityError, match=line):
        encoder_unet("resnet18")
    settings = UNetSettings(encoder="resnet18").model_dump_json()
    save_file({"a": torch.zeros(1)}, tmp_path / "unet.safetensors", metadata={"settings": settings})
    with pytest.raises(CapacityError, match=line):
        load_unet(tmp_path / "unet.safetensors")


@pytest.mark.skipif(not INSTALLED, reason="needs segmentation-models-pytorch")
def test_an_encoder_masks_and_is_saved(tmp_path):
    torch.manual_seed(0)
    network = EncoderUNet(UNetSettings(encoder="mobilenet_v2", input_px=2 * ENCODER_MULTIPLE))
    images = torch.randint(0, 256, (2, 3, 50, 40), dtype=torch.uint8)
    save_unet(network, tmp_path / "unet.safetensors")
    again = load_unet(tmp_path / "unet.safetensors")
    assert isinstance(again, EncoderUNet)
    assert torch.equal(predict_masks(again, images), predict_masks(network, images))
    with pytest.raises(UnknownNameError, match="did you mean 'resnet18'"):
        encoder_unet("resnet81")
    with pytest.raises(CapacityError, match="no weights 'none' for the encoder 'resnet18'"):
        encoder_unet("resnet18", weights="none")
