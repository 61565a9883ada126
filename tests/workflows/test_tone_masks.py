"""``mindgap tone`` with masks of a network, and under a corrected light."""

from __future__ import annotations

import json
import logging
import math
import shutil
import subprocess

import numpy as np
import pytest
import torch

from mindgap.cli.main import run as command
from mindgap.core.errors import CapacityError, ConfigError, DataError, MindgapError
from mindgap.data.image_store import Store
from mindgap.tone.unet import UNet, UNetSettings, load_unet, save_unet
from mindgap.tone.unet_training import UNetTraining
from mindgap.workflows import tone as tone_workflow
from mindgap.workflows import tone_masks
from mindgap.workflows.prepare import prepare
from mindgap.workflows.synth import synth
from mindgap.workflows.tone import tone

N, SIZE = 120, 32


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a store with masks, and one without, of a column ``meta_site``."""
    folder = tmp_path_factory.mktemp("tone_masks")
    synth(folder / "set", n=N, size=SIZE, dark_share=0.4, seed=1)
    lines = (folder / "set" / "metadata.csv").read_text().splitlines()
    sites = ["site", *("ab"[i % 2] if i % 10 else "" for i in range(N))]
    table = "\n".join(f"{line},{site}" for line, site in zip(lines, sites, strict=True))
    (folder / "table.csv").write_text(table + "\n")
    asked = {
        "images": folder / "set" / "images", "metadata": folder / "table.csv", "id": "image_id", "label": "label",
        "attributes": "sex", "cluster": "lesion_id", "size": SIZE,
    }  # fmt: skip
    prepare(**asked, masks=folder / "set" / "masks", out=folder / "store")
    prepare(**asked, out=folder / "unmasked")
    return folder


@pytest.fixture(scope="module")
def taught(place):
    """The store after a training on its masks."""
    tone(place / "store", out=place / "taught", train_masks=True, mask_epochs=9)
    return Store.open(place / "taught")


def test_a_network_is_trained_judged_and_kept(place, taught):
    said = taught.info.tone["mask_training"]
    assert said["file"] == "lesion_unet.safetensors"
    assert said["settings"]["epochs"] == 9
    assert 0 < said["jaccard"]["test"]["mean"] < 1
    assert said["jaccard"]["test"]["n"] == len(taught.rows("test"))
    assert load_unet(taught.path / "lesion_unet.safetensors").settings.input_px == SIZE
    assert not (taught.path / "lesion_unet.training.safetensors").exists()
    assert taught.info.tone["masks"] == "stored", "where masks are known they are used"
    assert np.array_equal(taught.masks, Store.open(place / "store").masks)


def test_another_store_is_masked_by_it(place, taught):
    tone(place / "unmasked", out=place / "masked", mask_weights=taught.path / "lesion_unet.safetensors")
    found = Store.open(place / "masked")
    kept = found.path / "lesion_unet.safetensors"
    assert torch.equal(load_unet(kept).head.weight, load_unet(taught.path / kept.name).head.weight)
    assert found.info.tone["masks"] == "predict"
    true = taught.masks > 127
    overlap = ((found.masks > 127) & true).sum() / ((found.masks > 127) | true).sum()
    assert overlap > 0.3
    assert found.info.masks["found"] == found.table["has_mask"].sum() == (found.masks > 0).any(axis=(1, 2)).sum()
    expected = found.table["mask_expected_jaccard"]
    assert expected.dropna().between(0, 1).all()
    assert (expected.isna() == ~found.table["has_mask"]).all(), "of no mask nothing is expected"
    flags = [name for words in found.table["mask_flags"] for name in words.split(",") if name]
    assert {f"flagged_{name}": flags.count(name) for name in set(flags)} == {
        name: n for name, n in found.info.masks.items() if name.startswith("flagged_")
    }


def test_no_network_is_trained_on_masks_that_one_found(place, taught, tmp_path):
    tone(place / "store", out=tmp_path / "found", masks="classical")
    with pytest.raises(ConfigError, match="its masks were found, not drawn"):
        tone(tmp_path / "found", out=tmp_path / "new", train_masks=True)


def test_a_killed_training_goes_on(place, taught, tmp_path, monkeypatch):
    epochs = []

    def stop(done):
        epochs.append(done.epoch)
        if len(epochs) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(tone_masks, "_say", stop)
    asked = {"out": tmp_path / "new", "train_masks": True, "mask_epochs": 9}
    with pytest.raises(KeyboardInterrupt):
        tone(place / "store", **asked)
    assert not (tmp_path / "new").exists()
    record = tone(place / "store", **asked)
    assert epochs == list(range(1, 10))
    assert record["fingerprint"] == taught.fingerprint
    assert (tmp_path / "new" / "lesion_unet.safetensors").read_bytes() == (
        taught.path / "lesion_unet.safetensors"
    ).read_bytes()


def test_killed_after_its_training_it_does_not_train_again(place, taught, tmp_path, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    asked = {"out": tmp_path / "new", "train_masks": True, "mask_epochs": 9}
    with monkeypatch.context() as patched:
        patched.setattr(tone_workflow, "write_version", killed)
        with pytest.raises(KeyboardInterrupt):
            tone(place / "store", **asked)
    epochs = []
    monkeypatch.setattr(tone_masks, "_say", epochs.append)
    assert tone(place / "store", **asked)["fingerprint"] == taught.fingerprint
    assert epochs == []
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(
        path.name for path in taught.path.iterdir()
    )


def test_few_images_are_seen_more_often():
    few = tone_masks._fitted(UNetTraining(), images=84, seed=3)
    assert (few.batch_size, few.epochs, few.seed) == (4, 29, 3), "600 steps of 21 per epoch"
    many = tone_masks._fitted(UNetTraining(), images=6000, seed=0)
    assert (many.batch_size, many.epochs) == (32, 20)
    assert tone_masks._fitted(UNetTraining(epochs=2), images=84, seed=0).epochs == 2


def test_a_failed_training_leaves_nothing(place, tmp_path, monkeypatch):
    monkeypatch.setattr(tone_masks, "_fitted", lambda *_, **__: UNetTraining(lr=1e30, epochs=2))
    with pytest.raises(DataError, match=r"loss became .* check the masks, or use --masks classical"):
        tone(place / "store", out=tmp_path / "new", train_masks=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("store", "options", "said"),
    [
        ("store", {"masks": "predict"}, "--masks predict needs a network: give --mask-weights FILE, or --train-masks"),
        ("unmasked", {"train_masks": True}, "has no lesion masks for --train-masks"),
        ("store", {"mask_epochs": 3}, "are of a training; add --train-masks"),
        ("store", {"train_masks": True, "mask_epochs": 0}, "epochs"),
        ("store", {"train_masks": True, "mask_minutes": -1.0}, "minutes"),
        ("store", {"train_masks": True, "mask_minutes": math.inf}, "minutes"),
        ("store", {"mask_weights": "no.safetensors"}, "no such file; give lesion_unet.safetensors of a store"),
        ("store", {"constancy": "white"}, "no constancy 'white'; known: neutral_anchor, none, source"),
        ("store", {"constancy": "shades_of_grey"}, "mindgap prepare --constancy shades_of_grey"),
        ("store", {"constancy": "source"}, "needs --source-column"),
        ("store", {"constancy": "source", "source_column": "meta_sit"}, "did you mean 'meta_site'"),
        ("store", {"source_column": "meta_site"}, "is of --constancy source"),
    ],
)
def test_what_cannot_be_asked_is_one_line(place, tmp_path, store, options, said):
    with pytest.raises(MindgapError) as refused:
        tone(place / store, out=tmp_path / "new", **options)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_none_or_have_no_use_are_refused(place, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match="cannot read the lesion U-Net"):
        tone(place / "store", out=tmp_path / "new", mask_weights=tmp_path / "x.safetensors")
    save_unet(UNet(UNetSettings(width=2, input_px=SIZE)), tmp_path / "x.safetensors")
    with pytest.raises(ConfigError, match="--mask-weights and --masks stored exclude each other"):
        tone(place / "store", out=tmp_path / "new", mask_weights=tmp_path / "x.safetensors", masks="stored")
    with pytest.raises(ConfigError, match="--mask-weights and --train-masks exclude each other"):
        tone(place / "store", out=tmp_path / "new", mask_weights=tmp_path / "x.safetensors", train_masks=True)


def test_other_weights_are_another_store(place, tmp_path):
    """The file counts by what is in it, not by its name."""
    for seed, name in enumerate(("a", "b")):
        torch.manual_seed(seed)
        save_unet(UNet(UNetSettings(width=2, input_px=SIZE)), tmp_path / f"{name}.safetensors")
    tone(place / "store", out=tmp_path / "new", mask_weights=tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").rename(tmp_path / "c.safetensors")
    assert tone(place / "store", out=tmp_path / "new", mask_weights=tmp_path / "c.safetensors")
    with pytest.raises(MindgapError, match="masks"):
        tone(place / "store", out=tmp_path / "new", mask_weights=tmp_path / "b.safetensors")


def test_the_light_is_corrected_by_source(place, tmp_path):
    """Half of the images of a site show a grey card, the others of the site are corrected by them."""
    store, lit = Store.open(place / "store"), tmp_path / "lit"
    shutil.copytree(store.path, lit)
    at = store.table["meta_site"].eq("a").to_numpy()
    images = np.memmap(lit / "images.bin", dtype=np.uint8, mode="r+", shape=store.images.shape)
    cards = np.flatnonzero(at)[::2]
    images[cards, :, -8:] = 190
    images[at] = images[at] * np.array([1.0, 0.95, 1.2]).clip(None, 255 / 190)
    images.flush()
    plain = tone(lit, out=tmp_path / "plain", target="20") and Store.open(tmp_path / "plain")
    tone(lit, out=tmp_path / "own", target="20", constancy="neutral_anchor")
    tone(lit, out=tmp_path / "pooled", target="20", constancy="source", source_column="meta_site")
    own, pooled = Store.open(tmp_path / "own"), Store.open(tmp_path / "pooled")
    others = np.setdiff1d(np.flatnonzero(at), cards)

    def moved(other, rows):
        change = other.table["ita_degrees"] - plain.table["ita_degrees"]
        return np.nanmedian(np.abs(change.to_numpy()[rows]))

    assert moved(own, cards) > 3
    assert moved(own, others) == 0
    assert moved(pooled, others) > 3
    assert moved(pooled, np.flatnonzero(~at)) == 0
    for found, known in ((own, cards), (pooled, np.flatnonzero(at))):
        without = found.table["ita_flags"].str.contains("no_anchor").to_numpy()
        assert (~without)[known].mean() > 0.5
        assert without[~at].all()
        assert found.info.tone["flags"]["no_anchor"] == without.sum()


def test_the_command_trains_and_says_how_well(place, tmp_path, capsys):
    asked = ["tone", str(place / "store"), "--out", str(tmp_path / "new"), "--train-masks", "--mask-epochs", "1"]
    assert command([*asked, "--masks", "predict"]) == 0
    printed = capsys.readouterr().out
    assert "mean Jaccard" in printed
    assert "on the test split" in printed
    record = json.loads((tmp_path / "new" / "store.json").read_text())
    assert record["tone"]["masks"] == "predict"
    assert command(["tone", str(place / "store"), "--out", str(tmp_path / "other"), "--mask-epochs", "2"]) == 2


def test_space_for_the_masks_is_taken_before_a_network_is_trained_for_them(place, small_disk, caplog):
    """A disk with room for the twins of 360 KiB, but not for the masks of 120 KiB."""
    subprocess.run(["mount", "-o", "remount,size=460k", small_disk], check=True)
    asked = {"masks": "predict", "train_masks": True, "mask_epochs": 1}
    with caplog.at_level(logging.INFO), pytest.raises(CapacityError, match=r"no space for masks\.bin of 0\.1 MiB"):
        tone(place / "store", out=small_disk / "new", **asked)
    assert "lesion masks, epoch" not in caplog.text
    assert list(small_disk.iterdir()) == []
