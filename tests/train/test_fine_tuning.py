"""Fine-tuning: the best epoch is kept, patience ends it, and a stopped one goes on to the same weights."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from mindgap.core.files import read_json
from mindgap.data.image_store import Store
from mindgap.space.network import Network
from mindgap.testing.tiny_training import SMALL
from mindgap.train.fine_tuning import BEST_FILE, CHECKPOINT, RECORD_FILE, FineTuned, Watch, fine_tune
from mindgap.train.modes import Mode
from mindgap.train.settings import TrainSettings


def tune(store: Store, folder: Path, watch: Watch, **changes: Any) -> FineTuned:
    asked: dict[str, Any] = {"epochs": 4, "patience": 4} | changes
    return fine_tune(
        SMALL.build(seed=1),
        store,
        architecture=SMALL,
        settings=TrainSettings(epochs=asked["epochs"], batch_size=48, precision="fp32", lr=0.01),
        groups=store.groups("sex"),
        watch=watch,
        patience=asked["patience"],
        folder=folder,
        on_epoch=asked.get("on_epoch", lambda _: None),
    )


def told(figures: Sequence[float], seen: list[dict[str, torch.Tensor]] | None = None) -> Watch:
    """A figure that is decided beforehand, with the weights it was asked of."""
    left: Iterator[float] = iter(figures)

    def watch(network: Network, _: Sequence[Mode]) -> float:
        if seen is not None:
            seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return next(left)

    return watch


def same(network: Network, state: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("figures", "best"),
    [((0.5, 0.6, 0.8, 0.7, 0.6), 2), ((0.9, 0.6, 0.8, 0.7, 0.6), 2), ((0.5, 0.7, 0.6, 0.7, 0.7), 1)],
)
def test_the_first_best_epoch_is_kept_and_the_beginning_is_no_candidate(
    store: Store, tmp_path: Path, figures: tuple[float, ...], best: int
) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    found = tune(store, tmp_path, told(figures, seen))
    assert found.best_epoch == best
    assert found.figures == figures
    assert same(found.network, seen[best])
    assert not found.network.training
    assert found.image_passes == 4 * 2 * 48
    assert len(found.epochs) == 4


def test_patience_ends_it_after_that_many_epochs_without_a_better_figure(store: Store, tmp_path: Path) -> None:
    found = tune(store, tmp_path, told((0.5, 0.6, 0.6, 0.55, 0.9)), epochs=4, patience=2)
    assert found.figures == (0.5, 0.6, 0.6, 0.55)
    assert found.best_epoch == 1


def test_a_network_that_learns_ends_with_a_better_figure_than_it_began_with(
    store: Store, tmp_path: Path, accuracy_watch: Watch
) -> None:
    found = tune(store, tmp_path, accuracy_watch, epochs=4)
    assert found.figures[found.best_epoch] > found.figures[0] + 0.1
    assert accuracy_watch(found.network, found.modes) == found.figures[found.best_epoch]


@pytest.fixture
def accuracy_watch(store: Store) -> Watch:
    from mindgap.train.evaluate import accuracy, predict_probabilities

    rows = store.rows("validation")

    def watch(network: Network, modes: Sequence[Mode]) -> float:
        chances = predict_probabilities(network, store.image_tensor(), rows, architecture=SMALL, modes=modes)
        return accuracy(store, rows, chances)

    return watch


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_stopped_after_an_epoch_it_goes_on_to_the_same_weights(
    store: Store, tmp_path: Path, accuracy_watch: Watch, epoch: int
) -> None:
    def stop(record: Any) -> None:
        if record.epoch == epoch:
            raise KeyboardInterrupt

    whole = tune(store, tmp_path / "whole", accuracy_watch)
    with pytest.raises(KeyboardInterrupt):
        tune(store, tmp_path / "halves", accuracy_watch, on_epoch=stop)
    went_on = tune(store, tmp_path / "halves", accuracy_watch)
    assert went_on.figures == whole.figures
    assert same(went_on.network, dict(whole.network.state_dict()))
    assert (went_on.image_passes, went_on.modes) == (whole.image_passes, whole.modes)
    assert [one["loss"] for one in went_on.epochs] == [one["loss"] for one in whole.epochs]


def test_finished_it_is_read_again_and_nothing_is_trained(store: Store, tmp_path: Path) -> None:
    first = tune(store, tmp_path, told((0.5, 0.6, 0.8, 0.7, 0.6)))
    assert not (tmp_path / CHECKPOINT).exists()
    again = tune(store, tmp_path, told(()))
    assert again.figures == first.figures
    assert same(again.network, dict(first.network.state_dict()))
    assert (tmp_path / BEST_FILE).is_file()
    assert read_json(tmp_path / RECORD_FILE)["figures"] == list(first.figures)


def test_without_its_checkpoint_it_begins_anew_and_takes_none_of_the_earlier_weights(
    store: Store, tmp_path: Path
) -> None:
    def stop(record: Any) -> None:
        if record.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(store, tmp_path, told((0.5, 0.9, 0.9, 0.9)), on_epoch=stop)
    shutil.rmtree(tmp_path / CHECKPOINT)
    seen: list[dict[str, torch.Tensor]] = []
    found = tune(store, tmp_path, told((0.5, 0.6, 0.7, 0.6, 0.6), seen))
    assert found.best_epoch == 2
    assert same(found.network, seen[2])


def test_frozen_parts_need_a_gradient_again_afterwards(store: Store, tmp_path: Path) -> None:
    found = fine_tune(
        SMALL.build(seed=1),
        store,
        architecture=SMALL,
        settings=TrainSettings(epochs=1, batch_size=48, precision="fp32", freeze=1),
        groups=store.groups("sex"),
        watch=told((0.5, 0.6)),
        patience=1,
        folder=tmp_path,
    )
    assert all(parameter.requires_grad for parameter in found.network.parameters())
