"""FairPrune: which weights go, that the gap moves, and what happens where there is nothing to compare."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mindgap.core.errors import ConfigError, TrainingFailure
from mindgap.testing.tiny_training import tiny_data, tiny_facts, tiny_network
from mindgap.testing.two_channels import accuracies, data_of, made_for, two_channels
from mindgap.train.evaluate import accuracy, predict_probabilities
from mindgap.train.loop import TrainSettings, train_network
from mindgap.train.mitigation import LabelledRows, TrainingData, TrainingFacts, make_mitigation
from mindgap.train.mitigations.fairprune import smallest
from mindgap.train.own_figure import OwnFigure
from mindgap.train.squared_gradients import prunable_weights


def flat(network):
    return torch.cat([weight.flatten() for weight in prunable_weights(network).values()])


def test_scores_by_hand():
    """Of 5 and −½ (the docstring's example) the second goes; equal ones go from the first on."""
    scores = [torch.tensor([[5.0, -0.5]]), torch.tensor([-0.5, 7.0])]
    assert [gone.tolist() for gone in smallest(scores, count=1)] == [[[False, True]], [False, False]]
    assert [gone.tolist() for gone in smallest(scores, count=2)] == [[[False, True]], [True, False]]
    with pytest.raises(TrainingFailure, match="not finite"):
        smallest([torch.tensor([1.0, float("nan")])], count=1)


@pytest.mark.parametrize("curvature", ["ggn", "fisher", "hutchinson"])
def test_the_channel_that_serves_the_better_off_alone_goes(curvature):
    network, data = two_channels()
    assert accuracies(network, data) == [1.0, pytest.approx(0.9)]
    pruned = made_for(data, "fairprune", fraction=0.06, beta=0.5, curvature=curvature, draws=100)  # 3 of 58 weights
    pruned.finish(network, data)
    assert accuracies(network, data) == [0.5, pytest.approx(0.9)]
    assert network.stem.conv.weight[0].abs().sum() == 0
    assert network.classifier.weight[:, 0].tolist() == [0, 0]
    assert network.classifier.weight[:, 1].tolist() == [-4, 4]
    assert network.classifier.bias.tolist() == [4, -4]
    assert pruned.record == {
        "measured_on": "validation",
        "images": {"a": 60, "b": 60},
        "accuracy": {"a": 1.0, "b": pytest.approx(0.9)},
        "privileged": "a",
        "unprivileged": "b",
        "reason": None,
        "pruned": {"stem.conv.weight": pytest.approx(1 / 54), "classifier.weight": 0.5},
        "removed": 3,
        "weights": 58,
    }
    before = ("accuracy of the privileged group, before pruning", "accuracy of the unprivileged group, before pruning")
    assert pruned.own_figures() == (
        OwnFigure(before[0], "a", 1.0, 60, "validation images"),
        OwnFigure(before[1], "b", pytest.approx(0.9), 60, "validation images"),
        OwnFigure("share set to zero", "", 3 / 58, 58, "weights"),
    )


def test_where_nothing_is_removed_its_figure_says_why():
    network, data = two_channels()
    pruned = made_for(data_of(data.images, data.train.labels, [0] * 120), "fairprune")
    assert pruned.own_figures() == ()
    pruned.finish(network, data_of(data.images, data.train.labels, [0] * 120))
    (share,) = pruned.own_figures()
    assert (share.value, share.n) == (0.0, 58)
    assert "fewer than two groups" in share.reason
    frozen = network.requires_grad_(requires_grad=False)
    pruned.finish(frozen, data)
    assert (pruned.own_figures()[-1].value, pruned.own_figures()[-1].reason) == (None, "all weights are frozen")


def test_who_is_better_off_is_measured_on_validation_images_not_assumed():
    """The same network and training images; on the validation images all labels of a are wrong, so that b's go."""
    network, data = two_channels()
    labels, ids = data.train.labels, torch.from_numpy(data.train.groups.ids)
    judged = LabelledRows(data.train.rows, torch.where(ids == 0, 1 - labels, labels), data.train.groups)
    pruned = made_for(data, "fairprune", fraction=0.06)
    pruned.finish(network, TrainingData(data.images, data.train, judged, data.mean, data.std))
    assert pruned.record["accuracy"] == {"a": 0.0, "b": pytest.approx(0.9)}
    assert (pruned.record["privileged"], pruned.record["unprivileged"]) == ("b", "a")
    assert accuracies(network, data) == [1.0, pytest.approx(0.4)]


def test_without_validation_images_the_training_images_measure_it():
    network, data = two_channels()
    pruned = made_for(data, "fairprune", fraction=0.06)
    pruned.finish(network, TrainingData(data.images, data.train, None, data.mean, data.std))
    assert (pruned.record["measured_on"], pruned.record["privileged"]) == ("training", "a")


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.29, 0.35, 0.5])
def test_exactly_so_many_weights_are_zero(fraction):
    network, data = tiny_network(), tiny_data()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    pruned = make_mitigation("fairprune", tiny_facts(), {"fraction": fraction})
    pruned.finish(network.train(), data)
    count = int((flat(network) == 0).sum())
    weights = prunable_weights(network)
    total = sum(weight.numel() for weight in weights.values())
    assert count == math.floor(round(fraction * 1000) * total / 1000)
    assert network.training
    kept = [torch.equal(before[name], after) for name, after in network.state_dict().items() if name not in weights]
    assert all(kept), "biases and batch norms, statistics included"
    if fraction == 0:
        assert all(torch.equal(before[name], weight) for name, weight in weights.items())
    shares = sum(pruned.record["pruned"][name] * weight.numel() for name, weight in weights.items())
    assert shares == pytest.approx(count, abs=1e-2)


