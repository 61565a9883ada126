from __future__ import annotations

import pytest
import torch

from mindgap.core.errors import CapacityError, ConfigError
from mindgap.train.device import reproducible

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU here")


def test_candidates_train_on_the_processor_unless_another_device_is_asked_for(store, plan_of):
    assert plan_of(store).training.device == "cpu"


@without_gpu
def test_auto_is_settled_once_for_all_machines(store, plan_of):
    assert plan_of(store, training={"device": "auto", "precision": "fp32"}).training.device == "cpu"


@pytest.mark.parametrize("placement", ["ray", "ray://auto", "slurm"])
def test_a_driver_without_a_gpu_plans_for_workers_that_have_one(store, plan_of, placement):
    plan = plan_of(store, placement=placement, placement_options={"gpus_per_worker": 0.25}, training={"batch_size": 32})
    assert plan.training.device == "cuda"
    assert plan.precision_plan.timings == ()
    plan = plan_of(store, placement=placement, training={"device": "cuda", "precision": "fp32"})
    assert (plan.training.device, plan.precision_plan.fixed) == ("cuda", "fp32")


@without_gpu
def test_a_gpu_that_this_machine_does_not_have_is_refused_before_there_is_a_run(store, plan_of):
    with pytest.raises(CapacityError, match="torch sees no GPU here"):
        plan_of(store, training={"device": "cuda"})


def test_an_unknown_device_is_one_line(store, plan_of):
    with pytest.raises(ConfigError, match=r"training: device is 'tpu'"):
        plan_of(store, training={"device": "tpu"})


@pytest.mark.parametrize(("device", "on"), [("cpu", False), ("cuda", True)])
def test_a_gpu_computes_what_it_would_compute_again(device, on, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    with reproducible(device):
        assert torch.are_deterministic_algorithms_enabled() is on
        assert torch.backends.cudnn.benchmark is not on
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark
