"""The lesion U-Net: shape, learning, saving."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mindgap.core.errors import CapacityError, DataError, ShapeError
from mindgap.tone.classical_mask import classical_masks
from mindgap.tone.mask_augment import augmented
from mindgap.tone.mask_scores import dice, jaccard
from mindgap.tone.unet import UNet, UNetSettings, load_unet, predict_lesions, predict_masks, save_unet
from mindgap.tone.unet_training import UNetTraining, mask_loss, train_unet

SIZE, N = 32, 160


def pictures(n=N, size=SIZE):
    """Textured disks of the background's mean colour, which a threshold on colour cannot find, and their masks."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    middle, radius = generator.uniform(0.3, 0.7, (2, n, 1, 1)) * size, generator.uniform(5, 9, (n, 1, 1))
    masks = np.hypot(rows - middle[0], columns - middle[1]) < radius
    stripes = 60 * (((rows + columns) // 2 % 2) * 2 - 1)
    images = 150 + generator.normal(0, 6, (n, size, size, 3)) + (masks * stripes)[..., None]
    return images.clip(0, 255).astype(np.uint8), (255 * masks).astype(np.uint8)


@pytest.fixture(scope="module")
def trained():
    images, masks = pictures()
    told = []
    settings = UNetTraining(width=6, epochs=8, batch_size=16, lr=1e-2)
    rows = {"train_rows": np.arange(120), "validation_rows": np.arange(120, N)}
    network = train_unet(images, masks, **rows, settings=settings, on_epoch=told.append)
    return network, told


def tensor(images):
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def test_it_learns_what_a_threshold_cannot_see(trained):
    network, told = trained
    images, masks = pictures()
    held_out, truth = tensor(images[120:]), torch.from_numpy(masks[120:] > 127)
    found = np.nanmean(jaccard(predict_masks(network, held_out), truth))
    assert found > 0.65
    assert found > np.nanmean(jaccard(classical_masks(held_out).masks, truth)) + 0.2
    assert found == pytest.approx(max(epoch.jaccard for epoch in told)), "the best epoch is kept"
    assert [epoch.epoch for epoch in told] == list(range(1, 9))
    assert told[-1].loss < told[0].loss


def test_what_was_saved_masks_bit_for_bit_the_same(trained, tmp_path):
    network, images = trained[0], tensor(pictures()[0][:40])
    save_unet(network, tmp_path / "unet.safetensors")
    again = load_unet(tmp_path / "unet.safetensors")
    assert torch.equal(predict_masks(again, images), predict_masks(network, images))
    assert again.settings == UNetSettings(width=6, input_px=SIZE)


def test_images_of_any_size_are_masked(trained):
    images, masks = pictures(12, size=SIZE)
    large = torch.nn.functional.interpolate(tensor(images).float(), scale_factor=3.0, mode="nearest").to(torch.uint8)
    found = predict_masks(trained[0], large)
    assert found.shape == (12, 96, 96)
    truth = torch.from_numpy(masks > 127).repeat_interleave(3, 1).repeat_interleave(3, 2)
    assert np.nanmean(jaccard(found, truth)) > 0.6
    assert predict_masks(trained[0], large[:0]).shape == (0, 96, 96)
    assert predict_masks(trained[0], torch.zeros((1, 3, 8, 5), dtype=torch.uint8)).shape == (1, 8, 5)


def test_batches_do_not_matter(trained):
    images = tensor(pictures()[0][:10])
    parts, whole = (predict_masks(trained[0], images, batch_size=size) for size in (3, 10))
    assert torch.equal(parts, whole)


def test_the_same_seed_is_the_same_network():
    images, masks = pictures(40)
    rows = {"train_rows": np.arange(32), "validation_rows": np.arange(32, 40)}
    before = torch.get_rng_state()
    first, second, other = (
        train_unet(images, masks, **rows, settings=UNetTraining(width=2, epochs=1, batch_size=16, seed=seed))
        for seed in (0, 0, 1)
    )
    weights = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)
    assert not torch.equal(first.head.weight, other.head.weight)
    assert torch.equal(before, torch.get_rng_state()), "the caller's generator is left alone"


def test_four_levels_with_skips():
    network = UNet(UNetSettings(width=4))
    assert len(network.down) == 4
    assert [block[0].in_channels for block in network.down] == [3, 4, 8, 16]
    assert [block[0].in_channels for block in network.up] == [32 + 16, 16 + 8, 8 + 4]
    assert network(torch.zeros(2, 3, 16, 24)).shape == (2, 16, 24)
    with pytest.raises(ShapeError, match="multiples of 8"):
        network(torch.zeros(2, 3, 20, 16))


def test_scores_by_hand():
    """Masks of 4 and 6 pixels that share 3; equal masks; apart; both empty."""
    found, truth = torch.zeros((4, 4, 4), dtype=torch.bool), torch.zeros((4, 4, 4), dtype=torch.bool)
    found[0, 0], truth[0, 0, 1:], truth[0, 1, :3] = True, True, True
    found[1, 2], truth[1, 2] = True, True
    found[2, 0], truth[2, 3] = True, True
    assert jaccard(found, truth)[:3].tolist() == pytest.approx([3 / 7, 1, 0])
    assert dice(found, truth)[:3].tolist() == pytest.approx([6 / 10, 1, 0])
    assert np.isnan([jaccard(found, truth)[3], dice(found, truth)[3]]).all()


def test_the_loss_by_hand():
    """Logits of 0 are probabilities of ½: cross-entropy ln 2; Dice (2·2 + 1)/(8 + 4 + 1) for 4 of 16 pixels."""
    truth = torch.zeros((1, 4, 4))
    truth[0, 0] = 1
    expected = 0.5 * np.log(2) + 0.5 * (1 - 5 / 13)
    assert float(mask_loss(torch.zeros((1, 4, 4)), truth)) == pytest.approx(expected)
    assert float(mask_loss(40 * truth - 20, truth)) == pytest.approx(0, abs=1e-6)


def test_augmented_masks_go_with_their_images():
    """A white disk on black: wherever it is moved, the mask is where the light is."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    mask = torch.from_numpy(np.hypot(rows - 12, columns - 18) < 8)[None].expand(40, SIZE, SIZE)
    images = (255 * mask[:, None].expand(40, 3, SIZE, SIZE)).to(torch.uint8)
    pixels, truth = augmented(images, mask, generator=torch.Generator().manual_seed(0))
    assert pixels.shape == images.shape
    assert float(pixels.min()) >= 0
    assert float(pixels.max()) <= 1
    inside = [float(p[:, t > 0].median() - p[:, t == 0].median()) for p, t in zip(pixels, truth, strict=True)]
    assert np.mean(np.array(inside) > 0.3) > 0.9
    assert float(truth.mean(dim=(1, 2)).std()) > 0.02, "some are larger than others"
    again = augmented(images, mask, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pixels, again[0])


def test_too_few_or_empty_masks_are_refused():
    images, masks = pictures(40)
    rows = {"train_rows": np.arange(8), "validation_rows": np.arange(32, 40)}
    with pytest.raises(DataError, match="8 training and 8 validation images with masks; a U-Net needs 32 and one"):
        train_unet(images, masks, **rows)
    rows = {"train_rows": np.arange(32), "validation_rows": np.arange(32, 40)}
    with pytest.raises(DataError, match="no training mask masks anything"):
        train_unet(images, 0 * masks, **rows)
    masks[32:] = 0
    with pytest.raises(DataError, match="no validation mask masks anything"):
        train_unet(images, masks, **rows)


def test_files_that_are_no_unet_are_one_line(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    settings = UNetSettings(width=4).model_dump()
    save_file({"a": torch.zeros(1)}, tmp_path / "half.safetensors", metadata={"settings": json.dumps(settings)})
    odd = json.dumps(settings | {"width": 0})
    save_file({"a": torch.zeros(1)}, tmp_path / "odd.safetensors", metadata={"settings": odd})
    (tmp_path / "text.safetensors").write_text("no tensors here")
    for name in ("other", "half", "odd", "text", "missing"):
        with pytest.raises(DataError) as refused:
            load_unet(tmp_path / f"{name}.safetensors")
        assert "\n" not in str(refused.value)
        assert name in str(refused.value)


def test_a_full_disk_is_one_line_and_nothing_half_written_stays(small_disk):
    network = UNet(UNetSettings(width=16))
    with pytest.raises(CapacityError, match=r"x\.safetensors: cannot write \(No space left on device\); free space"):
        save_unet(network, small_disk / "x.safetensors")
    assert list(small_disk.iterdir()) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_it_learns_too():
    images, masks = pictures()
    settings = UNetTraining(width=6, epochs=8, batch_size=16, lr=1e-2, narrow=True)
    rows = {"train_rows": np.arange(120), "validation_rows": np.arange(120, N)}
    network = train_unet(images, masks, **rows, settings=settings, device="cuda")
    found = predict_lesions(network, tensor(images[120:]))
    assert found.masks.device.type == "cpu"
    assert np.nanmean(jaccard(found.masks, torch.from_numpy(masks[120:] > 127))) > 0.65
