"""Frozen parts: what is kept, to the bit, and what is trained."""

from __future__ import annotations

import pytest
import torch

from mindgap.core.errors import ConfigError
from mindgap.search.training_options import check_training
from mindgap.train.freezing import check_freeze, freeze
from mindgap.train.loop import TrainSettings, train_network
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation

KEPT_BY_FINISH = [
    name for name in MITIGATIONS.names() if MITIGATIONS.get(name).finish is AbstractMitigation.finish
]  # others may change any weight after training


def run(store, architecture, *, folder=None, on_epoch=None, **options):
    settings = TrainSettings(**{"epochs": 2, "batch_size": 16, "precision": "fp32", "lr": 0.01, "freeze": 2} | options)
    network = architecture.build(seed=1)
    network.train()(torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(3)))  # statistics beside 0 and 1
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    result = train_network(
        network,
        store,
        train_rows=store.rows("train"),
        groups=store.groups("sex"),
        settings=settings,
        architecture=architecture,
        checkpoint_dir=folder,
        on_epoch=on_epoch,
    )
    return before, result


def is_front(name):
    return name.startswith(("stem.", "blocks.0."))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"schedule": "paper", "precision": "bf16", "lr": 0.1},
        {"precision": "auto", "mitigation": "biasless"},
        {"mitigation": "maxgroup", "schedule": "trapezoid"},
    ],
    ids=["adamw", "sgd", "auto", "trapezoid"],
)
def test_frozen_parts_are_bit_equal_afterwards_and_the_rest_is_trained(store, architecture, options):
    before, result = run(store, architecture, **options)
    after = result.network.state_dict()
    assert {name for name in before if torch.equal(before[name], after[name])} == {
        name for name in before if is_front(name)
    }


@pytest.mark.parametrize("name", KEPT_BY_FINISH)
def test_every_mitigation_leaves_frozen_parts_alone(store, architecture, name):
    before, result = run(store, architecture, mitigation=name, epochs=1)
    kept, after = {at: tensor for at, tensor in before.items() if is_front(at)}, result.network.state_dict()
    # A mitigation may rename what it adapts, or repeat it for every group; what keeps its name keeps its values.
    assert all(is_as_before(tensor, after[at]) for at, tensor in kept.items() if at in after)
    assert [at for at in before if at in after and not is_front(at) and not is_as_before(before[at], after[at])]


def is_as_before(before, after):
    return bool((after.reshape(-1, *before.shape) == before).all())


def test_the_optimizer_holds_what_is_trained_alone(store, architecture):
    seen = []

    def on_epoch(_, training):
        seen.append({id(weight) for group in training.optimizer.param_groups for weight in group["params"]})

    _, result = run(store, architecture, epochs=1, on_epoch=on_epoch)
    named = dict(result.network.named_parameters())
    assert seen == [{id(weight) for name, weight in named.items() if not is_front(name)}]
    assert all(weight.grad is None for name, weight in named.items() if is_front(name))


class StoppedError(Exception):
    pass


def test_a_stopped_run_goes_on_with_its_front_frozen(store, architecture, tmp_path):
    def stop(record, _):
        if record.epoch > 1:
            raise StoppedError

    _, straight = run(store, architecture, epochs=3, folder=tmp_path / "straight")
    with pytest.raises(StoppedError):
        run(store, architecture, epochs=3, folder=tmp_path / "stopped", on_epoch=stop)
    before, resumed = run(store, architecture, epochs=3, folder=tmp_path / "stopped")
    one, other = straight.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert all(torch.equal(before[name], other[name]) for name in before if is_front(name))


def test_all_parts_before_the_head_may_be_frozen_and_not_more(store, architecture):
    parts = 1 + len(architecture.blocks)
    check_freeze(parts, architecture)
    before, result = run(store, architecture, freeze=parts, epochs=1)
    after = result.network.state_dict()
    assert {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])} == {
        "head",
        "classifier",
    }
    with pytest.raises(
        ConfigError, match=r"freeze is 5: tiny has 4 parts .* \(the stem and 3 blocks\); give 4 or less"
    ):
        check_freeze(parts + 1, architecture)


def test_a_network_without_parts_cannot_be_frozen():
    with pytest.raises(ConfigError, match="Linear has no stem and blocks"):
        freeze(torch.nn.Linear(2, 2), 1)
    assert freeze(torch.nn.Linear(2, 2), 0) == ()


def test_a_search_freezes_nothing(store):
    with pytest.raises(ConfigError, match="freeze is 1: a search trains all parts"):
        check_training(TrainSettings(freeze=1), store, store.groups("sex").take(store.rows("train")))
