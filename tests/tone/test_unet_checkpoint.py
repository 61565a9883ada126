"""A training of the lesion U-Net that is killed goes on; how long it takes, and at which size."""

from __future__ import annotations

import importlib.util
import subprocess
import time

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mindgap.core.errors import CapacityError, DataError, RunError
from mindgap.tone.encoder_unet import PACKAGE
from mindgap.tone.unet import UNet
from mindgap.tone.unet_training import UNetTraining, train_unet

INSTALLED = importlib.util.find_spec(PACKAGE) is not None
ROWS = {"train_rows": np.arange(32), "validation_rows": np.arange(32, 40)}
SMALL = UNetTraining(width=2, epochs=4, batch_size=16)


def pictures(size=16):
    """Dark disks on light noise, and their masks."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    middle = generator.uniform(0.3, 0.7, (2, 40, 1, 1)) * size
    masks = np.hypot(rows - middle[0], columns - middle[1]) < size / 4
    images = generator.normal(180, 10, (40, size, size, 3)) - 100 * masks[..., None]
    return images.clip(0, 255).astype(np.uint8), (255 * masks).astype(np.uint8)


class KilledError(Exception):
    pass


def trained(checkpoint=None, *, until=None, settings=SMALL, rows=ROWS):
    """The network's weights and the epochs that were trained."""
    told = []

    def hear(epoch):
        told.append(epoch)
        if epoch.epoch == until:
            raise KilledError

    network = train_unet(*pictures(), **rows, settings=settings, checkpoint=checkpoint, on_epoch=hear)
    return network.state_dict(), told


@pytest.mark.parametrize("until", [1, 3])
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, until):
    whole, epochs = trained()
    place = tmp_path / "training.safetensors"
    with pytest.raises(KilledError):
        trained(place, until=until)
    again, rest = trained(place)
    assert rest == epochs[until:]
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def test_a_full_disk_is_one_line_and_the_training_goes_on_where_there_is_space(small_disk):
    place, settings = small_disk / "training.safetensors", SMALL.model_copy(update={"width": 8, "epochs": 1})
    with pytest.raises(CapacityError, match=r"training\.safetensors: cannot write \(No space left on device\)"):
        trained(place, settings=settings)
    assert list(small_disk.iterdir()) == []
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    _, rest = trained(place, settings=settings)
    assert [one.epoch for one in rest] == [1]


def test_a_training_that_is_done_is_not_done_again(tmp_path):
    place = tmp_path / "training.safetensors"
    first, _ = trained(place)
    second, told = trained(place)
    assert told == []
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_checkpoint_of_another_training_is_refused(tmp_path):
    place = tmp_path / "training.safetensors"
    trained(place)
    other_rows = ROWS | {"train_rows": np.arange(1, 33)}
    for change in ({"settings": SMALL.model_copy(update={"lr": 0.1})}, {"rows": other_rows}):
        with pytest.raises(RunError, match="holds a training with other settings or images; delete it"):
            trained(place, **change)
    images, masks = pictures()
    for other in ({"images": 255 - images}, {"masks": np.roll(masks, 3, axis=1)}):
        with pytest.raises(RunError, match="holds a training with other settings or images; delete it"):
            train_unet(**{"images": images, "masks": masks} | other, **ROWS, settings=SMALL, checkpoint=place)
    trained(place, settings=SMALL.model_copy(update={"narrow": True}))  # another machine may go on
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors here")
    for name in ("other", "text"):
        with pytest.raises(DataError, match=f"{name}.safetensors: no U-Net in training"):
            trained(tmp_path / f"{name}.safetensors")


def test_as_many_epochs_are_trained_as_fit_into_the_minutes():
    begun = time.perf_counter()
    _, told = trained(settings=SMALL.model_copy(update={"epochs": 100_000, "minutes": 1 / 60}))
    took = time.perf_counter() - begun
    assert 1 <= len(told) < 100_000
    assert took < 60, "a plan, not a promise: the machine may be busy"
    _, least = trained(settings=SMALL.model_copy(update={"minutes": 1e-9}))
    assert [epoch.epoch for epoch in least] == [1]
    _, most = trained(settings=SMALL.model_copy(update={"minutes": 60.0}))
    assert len(most) == SMALL.epochs


def test_a_budget_that_is_not_used_up_changes_nothing():
    plain, _ = trained()
    budget, _ = trained(settings=SMALL.model_copy(update={"minutes": 60.0}))
    assert all(torch.equal(value, budget[name]) for name, value in plain.items())


@pytest.mark.parametrize(("size", "wanted", "input_px"), [(20, None, 16), (20, 8, 8), (6, None, 8), (136, None, 96)])
def test_images_of_any_size_train_at_a_multiple_of_8_up_to_96(size, wanted, input_px):
    settings = UNetTraining(width=1, epochs=1, batch_size=16, input_px=wanted)
    images, masks = pictures(size)
    rows = {"train_rows": np.arange(16), "validation_rows": np.arange(16, 18)}
    network = train_unet(images, masks, **rows, settings=settings)
    assert isinstance(network, UNet)
    assert network.settings.input_px == input_px


@pytest.mark.skipif(INSTALLED, reason="segmentation-models-pytorch is installed")
def test_training_an_encoder_that_is_not_installed_is_one_line():
    with pytest.raises(CapacityError, match=f"needs {PACKAGE}, not installed here"):
        trained(settings=SMALL.model_copy(update={"encoder": "resnet18"}))


@pytest.mark.skipif(not INSTALLED, reason="needs segmentation-models-pytorch")
def test_an_encoder_is_trained_and_goes_on(tmp_path):
    settings = SMALL.model_copy(update={"encoder": "mobilenet_v2", "epochs": 2})
    whole, epochs = trained(settings=settings)
    with pytest.raises(KilledError):
        trained(tmp_path / "training.safetensors", until=1, settings=settings)
    again, rest = trained(tmp_path / "training.safetensors", settings=settings)
    assert rest == epochs[1:]
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
