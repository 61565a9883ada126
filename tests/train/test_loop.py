"""The training loop: learning, resuming, failing, hooks."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mindgap.core.errors import ConfigError, RunError, TrainingFailure
from mindgap.data.augment import AugmentSettings
from mindgap.train.evaluate import accuracy, predict_probabilities
from mindgap.train.loop import TrainSettings, train_network
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, BatchWish, group_sums
from mindgap.train.modes import in_modes
from mindgap.train.precision import make_plan
from mindgap.train.training_run import TrainingRun

BATCH = 16


class StoppedError(Exception):
    pass


def run(
    store,
    architecture,
    *,
    network=None,
    rows=None,
    folder=None,
    on_epoch=None,
    before_epoch=None,
    keep_stem=False,
    **options,
):
    """Trains the tiny network; returns it and the result."""
    settings = TrainSettings(**{"epochs": 2, "batch_size": BATCH, "precision": "fp32", "lr": 0.01} | options)
    network = architecture.build(seed=1) if network is None else network
    result = train_network(
        network,
        store,
        train_rows=store.rows("train") if rows is None else rows,
        groups=store.groups("sex"),
        settings=settings,
        architecture=architecture,
        checkpoint_dir=folder,
        on_epoch=on_epoch,
        before_epoch=before_epoch,
        keep_stem=keep_stem,
    )
    return network, result


def stop_after(epoch):
    def on_epoch(record, _):
        if record.epoch > epoch:
            raise StoppedError

    return on_epoch


def weights(network):
    return torch.cat([tensor.flatten().double() for tensor in network.state_dict().values()])


def test_it_learns_what_the_images_tell(store, architecture):
    network, result = run(store, architecture, epochs=8)
    rows = store.rows("validation")
    probabilities = predict_probabilities(network, store.image_tensor(), rows, architecture=architecture)
    assert accuracy(store, rows, probabilities) > 0.9
    assert result.history[-1].loss < result.history[0].loss
    assert result.image_passes == 8 * len(store.rows("train"))
    assert [record.epoch for record in result.history] == list(range(1, 9))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(store, architecture):
    first, again, other = (weights(run(store, architecture, seed=seed)[0]) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_global_random_state_neither_matters_nor_changes(store, architecture):
    torch.manual_seed(5)
    first = weights(run(store, architecture)[0])
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)
    assert torch.equal(weights(run(store, architecture)[0]), first)


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "auto", "mitigation": "biasless", "ratios": "uniform"},
        {"schedule": "paper", "mitigation": "maxgroup", "precision": "bf16"},
        {"mitigation": "memory", "mitigation_options": {}},
    ],
    ids=["onecycle", "paper", "stateful"],
)
def test_a_stopped_run_goes_on_to_bit_identical_weights(store, architecture, tmp_path, options, memory):
    first, result = run(store, architecture, epochs=4, folder=tmp_path / "straight", **options)
    with pytest.raises(StoppedError):
        run(store, architecture, epochs=4, folder=tmp_path / "stopped", on_epoch=stop_after(2), **options)
    second, resumed = run(store, architecture, epochs=4, folder=tmp_path / "stopped", **options)
    assert torch.equal(weights(first), weights(second))
    third, _ = run(store, architecture, epochs=4, folder=tmp_path / "stopped", **options)
    assert torch.equal(weights(second), weights(third)), "a finished run is only loaded"
    assert resumed.image_passes == result.image_passes
    assert resumed.mitigation.state_dict().keys() == result.mitigation.state_dict().keys()


def test_a_resume_with_a_plan_in_hand_is_bit_identical_in_mixed_precision(store, architecture, tmp_path):
    from mindgap.train.precision import PartTiming, PrecisionPlan, network_parts

    parts = network_parts(architecture)
    modes = ("fp32", "bf16-mended-fused", "bf16-fused", "fp32-fused", "bf16")
    timings = [PartTiming(part=part, milliseconds={mode: 1.0}) for part, mode in zip(parts, modes, strict=True)]
    plan = PrecisionPlan(timings=tuple(timings))

    def go(folder, on_epoch=None):
        network = architecture.build(seed=1)
        result = train_network(
            network,
            store,
            train_rows=store.rows("train"),
            groups=store.groups("sex"),
            settings=TrainSettings(epochs=4, batch_size=BATCH, lr=0.01),
            architecture=architecture,
            checkpoint_dir=tmp_path / folder,
            on_epoch=on_epoch,
            precision_plan=plan,
        )
        assert result.modes == modes
        return weights(network)

    straight = go("straight")
    with pytest.raises(StoppedError):
        go("stopped", stop_after(2))
    assert torch.equal(go("stopped"), straight)


def test_what_is_called_before_an_epoch_may_stop_without_losing_one(store, architecture, tmp_path):
    begun = []

    def before(epoch):
        begun.append(epoch)
        if begun == [0, 1, 2]:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(store, architecture, epochs=4, folder=tmp_path, before_epoch=before)
    stopped, _ = run(store, architecture, epochs=4, folder=tmp_path, before_epoch=before)
    assert begun == [0, 1, 2, 2, 3]
    assert torch.equal(weights(stopped), weights(run(store, architecture, epochs=4)[0]))


class NoWaiting(TorchDispatchMode):
    """Refuses operators whose result the processor has to know before it can go on: each would wait for a GPU."""

    WAITING: ClassVar = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal"}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.name().partition(".")[0] in self.WAITING:
            raise AssertionError(f"a step waits for the device: {func.name()}")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", MITIGATIONS.names())
def test_no_step_waits_for_the_device(store, architecture, name, precision):
    settings = TrainSettings(epochs=1, batch_size=BATCH, precision=precision, mitigation=name)
    training = TrainingRun(
        architecture.build(seed=1),
        store,
        train_rows=store.rows("train"),
        groups=store.groups("sex"),
        settings=settings,
        architecture=architecture,
    )
    training.modes = make_plan(precision, architecture, batch_size=BATCH).modes(architecture)
    if training.mitigation.needs_teacher:
        training.mitigation.take_teacher(architecture.build(seed=2).eval().requires_grad_(requires_grad=False))
    batch = [tensor[0] for tensor in training._epoch(0)]
    with in_modes(training.network, training.modes), NoWaiting():
        training._step(*batch, epoch=0, step=0)


def test_the_check_for_waiting_sees_what_waits():
    with NoWaiting(), pytest.raises(AssertionError, match="waits for the device"):
        torch.ones(3).sum().item()


def test_a_checkpoint_of_other_settings_is_refused(store, architecture, tmp_path):
    run(store, architecture, folder=tmp_path)
    with pytest.raises(RunError, match="other data, network or settings"):
        run(store, architecture, folder=tmp_path, seed=1)
    with pytest.raises(RunError, match="other data, network or settings"):
        run(store, architecture, folder=tmp_path, rows=store.rows("train")[1:])


def test_what_on_epoch_returns_is_kept_through_a_resume(store, architecture, tmp_path):
    def on_epoch(record, _):
        return {"validation_accuracy": record.epoch / 10}

    run(store, architecture, folder=tmp_path, on_epoch=on_epoch)
    _, result = run(store, architecture, folder=tmp_path)
    assert [record.extra for record in result.history] == [{"validation_accuracy": 0.1}, {"validation_accuracy": 0.2}]


def test_multi_label_data_trains_by_binary_cross_entropy(make_store, architecture):
    store = make_store(multi_label=True)
    network, result = run(store, architecture, epochs=8)
    rows = store.rows("test")
    probabilities = predict_probabilities(
        network, store.image_tensor(), rows, architecture=architecture, task=store.task
    )
    assert accuracy(store, rows, probabilities) > 0.9
    assert result.history[0].loss < 2 * math.log(2)
    with pytest.raises(ConfigError, match="loss 'ce' is for single-label data"):
        run(store, architecture, loss="ce")


def test_batches_have_the_shares_asked_for(store, architecture, memory):
    groups = store.groups("sex").take(store.rows("train"))
    _, result = run(store, architecture, mitigation="memory", ratios={"a": 0.25, "b": 0.75})
    drawn = torch.cat(result.mitigation.seen)
    known = drawn[drawn >= 0]
    assert float((known == 1).double().mean()) == pytest.approx(0.75, abs=0.01)
    _, result = run(store, architecture, mitigation="memory")
    drawn = torch.cat(result.mitigation.seen)
    assert np.bincount(drawn[drawn >= 0].numpy()).tolist() == (2 * groups.counts()).tolist()


def test_ratios_of_an_unknown_group_are_refused(store, architecture):
    with pytest.raises(ConfigError, match=r"'c=0\.4'"):
        run(store, architecture, ratios="a=.6,c=0.4")


def test_a_loss_that_becomes_nan_ends_as_a_failure_with_its_reason(store, architecture):
    network = architecture.build(seed=1)
    with torch.no_grad():
        network.classifier.weight.fill_(math.nan)
    with pytest.raises(TrainingFailure, match=r"^loss became nan in epoch 1 of 2; lower the learning rate$") as failure:
        run(store, architecture, network=network)
    assert [(record.epoch, record.images > 0) for record in failure.value.history] == [(1, True)]


def test_a_run_that_diverges_ends_as_a_failure_with_its_reason(store, architecture):
    with pytest.raises(TrainingFailure, match=r"(diverged|became|weight)"):
        run(store, architecture, lr=1e6, schedule="paper", epochs=3)


def test_weights_that_become_infinite_on_the_last_step_are_a_failure(store, architecture, spoiling):
    with pytest.raises(TrainingFailure, match="a weight became NaN or infinite in epoch 1 of 1"):
        run(store, architecture, mitigation="spoiling", epochs=1, batch_size=96)


def test_a_method_that_gives_up_tells_what_was_done_before(store, architecture, giving_up):
    with pytest.raises(TrainingFailure, match=r"^no step left$") as failure:
        run(store, architecture, mitigation="giving-up", epochs=3)
    assert [record.epoch for record in failure.value.history] == [1, 2]


def test_running_out_of_memory_is_a_failure_with_its_reason(store, architecture, hungry):
    with pytest.raises(TrainingFailure, match=r"^out of memory with batches of 16; use smaller batches$"):
        run(store, architecture, mitigation="hungry")


def test_another_runtime_error_is_not_swallowed(store, architecture, faulty):
    with pytest.raises(RuntimeError, match="a bug of its own"):
        run(store, architecture, mitigation="faulty")


def test_hooks_are_called_in_order(store, architecture, listening):
    run(store, architecture, mitigation="listening", epochs=1)
    step = ["objective", "after_backward", "extra_step"]
    assert listening.calls == ["batches", "adapt", *step * 6, "finish"]


def test_features_are_the_classifiers_input_and_only_made_when_asked_for(store, architecture, listening):
    run(store, architecture, mitigation="listening", epochs=1, batch_size=32)
    assert listening.features == [None] * 3
    listening.needs_features = True
    run(store, architecture, mitigation="listening", epochs=1, batch_size=32)
    assert [features.shape for features in listening.features[3:]] == [(32, 16)] * 3


def test_a_mitigation_that_edits_gradients_changes_what_is_learnt(store, architecture, freezing):
    """Projecting group b's gradient out of the classifier's leaves its mean loss unchanged to first order."""
    start = architecture.build(seed=1).classifier.weight.detach().clone()
    network, _ = run(store, architecture, mitigation="freezing", schedule="paper", epochs=1)
    assert torch.equal(network.classifier.weight, start), "the hook set this gradient to zero"
    assert freezing.norms, "the gradient it removed was there"
    assert min(freezing.norms) > 0
    plain, _ = run(store, architecture, schedule="paper", epochs=1)
    assert not torch.equal(plain.classifier.weight, start)


def test_augmentation_can_be_left_out(store, architecture):
    first = weights(run(store, architecture, augment=AugmentSettings.none())[0])
    assert not torch.equal(first, weights(run(store, architecture)[0]))


@pytest.fixture
def register(monkeypatch):
    """Registers a mitigation for one test."""

    def add(name, kind):
        MITIGATIONS.discover()
        monkeypatch.setitem(MITIGATIONS._entries, name, kind)
        return kind

    return add


@pytest.fixture
def memory(register):
    class Memory(AbstractMitigation):
        """Weights the groups by an average of their losses, and remembers what it saw."""

        def __init__(self, facts, options):
            super().__init__(facts, options)
            self.average = torch.ones(len(facts.group_names))
            self.seen = []

        def objective(self, losses, batch, features):
            self.seen.append(batch.groups)
            sums, counts = group_sums(losses, batch.groups, count=len(self.average))
            self.average = 0.9 * self.average + 0.1 * (sums / counts.clamp(min=1)).detach()
            return (self.average[batch.groups.clamp(min=0)] * losses).mean()

        def state_dict(self):
            return {"average": self.average}

        def load_state_dict(self, state):
            self.average = state["average"]

    return register("memory", Memory)


@pytest.fixture
def spoiling(register):
    class Spoiling(AbstractMitigation):
        """Breaks a weight after the step."""

        def after_backward(self, network, batch):
            network.classifier.weight.grad.fill_(math.inf)

    return register("spoiling", Spoiling)


@pytest.fixture
def giving_up(register):
    class GivingUp(AbstractMitigation):
        """Finds in the third epoch that it cannot go on."""

        def objective(self, losses, batch, features):
            if batch.epoch == 2:
                raise TrainingFailure("no step left")
            return losses.mean()

    return register("giving-up", GivingUp)


@pytest.fixture
def hungry(register):
    class Hungry(AbstractMitigation):
        """Asks for more memory than there is."""

        def objective(self, losses, batch, features):
            return losses.mean() + torch.zeros(2**52).sum()

    return register("hungry", Hungry)


@pytest.fixture
def faulty(register):
    class Faulty(AbstractMitigation):
        """Has a bug."""

        def objective(self, losses, batch, features):
            raise RuntimeError("a bug of its own")

    return register("faulty", Faulty)


@pytest.fixture
def freezing(register):
    class Freezing(AbstractMitigation):
        """Takes the classifier's gradient away."""

        norms: ClassVar[list[float]] = []

        def after_backward(self, network, batch):
            self.norms.append(float(network.classifier.weight.grad.norm()))
            network.classifier.weight.grad.zero_()

    return register("freezing", Freezing)


