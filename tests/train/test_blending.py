"""Training on images that are blended with their twins of another tone."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch

from mindgap.core.errors import ConfigError
from mindgap.data.augment import AugmentSettings
from mindgap.data.image_store import Store
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.train.blending import Blending, blend_doubts
from mindgap.train.loop import TrainResult, TrainSettings, train_network
from mindgap.train.training_run import TrainingRun
from mindgap.workflows.train import train as train_verb


@pytest.fixture(scope="module")
def twins(tmp_path_factory) -> Store:
    return Store.open(write_tiny_store(tmp_path_factory.mktemp("twins") / "store", twins=True))


def settings(**options) -> TrainSettings:
    usual = {"epochs": 4, "batch_size": 16, "precision": "fp32", "lr": 0.01, "blend": {"every": 2, "least_n": 5}}
    return TrainSettings(**usual | options)


def train(store: Store, architecture, *, folder=None, on_epoch=None, **options) -> TrainResult:
    return train_network(
        architecture.build(seed=1),
        store,
        train_rows=store.rows("train"),
        groups=store.groups("sex"),
        settings=settings(**options),
        architecture=architecture,
        checkpoint_dir=folder,
        on_epoch=on_epoch,
    )


def test_what_is_taken_is_the_twin_exactly_where_it_was_drawn(twins):
    rows = twins.rows("train")
    blending = Blending(twins, rows, settings=settings().blend, seed=3)
    positions = torch.arange(len(rows)).view(2, -1)
    taken = blending.with_twins(1, positions, torch.from_numpy(rows)[positions])
    drawn = blending.adaptive.draw(1)
    assert 0.5 < drawn.mean() < 0.95
    assert (taken.flatten().numpy() == rows + twins.n * drawn).all()
    images = blending.take(twins.image_tensor(), 0, taken.flatten()).numpy()
    assert np.array_equal(images[drawn], twins.twins[rows[drawn]])
    assert np.array_equal(images[~drawn], twins.images[rows[~drawn]])


def test_only_images_of_the_tone_that_is_too_many_and_with_a_twin_are_replaced(twins):
    rows = np.arange(twins.n)
    chance = Blending(twins, rows, settings=settings().blend, seed=3).adaptive.probabilities()
    tones, has = twins.table["tone"].to_numpy(), twins.table["twin_tone"].notna().to_numpy()
    assert has.sum() == twins.n - 1
    assert (chance > 0).tolist() == ((tones == "II") & has).tolist()


def test_the_log_says_what_was_replaced_and_how_well_the_tones_are_told_apart(twins, architecture):
    result = train(twins, architecture)
    first, second = result.history[0].extra, result.history[1].extra
    assert first["blend_replaced"] == pytest.approx(0.9 * (1 - 1 / 6 / 0.9), abs=0.02)
    assert sum(first[f"blend_share_{band}"] for band in ("I", "II", "III", "IV", "V", "VI")) == pytest.approx(1)
    assert not any(name.startswith("auc") for name in first)
    assert set(second) >= {"auc_II", "auc_V"}
    assert 0 <= second["auc_II"] <= 1
    assert result.image_passes == sum(record.images for record in result.history)


def test_the_log_counts_the_images_that_its_shares_and_aurocs_are_of(twins, architecture):
    first, second, third, _ = (record.extra for record in train(twins, architecture).history)
    tones = twins.table["tone"]
    for split, said, prefix in (("train", first, "blend_n_"), ("validation", second, "auc_n_")):
        counts = tones.iloc[twins.rows(split)].value_counts()
        assert {band: said[f"{prefix}{band}"] for band in ("I", "II", "V")} == {
            "I": 0, "II": counts["II"], "V": counts["V"]
        }  # fmt: skip
    assert first["blend_n_unknown"] == 0
    assert not any(name.startswith(("blend_n", "auc")) for name in third)


def test_the_log_has_the_mean_probability_of_each_tone(twins, architecture):
    for said in (record.extra for record in train(twins, architecture).history):
        n = len(twins.rows("train"))
        chance = said["blend_chance_II"]
        assert 0.7 < chance < 0.9
        assert said["blend_chance_V"] == 0
        assert said["blend_chance_I"] is None, "there is no image of it"
        assert said["blend_replaced"] == pytest.approx(
            chance * (twins.table["tone"] == "II")[twins.rows("train")].sum() / n
        )


def test_a_tone_that_is_told_apart_badly_gets_more_twins(twins, architecture, monkeypatch):
    monkeypatch.setattr(Blending, "_auc", lambda self, rows, predict: 0.6)
    result = train(twins, architecture, blend={"every": 2, "least_n": 5, "share": 0.5}, epochs=5)
    shares = [record.extra["blend_share_V"] for record in result.history]
    table = twins.table.iloc[twins.rows("train")]
    gain = 0.05 * float(((table["tone"] == "II") & table["twin_tone"].notna()).mean())
    assert np.diff(shares) == pytest.approx([0, gain, 0, gain])


def test_a_blended_run_that_was_stopped_goes_on_bit_for_bit(twins, architecture, tmp_path):
    """After a raise, which a run that is taken up has to know: it decides what is drawn from then on."""
    blend = {"every": 2, "least_n": 1, "least_auc": 1.0, "reading": "original", "step": 0.2}
    asked = {"lr": 1e-6, "epochs": 5, "blend": blend}
    whole = train(twins, architecture, **asked)

    def stop(record, _):
        if record.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(twins, architecture, folder=tmp_path, on_epoch=stop, **asked)
    again = train(twins, architecture, folder=tmp_path, **asked)
    assert all(
        torch.equal(one, other)
        for one, other in zip(whole.network.state_dict().values(), again.network.state_dict().values(), strict=True)
    )
    assert [record.extra for record in again.history] == [record.extra for record in whole.history]
    shares = [record.extra["blend_share_V"] for record in whole.history]
    assert shares[2] > shares[1], "a band was raised before it was stopped"


def test_without_blending_nothing_changes_and_with_it_the_weights_do(twins, architecture, tmp_path):
    plain = train(twins, architecture, blend=None)
    as_before = train(Store.open(write_tiny_store(tmp_path / "store")), architecture, blend=None)
    blended = train(twins, architecture)
    weights = [result.network.classifier.weight for result in (plain, as_before, blended)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_batches_hold_the_twins_pixels(twins, architecture):
    """Where an image is replaced, and without augmentation, what the network sees is its twin."""
    training = TrainingRun(
        architecture.build(seed=1),
        twins,
        train_rows=twins.rows("train"),
        groups=twins.groups("sex"),
        settings=settings(blend={"share": 0.11}, augment=AugmentSettings.none()),
        architecture=architecture,
    )
    positions, rows, draws = training._epoch(0)
    replaced = (rows[0] >= twins.n).numpy()
    assert 0.5 < float((rows >= twins.n).float().mean()) < 1
    seen = training.batch_images(rows[0], draws[0]).numpy()
    own = twins.rows("train")[positions[0].numpy()]
    pixels = np.where(replaced[:, None, None, None], twins.twins[own], twins.images[own]).transpose(0, 3, 1, 2) / 255
    mean, std = (np.array(values)[:, None, None] for values in (architecture.mean, architecture.std))
    assert np.allclose(seen, (pixels - mean) / std, atol=1e-5)


def test_tones_of_which_too_little_is_known_are_told_once(twins, caplog):
    blending = Blending(twins, twins.rows("train"), settings=settings(blend={"every": 1}).blend, seed=3)
    with caplog.at_level(logging.INFO):
        for epoch in (1, 2):
            blending.end_epoch(epoch, lambda rows: np.full((len(rows), 2), 0.5))
    assert [record.message for record in caplog.records] == [
        "blending: AUROC is not known of tone bands I, III, IV, V, VI; they are not raised"
    ]


def test_a_fold_that_is_held_out_does_not_steer(twins):
    """Nor where no validation image is trained on, as all of them are of the fold that is held out."""

    def predict(_):
        raise AssertionError("nothing is predicted")

    chosen = settings(blend={"every": 1}).blend
    blending = Blending(twins, twins.rows("train"), settings=chosen, seed=3, may_look=False)
    assert not any(name.startswith("auc") for name in blending.end_epoch(1, predict))
    seen = Blending(twins, twins.rows("train"), settings=chosen, seed=3)
    with pytest.raises(AssertionError, match="nothing is predicted"):
        seen.end_epoch(1, predict)
    assert not any(name.startswith("auc") for name in seen.end_epoch(1, predict, is_last=True)), "nothing comes after"


def test_a_run_by_folds_looks_at_nothing(twins, tmp_path):
    train_verb(twins, network="resnet18", out=tmp_path / "run", epochs=2, folds=2, blend={"every": 1, "least_n": 1},
               bootstrap=0, permutations=0)  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all(line["blend_replaced"] > 0 for line in lines)
    assert not any(name.startswith("auc") for line in lines for name in line)


def test_an_image_that_is_there_twice_is_drawn_twice(twins):
    adaptive = Blending(twins, twins.rows("train"), settings=settings().blend, seed=3).adaptive
    drawn = adaptive.draw(0, np.repeat(np.arange(len(twins.rows("train"))), 20)).reshape(-1, 20)
    chance = adaptive.probabilities()
    assert np.abs(drawn.mean(axis=1) - chance).max() < 0.5
    assert (np.ptp(drawn[chance > 0].astype(int), axis=1) == 1).mean() > 0.8


def test_a_blend_that_does_nothing_is_said(twins):
    rows = twins.rows("train")
    assert blend_doubts(None, twins, rows) == []
    assert blend_doubts(settings(blend={"share": 0.45}).blend, twins, rows) == []
    (nothing,) = blend_doubts(settings(blend={"share": 1.0}).blend, twins, rows)
    assert "the blend replaces no image" in nothing


def test_a_store_without_twins_is_refused(store):
    with pytest.raises(
        ConfigError, match=r"there are no twins to blend with \(twins.bin\); make them with mindgap tone"
    ):
        Blending(store, store.rows("train"), settings=settings().blend, seed=0)


@pytest.mark.parametrize(
    ("given", "reading"), [(True, "flatten"), (False, None), (None, None), ({"reading": "original"}, "original")]
)
def test_blend_is_true_false_or_its_numbers(given, reading):
    blend = TrainSettings(blend=given).blend
    assert (blend.reading if blend else None) == reading