def test_beta_moves_which_weights_go():
    def zeros(beta):
        network = tiny_network()
        make_mitigation("fairprune", tiny_facts(), {"beta": beta, "fraction": 0.2}).finish(network, tiny_data())
        return flat(network) == 0

    low, high = zeros(0.1), zeros(0.9)
    assert low.sum() == high.sum()
    assert (low != high).any()


def test_the_scores_are_those_of_the_formula():
    network, data = tiny_network(), tiny_data()
    pruned = make_mitigation("fairprune", tiny_facts(), {"beta": 0.5, "fraction": 0.3})
    images = data.images.permute(0, 3, 1, 2).float() / 127.5 - 1
    before = {name: weight.clone() for name, weight in prunable_weights(network).items()}
    chances = network.eval()(images).softmax(dim=1).detach()
    pruned.finish(network, data)
    plain = tiny_network().eval()
    parameters = dict(plain.named_parameters())

    def curvature(who):
        members = np.flatnonzero(data.train.groups.ids == data.train.groups.names.index(who))
        total = {name: torch.zeros_like(weight) for name, weight in before.items()}
        for row in members:
            logs = plain(images[row : row + 1])[0].log_softmax(dim=0)
            for k in range(len(logs)):
                slopes = torch.autograd.grad(logs[k], [parameters[name] for name in before], retain_graph=True)
                for name, slope in zip(total, slopes, strict=True):
                    total[name] += chances[row, k] * slope.square() / len(members)
        return total

    best, worst = (curvature(pruned.record[who]) for who in ("privileged", "unprivileged"))
    scores = torch.cat([(0.5 * before[n] ** 2 * (worst[n] - 0.5 * best[n])).flatten() for n in before])
    gone = flat(network) == 0
    assert float(scores[gone].max()) <= float(scores[~gone].min()) + 1e-6 * float(scores.abs().max())


def test_samples_are_bounded_and_drawn_by_the_seed():
    def pruned(samples, seed):
        network, data = tiny_network(), tiny_data()
        facts = TrainingFacts(**{**vars(tiny_facts()), "seed": seed})
        make_mitigation("fairprune", facts, {"samples": samples, "fraction": 0.5}).finish(network, data)
        return flat(network) == 0

    assert torch.equal(pruned(2, 0), pruned(2, 0))
    assert any((pruned(2, 0) != pruned(2, seed)).any() for seed in range(1, 5))
    assert torch.equal(pruned(12, 0), pruned(12, 1)), "all of them, whatever the seed"


@pytest.mark.parametrize("curvature", ["ggn", "fisher", "hutchinson"])
def test_several_labels_are_measured_by_label(curvature):
    network, data = two_channels()
    both = torch.stack([1.0 - data.train.labels, data.train.labels.float()], dim=1)
    data = data_of(data.images, both, data.train.groups.ids)
    pruned = made_for(data, "fairprune", fraction=0.06, curvature=curvature)
    pruned.finish(network, data)
    assert pruned.record["accuracy"] == {"a": 1.0, "b": pytest.approx(0.9)}
    assert network.stem.conv.weight[0].abs().sum() == 0
    assert network.stem.conv.weight[1].abs().sum() == 2


@pytest.mark.parametrize(("precision", "multi_label"), [("fp32", True), ("bf16", False)])
def test_training_ends_with_it_and_a_stopped_run_ends_the_same(
    make_store, architecture, tmp_path, precision, multi_label
):
    store = make_store(60, multi_label=multi_label)

    def fit(folder=None, on_epoch=None):
        return train_network(
            architecture.build(seed=1),
            store,
            train_rows=store.rows("train"),
            groups=store.groups("sex"),
            settings=TrainSettings(
                epochs=2,
                batch_size=16,
                lr=0.01,
                precision=precision,
                mitigation="fairprune",
                mitigation_options={"fraction": 0.1, "samples": 8},
            ),
            architecture=architecture,
            checkpoint_dir=folder,
            on_epoch=on_epoch,
        )

    def stop(record, _):
        if record.epoch == 1:
            raise KeyboardInterrupt

    whole = fit()
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, stop)
    for resumed in (fit(tmp_path), fit(tmp_path)):  # goes on, and finds it done
        assert torch.equal(flat(resumed.network), flat(whole.network))
        assert resumed.mitigation.record == whole.mitigation.record
    values = flat(whole.network)
    assert int((values == 0).sum()) == len(values) // 10
    chances = predict_probabilities(
        whole.network, store.image_tensor(), store.rows("test"), architecture=architecture, modes=whole.modes
    )
    assert 0 <= accuracy(store, store.rows("test"), chances) <= 1


def test_options_out_of_bounds_are_refused():
    _, data = two_channels()
    for options in ({"fraction": 0.6}, {"beta": 1.0}, {"samples": 0}, {"curvature": "exact"}):
        with pytest.raises(ConfigError, match=f"^mitigation fairprune: {next(iter(options))} is"):
            made_for(data, "fairprune", **options)
