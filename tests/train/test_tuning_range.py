"""Quantiles become values of the options that are tuned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgap.train.mitigation import MITIGATIONS
from mindgap.train.tuning_range import OneOf, Range


def test_hand_computed_values():
    assert Range(0.01, 1.0).value(0.5) == 0.1
    assert Range(0.01, 1.0, log=False).value(0.5) == 0.505
    assert [OneOf(("a", "b", "c")).value(at) for at in (0.0, 0.34, 0.99, 1.0)] == ["a", "b", "c", "c"]


@given(st.floats(0, 1), st.sampled_from([Range(1e-3, 20.0), Range(0.1, 0.35, log=False)]))
def test_values_lie_within(at, tuned):
    assert tuned.low * 0.995 <= tuned.value(at) <= tuned.high * 1.005


@pytest.mark.parametrize("name", MITIGATIONS.names())
def test_every_value_a_method_may_be_tuned_to_is_one_it_takes(name):
    kind = MITIGATIONS.get(name)
    for option, tuned in kind.tuned.items():
        for at in (0.0, 0.3, 0.7, 1.0):
            value = tuned.value(at)
            assert kind.options_model.model_validate({option: value}).model_dump()[option] == value
