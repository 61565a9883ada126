"""Training on a GPU; skips where torch sees none."""

from __future__ import annotations

import warnings

import pytest
import torch

from mindgap.train import device
from mindgap.train.evaluate import accuracy, predict_probabilities
from mindgap.train.loop import TrainSettings, train_network
from mindgap.train.mitigation import MITIGATIONS
from mindgap.train.modes import in_modes
from mindgap.train.precision import make_plan
from mindgap.train.training_run import TrainingRun

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


def fit(store, architecture, *, folder=None, on_epoch=None, epochs=8, **options):
    settings = TrainSettings(epochs=epochs, batch_size=16, lr=0.01, device="cuda", **options)
    return train_network(
        architecture.build(seed=1),
        store,
        train_rows=store.rows("train"),
        groups=store.groups("sex"),
        settings=settings,
        architecture=architecture,
        checkpoint_dir=folder,
        on_epoch=on_epoch,
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("mitigation", MITIGATIONS.names())
def test_it_learns_there_and_predicts_there(store, architecture, precision, mitigation):
    own = {"fairprune": {"fraction": 0.05}}.get(mitigation, {})  # a third of so small a network's weights is too much
    result = fit(store, architecture, precision=precision, mitigation=mitigation, mitigation_options=own)
    assert next(result.network.parameters()).is_cuda
    rows = store.rows("validation")
    probabilities = predict_probabilities(
        result.network,
        store.image_tensor(),
        rows,
        architecture=architecture,
        modes=result.modes,
        mitigation=result.mitigation,
        groups=store.groups("sex"),
    )
    assert accuracy(store, rows, probabilities) > 0.9


def test_a_stopped_run_goes_on_there(store, architecture, tmp_path):
    class StoppedError(Exception):
        pass

    def stop(record, _):
        if record.epoch > 2:
            raise StoppedError

    whole = fit(store, architecture, epochs=4, precision="fp32")
    with pytest.raises(StoppedError):
        fit(store, architecture, epochs=4, precision="fp32", folder=tmp_path, on_epoch=stop)
    resumed = fit(store, architecture, epochs=4, precision="fp32", folder=tmp_path)
    assert [record.epoch for record in resumed.history] == [1, 2, 3, 4]
    assert resumed.history[-1].loss == pytest.approx(whole.history[-1].loss, rel=0.05)


@pytest.mark.parametrize("mitigation", MITIGATIONS.names())
def test_no_step_waits_for_it(store, architecture, mitigation):
    run = TrainingRun(
        architecture.build(seed=1),
        store,
        train_rows=store.rows("train"),
        groups=store.groups("sex"),
        settings=TrainSettings(epochs=1, batch_size=16, device="cuda", mitigation=mitigation),
        architecture=architecture,
    )
    run.modes = make_plan("auto", architecture, batch_size=16, device=run.device).modes(architecture)
    if run.mitigation.needs_teacher:
        teacher = architecture.build(seed=2).to(run.device).eval()
        run.mitigation.take_teacher(teacher.requires_grad_(requires_grad=False))
    first, second, *_ = zip(*run._epoch(0), strict=True)
    with in_modes(run.network, run.modes):
        run._step(*first, epoch=0, step=0)
        torch.cuda.synchronize()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that this mode is new
                torch.cuda.set_sync_debug_mode("error")
            run._step(*second, epoch=0, step=1)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_images_that_stay_in_main_memory_train_the_same(store, architecture, monkeypatch):
    resident = fit(store, architecture, epochs=2, precision="fp32")
    monkeypatch.setattr(device, "_RESIDENT_SHARE", 0.0)
    mapped = fit(store, architecture, epochs=2, precision="fp32")
    assert mapped.history[-1].loss == pytest.approx(resident.history[-1].loss, rel=0.05)
