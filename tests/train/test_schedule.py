"""Learning rates over a run."""

from __future__ import annotations

import pytest
from torch import nn

from mindgap.train.decay import default_decay_epochs
from mindgap.train.schedule import (
    SCHEDULES,
    Length,
    onecycle_rate,
    paper_rate,
    set_lr,
    trapezoid_rate,
)


def test_the_papers_rate_falls_by_a_tenth_every_20_epochs():
    rates = [paper_rate(epoch * 7, Length(500 * 7, per_epoch=7)) for epoch in (0, 19, 20, 39, 40, 100)]
    assert rates == pytest.approx([1.0, 1.0, 0.9, 0.9, 0.81, 0.9**5])


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing():
    rates = [onecycle_rate(step, Length(100, per_epoch=10)) for step in range(100)]
    assert rates[:3] == pytest.approx([1 / 15, 2 / 15, 3 / 15])
    assert rates[14] == 1.0 == max(rates)
    assert rates[15:] == sorted(rates[15:], reverse=True)
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)
    assert rates[14 + 43] == pytest.approx(0.5, abs=0.03)


def test_a_single_step_has_a_rate():
    assert onecycle_rate(0, Length(1, per_epoch=1)) == 1.0


def test_a_trapezoid_rises_stays_and_falls_to_nothing():
    rates = [trapezoid_rate(step, Length(50, per_epoch=10, decay=20)) for step in range(50)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:30] == [1.0] * 25
    assert rates[30:35] == pytest.approx([1 - (k / 20) ** 0.5 for k in (1, 2, 3, 4, 5)])
    assert rates[-1] == 0.0


def test_before_its_decay_a_trapezoid_does_not_depend_on_the_length():
    short, long = Length(50, per_epoch=10, decay=20), Length(900, per_epoch=10, decay=100)
    assert [trapezoid_rate(step, short) for step in range(30)] == [trapezoid_rate(step, long) for step in range(30)]


def test_a_trapezoid_of_decay_alone_still_warms_up():
    rates = [trapezoid_rate(step, Length(10, per_epoch=10, decay=10)) for step in range(10)]
    assert rates[0] == pytest.approx(0.2 * (1 - 0.1**0.5))
    assert rates[-1] == 0.0


def test_a_fifth_of_the_epochs_decays():
    assert [default_decay_epochs(epochs) for epochs in (1, 2, 5, 16, 64)] == [1, 1, 1, 3, 13]


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_biases_and_batch_norms_are_not_decayed(name):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    optimizer = SCHEDULES[name].optimizer(network, 0.1, 0.5)
    by_decay = {group["weight_decay"]: len(group["params"]) for group in optimizer.param_groups}
    assert by_decay == {0.5: 2, 0.0: 4}
    set_lr(optimizer, 0.25)
    assert {group["lr"] for group in optimizer.param_groups} == {0.25}