@pytest.fixture
def listening(register):
    class Listening(AbstractMitigation):
        """Writes down its calls."""

        calls: ClassVar[list[str]] = []
        features: ClassVar[list[torch.Tensor | None]] = []

        def batches(self, groups):
            self.calls.append("batches")
            return BatchWish()

        def adapt(self, network):
            self.calls.append("adapt")
            return network

        def objective(self, losses, batch, features):
            self.calls.append("objective")
            self.features.append(features)
            return losses.mean()

        def after_backward(self, network, batch):
            assert all(parameter.grad is not None for parameter in network.parameters())
            self.calls.append("after_backward")

        def extra_step(self, batch):
            self.calls.append("extra_step")

        def finish(self, network, data):
            assert len(data.train.rows) == len(data.train.labels) == len(data.train.groups.ids)
            self.calls.append("finish")

    return register("listening", Listening)


TRAPEZOID = {"schedule": "trapezoid", "decay_epochs": 1}


def test_a_longer_run_that_goes_on_from_a_shorter_one_ends_as_if_trained_at_once(store, architecture, tmp_path):
    straight, whole = run(store, architecture, epochs=5, **TRAPEZOID)
    for epochs in (2, 3):
        run(store, architecture, epochs=epochs, folder=tmp_path, keep_stem=True, **TRAPEZOID)
        (tmp_path / "checkpoint.pt").unlink()
    seen = []
    continued, result = run(
        store,
        architecture,
        epochs=5,
        folder=tmp_path,
        on_epoch=lambda record, _: seen.append(record.epoch),
        **TRAPEZOID,
    )
    assert seen == [3, 4, 5]
    assert torch.equal(weights(straight), weights(continued))
    assert [record.epochs for record in result.history] == [5] * 5
    assert [record.loss for record in result.history] == [record.loss for record in whole.history]


