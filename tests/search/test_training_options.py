"""What a search may decide about training: every option fits the store, and changes what is trained."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mindgap.core.errors import ConfigError, MindgapError
from mindgap.core.groups import Groups
from mindgap.data.augment import AugmentSettings
from mindgap.data.image_store import Store
from mindgap.search.ledger import Claim
from mindgap.search.training_options import candidate_settings, training_options, with_changes
from mindgap.search.trial import StoreCandidates
from mindgap.space.space_settings import load_space
from mindgap.space.training_tokens import LossChoice, TrainingTable
from mindgap.testing.tiny_search import SPACE
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.train.loop import TrainSettings

FULL = load_space("full")[1].training
TABLE = """
[training]
augment = [0, 1, 1.5]
blend = [false, true]
[[training.loss]]
name = "plain"
[[training.loss]]
name = "smoothed"
label_smoothing = 0.2
[[training.loss]]
name = "worst"
mitigation = "maxgroup"
"""


def found(store, table=FULL, *, base=None, fixed_loss=False):
    groups = store.groups("sex").take(store.rows("train"))
    return training_options(table, store, base=base or TrainSettings(), groups=groups, fixed_loss=fixed_loss)


@pytest.fixture
def candidates(store, plan_of, tmp_path):
    (tmp_path / "own.toml").write_text(SPACE.replace("[stem]", f"{TABLE}[stem]"))
    return StoreCandidates(tmp_path / "run", plan_of(store, space=str(tmp_path / "own.toml")))


def upright_store(folder):
    write_tiny_store(folder)
    record = json.loads((folder / "store.json").read_text())
    (folder / "store.json").write_text(json.dumps(record | {"upright": True}))
    return Store.open(folder)


@pytest.mark.parametrize("multi_label", [False, True])
def test_full_offers_losses_and_strengths_for_either_task(tmp_path, multi_label):
    store = Store.open(write_tiny_store(tmp_path / "store", multi_label=multi_label))
    options = found(store).options
    names = [option.name for option in options["loss"]]
    assert names == ["erm", "erm_smoothed", "biasless", "biasless_smoothed", "maxgroup"]
    assert [option.name for option in options["augment"]] == [0.0, 0.5, 1.0, 1.5]
    for offered in options.values():
        for option in offered:
            settings = with_changes(TrainSettings(), option.changes)
            assert settings.loss is None  # the task's own


def test_every_combination_is_a_valid_setting_and_only_it_differs(store):
    options, base = found(store).options, TrainSettings(epochs=3, batch_size=32, label_smoothing=0.05)
    for loss in options["loss"]:
        for strength in options["augment"]:
            settings = with_changes(base, loss.changes | strength.changes)
            assert settings.label_smoothing == (0.1 if str(loss.name).endswith("_smoothed") else 0.05)
            assert str(loss.name).startswith(settings.mitigation)
            own = ("mitigation", "mitigation_options", "label_smoothing", "augment")
            assert settings.model_copy(update={name: getattr(base, name) for name in own}) == base


def test_upright_images_stay_upright_at_every_strength(tmp_path):
    for option in found(upright_store(tmp_path / "store")).options["augment"]:
        settings = with_changes(TrainSettings(), option.changes).augment
        assert not settings.right_angles
        assert settings.flips == ("none" if option.name == 0 else "horizontal")


def test_strengths_are_factors_of_the_searchs_own_augmentation(store):
    base = TrainSettings(augment=AugmentSettings(flips="none", shift=0.2))
    changed = [with_changes(base, option.changes).augment for option in found(store, base=base).options["augment"]]
    assert [settings.shift for settings in changed] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert changed[2] == base.augment


def test_blending_is_offered_if_the_store_has_twins(tmp_path):
    folder = write_tiny_store(tmp_path / "store")
    without = found(Store.open(folder))
    assert [option.name for option in without.options["blend"]] == [False]
    assert without.left_out == ("blending of tones is left out: the store has no twins.bin",)
    with pytest.raises(ConfigError, match=r"the space blends tones, and .* has no twins.bin"):
        found(Store.open(folder), TrainingTable(blend=(True,)))


@pytest.mark.parametrize("blend", [True, {"reading": "original", "every": 3}])
def test_blending_that_is_asked_for_is_not_searched(tmp_path, blend):
    """Else a candidate that is said not to blend would, and one that does would lose the numbers given."""
    store = Store.open(write_tiny_store(tmp_path / "store", twins=True))
    assert [option.name for option in found(store).options["blend"]] == [False, True]
    asked = found(store, base=TrainSettings(blend=blend))
    assert "blend" not in asked.options
    assert not asked.left_out


def test_a_loss_of_the_other_task_is_left_out_with_a_line(tmp_path):
    table = TrainingTable(loss=(LossChoice(name="one", loss="ce"), LossChoice(name="any")))
    many = Store.open(write_tiny_store(tmp_path / "many", multi_label=True))
    options = found(many, table)
    assert [option.name for option in options.options["loss"]] == ["any"]
    assert options.left_out == ("loss 'one' is left out: it is for single-label data, this store is multi-label",)
    with pytest.raises(ConfigError, match="none of the space's losses is for multi-label data"):
        found(many, TrainingTable(loss=(LossChoice(name="one", loss="ce"),)))


def test_searchable_mitigations_are_taken_unless_they_are_named(store):
    table = TrainingTable(plugins=True, loss=(LossChoice(name="mine", mitigation="biasless"),))
    assert [option.name for option in found(store, table).options["loss"]] == ["mine", "erm", "maxgroup"]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"mitigation": "bias"}, "biasless"),
        ({"loss": "cee"}, "did you mean 'ce'"),
        ({"mitigation": "biasless", "mitigation_options": {"share": "data"}}, "'own' of the space's loss.*'shares'"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line(store, choice, said):
    with pytest.raises(MindgapError, match=said) as refused:
        found(store, TrainingTable(loss=(LossChoice(name="own", **choice),)))
    assert "\n" not in str(refused.value)


def test_batches_too_small_for_a_loss_are_refused_before_the_search(store):
    three = Groups("tone", ("a", "b", "c"), np.arange(len(store.rows("train"))) % 3)
    with pytest.raises(ConfigError, match="option 'maxgroup' of the space's loss: batch size 2 cannot hold"):
        training_options(FULL, store, base=TrainSettings(batch_size=2), groups=three)


def test_a_named_mitigation_is_not_searched(store, plan_of):
    plan = plan_of(store, space="full", mitigation="erm")
    assert set(plan.training_options) == {"augment", "blend"}
    assert plan.training.mitigation == "erm"
    assert plan_of(store, space="full").training.mitigation == "biasless"


def test_options_of_a_mitigation_that_is_not_named_are_refused(store, plan_of):
    training = {"precision": "fp32", "mitigation_options": {"shares": "data"}}
    with pytest.raises(ConfigError, match="name the one mitigation with --mitigation"):
        plan_of(store, space="full", training=training)
    plan = plan_of(store, space="full", mitigation="biasless", training=training)
    assert plan.training.mitigation_options == {"shares": "data"}


def weights(candidates, tokens):
    claim = Claim(row=0, slot=3, attempt=1, tokens=tokens)
    record = candidates.train(claim, epoch_done=lambda _: None, between=lambda: None).record
    candidates.settle(claim)
    return record, (candidates.folder(claim) / "weights.safetensors").read_bytes()


def test_the_loss_and_the_augmentation_of_the_tokens_change_what_is_trained(candidates):
    """Slot, seed, ratios and network are the same; only one token differs."""
    trained = [weights(candidates, (2, *tokens, 2, 2, 0)) for tokens in [(0, 1), (1, 1), (2, 1), (0, 0), (0, 2)]]
    assert len({found for _, found in trained}) == len(trained)
    records = [record for record, _ in trained]
    assert [record["loss"] for record in records] == ["plain", "smoothed", "worst", "plain", "plain"]
    assert [record["choices"]["augment"] for record in records] == [1.0, 1.0, 1.0, 0.0, 1.5]
    assert records[2]["training"]["mitigation"] == "maxgroup"
    assert len({json.dumps(record["architecture"]) for record in records}) == 1


def test_a_candidate_is_trained_as_its_tokens_say(candidates):
    candidate = candidates.space.decode((2, 1, 2, 2, 2, 0))
    settings = candidate_settings(candidates.plan, training=candidate.training, ratios=candidate.ratios, seed=9, rung=0)
    assert (settings.label_smoothing, settings.mitigation, settings.seed) == (0.2, "erm", 9)
    assert settings.augment == AugmentSettings().scaled(1.5)
    assert settings.ratios == candidate.ratios
    assert np.isclose(sum(candidate.ratios.values()), 1)
