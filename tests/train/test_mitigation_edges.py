"""Every mitigation on data and settings that are hard for it: it trains whole, or says in one line why it does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindgap.core.errors import ConfigError, TrainingFailure
from mindgap.core.groups import Groups
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.testing.batches_of_losses import made
from mindgap.testing.tiny_store import SIZE_PX
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.loop import TrainSettings, train_network
from mindgap.train.mitigation import MITIGATIONS

ROWS, TRAINED, EPOCHS = 80, 48, 2
SETTINGS = {"epochs": EPOCHS, "batch_size": 16, "precision": "fp32", "lr": 0.01}


class StoppedError(Exception):
    pass


@pytest.fixture(params=MITIGATIONS.names())
def name(request):
    return request.param


@pytest.fixture(scope="module", params=[False, True], ids=["single-label", "multi-label"])
def any_store(request, make_store):
    return make_store(ROWS, multi_label=request.param)


@pytest.fixture(scope="module")
def small_store(make_store):
    return make_store(ROWS)


@pytest.fixture(scope="module")
def tiny():
    """The smallest network with a block that has batch norms."""
    return Architecture(
        name="tiny",
        input_px=SIZE_PX,
        num_classes=2,
        stem=Stem(channels=4),
        blocks=(BlockSpec(type="cb", out_channels=4, choices={"kernel": 3, "hidden_channels": 4}),),
        head=Head(width=8),
    )


def groups_of(ids):
    count = max(2, int(ids.max()) + 1)
    return Groups("made", tuple(f"g{number}" for number in range(count)), ids.astype(np.int64))


def train(store, tiny, name, *, groups=None, folder=None, on_epoch=None, **options):
    """Trains; gives the groups and the result."""
    groups = store.groups("sex") if groups is None else groups
    result = train_network(
        tiny.build(seed=1),
        store,
        train_rows=store.rows("train"),
        groups=groups,
        settings=TrainSettings(**SETTINGS | {"mitigation": name} | options),
        architecture=tiny,
        checkpoint_dir=folder,
        on_epoch=on_epoch,
    )
    return groups, result


def as_values(state):
    """A state with lists for tensors, which compare as a whole."""
    if isinstance(state, dict):
        return {key: as_values(value) for key, value in state.items()}
    if isinstance(state, list):
        return [as_values(value) for value in state]
    return state.tolist() if isinstance(state, torch.Tensor) else state


def check_trained_or_refused(store, tiny, name, folder, **options):
    """Trains whole epochs to a network that predicts, or refuses in one line before anything is trained.

    Returns the line, or None if it was trained.
    """
    line = None
    try:
        groups, result = train(store, tiny, name, folder=folder, **options)
    except ConfigError as error:
        line = str(error)
    if line is not None:
        assert "; " in line, "what is wrong; what to do"
        assert "\n" not in line
        assert not folder.exists(), "no teacher was trained in vain"
        return line
    assert [record.epoch for record in result.history] == list(range(1, EPOCHS + 1))
    predicting = {"architecture": tiny, "task": store.task, "modes": result.modes}
    rows = store.rows("test")
    for known in (groups, None):
        probabilities = predict_probabilities(
            result.network, store.image_tensor(), rows, mitigation=result.mitigation, groups=known, **predicting
        )
        assert probabilities.shape == (len(rows), 2)
    return None


def test_a_group_that_no_training_image_is_of_changes_nothing(small_store, tiny, name):
    groups = small_store.groups("sex")
    more = Groups("sex", (*groups.names, "nobody"), groups.ids)
    rows, chances = small_store.rows("test"), []
    if name == "resample":  # its batches are drawn group by group, so in another order
        plain, other = (made(name, *of.counts()).batches(of).ratios for of in (groups, more))
        assert other.tolist() == [*plain.tolist(), 0.0]
        return
    for known in (groups, more):
        _, result = train(small_store, tiny, name, groups=known)
        chances.append(
            [
                predict_probabilities(
                    result.network, small_store.image_tensor(), rows, architecture=tiny, modes=result.modes,
                    mitigation=result.mitigation, groups=told,
                )
                for told in (known, None)
            ]
        )  # fmt: skip
    np.testing.assert_allclose(chances[0], chances[1], atol=1e-5)


PER_GROUP = ("domainindep", "fairadabn")


def test_which_mitigations_train_a_part_per_group():
    assert {name for name in MITIGATIONS.names() if MITIGATIONS.get(name).part_per_group} == {*PER_GROUP}


@pytest.mark.parametrize("name", PER_GROUP)
@pytest.mark.parametrize("ratios", ["a=1,b=0", {"a": 1.0, "b": 0.0}])
def test_ratios_that_leave_a_groups_part_untrained_are_refused(small_store, tiny, name, ratios):
    with pytest.raises(
        ConfigError,
        match=rf"^mitigation '{name}' trains a part of the network on each group's own images, and a share of 0 gives "
        r"group 'b' under one image in all 2 epochs; give it a larger one, or take another mitigation$",
    ):
        train(small_store, tiny, name, ratios=ratios)


def test_a_share_that_is_never_drawn_is_refused_and_one_that_a_method_asks_for_anyway_is_not(small_store, tiny):
    """Of 96 images in two epochs .001 is under one; batch norms per group are given two images in every batch."""
    tiny_share = {"a": 0.999, "b": 0.001}
    with pytest.raises(ConfigError, match=r"'domainindep'.*a share of 0\.001 gives group 'b' under one image"):
        train(small_store, tiny, "domainindep", ratios=tiny_share)
    _, result = train(small_store, tiny, "fairadabn", ratios=tiny_share)
    tracked = [of for name, of in result.network.state_dict().items() if name.endswith("num_batches_tracked")]
    assert tracked
    assert all(int(of.min()) > 0 for of in tracked)


def test_a_group_that_has_no_training_image_needs_no_share(small_store, tiny):
    groups = small_store.groups("sex")
    more = Groups("sex", (*groups.names, "nobody"), groups.ids)
    for name in PER_GROUP:
        train(small_store, tiny, name, groups=more, ratios={"a": 0.5, "b": 0.5, "nobody": 0.0})


def test_other_mitigations_may_leave_a_group_out(small_store, tiny):
    train(small_store, tiny, "erm", ratios="a=1,b=0")


def test_ratios_beside_a_mitigation_that_chooses_them_are_refused(small_store, tiny):
    with pytest.raises(ConfigError, match=r"'resample' chooses the batches' ratios itself, got 'a=.9,b=.1'"):
        train(small_store, tiny, "resample", ratios="a=.9,b=.1")


def test_frozen_parts_are_not_pruned(small_store, tiny):
    before = tiny.build(seed=1)
    _, result = train(small_store, tiny, "fairprune", freeze=2, mitigation_options={"fraction": 0.5})
    for part in ("stem.", "blocks.0."):
        after = {key: value for key, value in result.network.state_dict().items() if key.startswith(part)}
        assert all(torch.equal(value, before.state_dict()[key]) for key, value in after.items())
    with pytest.raises(ConfigError, match="freeze is 9: the network has 2 parts before its head"):
        train(small_store, tiny, "erm", freeze=9)


@pytest.mark.parametrize("kind", ["one image", "some unknown", "all unknown"])
def test_a_group_of_one_image_and_unknown_groups(small_store, tiny, name, kind, tmp_path):
    ids = np.arange(ROWS) % 2
    if kind == "one image":
        ids[small_store.rows("train")[0]] = 2
    else:
        ids[:: 1 if kind == "all unknown" else 3] = -1
    refused = check_trained_or_refused(small_store, tiny, name, tmp_path / "run", groups=groups_of(ids))
    assert refused is None or kind == "all unknown", refused


@pytest.mark.parametrize("batch_size", [32, 80])
def test_an_attribute_of_forty_values(small_store, tiny, name, batch_size, tmp_path):
    ids = np.full(ROWS, 39)
    ids[small_store.rows("train")] = np.arange(TRAINED) % 40
    options = {"groups": groups_of(ids), "batch_size": batch_size}
    refused = check_trained_or_refused(small_store, tiny, name, tmp_path / "run", **options)
    assert refused is None or batch_size == 32, "80 images hold two of every group"


def test_both_tasks(any_store, tiny, name, tmp_path):
    refused = check_trained_or_refused(any_store, tiny, name, tmp_path / "run")
    assert refused is None or any_store.task == "multi-label", refused


def test_bfloat16(small_store, tiny, name, tmp_path):
    assert check_trained_or_refused(small_store, tiny, name, tmp_path / "run", precision="bf16") is None


def test_a_learning_rate_at_which_it_diverges(small_store, tiny, name):
    with pytest.raises(TrainingFailure, match="lower the learning rate"):
        train(small_store, tiny, name, lr=1e4, schedule="paper")


def test_a_run_that_was_stopped_ends_as_one_that_was_not(small_store, tiny, name, tmp_path):
    def stop(record, run):
        if record.epoch == EPOCHS and run.settings.mitigation == name:
            raise StoppedError

    _, straight = train(small_store, tiny, name, folder=tmp_path / "straight")
    with pytest.raises(StoppedError):
        train(small_store, tiny, name, folder=tmp_path / "stopped", on_epoch=stop)
    _, resumed = train(small_store, tiny, name, folder=tmp_path / "stopped")
    expected, found = straight.network.state_dict(), resumed.network.state_dict()
    assert expected.keys() == found.keys()
    assert all(map(torch.equal, expected.values(), found.values()))
    assert as_values(resumed.mitigation.state_dict()) == as_values(straight.mitigation.state_dict())