def test_a_run_stopped_in_its_decay_resumes_and_leaves_the_stem_whole(store, architecture, tmp_path):
    settings = {"epochs": 4, "schedule": "trapezoid", "decay_epochs": 2}
    straight, _ = run(store, architecture, **settings)
    with pytest.raises(StoppedError):
        run(store, architecture, folder=tmp_path, keep_stem=True, on_epoch=stop_after(3), **settings)
    resumed, _ = run(store, architecture, folder=tmp_path, keep_stem=True, **settings)
    assert torch.equal(weights(straight), weights(resumed))
    (tmp_path / "checkpoint.pt").unlink()
    longer, _ = run(store, architecture, folder=tmp_path, **settings | {"epochs": 6})
    assert torch.equal(weights(longer), weights(run(store, architecture, **settings | {"epochs": 6})[0]))


def test_a_stem_beyond_the_plateau_or_of_another_run_is_not_gone_on_from(store, architecture, tmp_path):
    run(store, architecture, epochs=4, folder=tmp_path, keep_stem=True, **TRAPEZOID)
    (tmp_path / "checkpoint.pt").unlink()
    shorter, _ = run(store, architecture, epochs=2, **TRAPEZOID)
    from_stem, _ = run(store, architecture, epochs=2, folder=tmp_path, **TRAPEZOID)
    assert torch.equal(weights(shorter), weights(from_stem))
    (tmp_path / "checkpoint.pt").unlink()
    with pytest.raises(RunError, match=r"stem\.pt.*other data, network or settings"):
        run(store, architecture, epochs=6, seed=9, folder=tmp_path, **TRAPEZOID)
