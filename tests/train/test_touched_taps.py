"""Taps that see only padding have no gradient, whatever was in the memory."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mindgap.train.modes import in_mode
from mindgap.train.touched_taps import Taps, cropped_convolution, is_croppable, touched


@pytest.fixture
def poisoned():
    """New memory is full of NaN until it is written."""
    before = torch.are_deterministic_algorithms_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(before)
    torch.utils.deterministic.fill_uninitialized_memory = filled


@settings(deadline=None)
@given(st.integers(1, 9), st.sampled_from([1, 3, 5, 7]), st.integers(1, 3), st.data())
def test_the_taps_that_are_left_give_the_same_and_the_others_have_no_gradient(size, kernel, stride, data):
    padding = data.draw(st.integers(0, kernel // 2))
    if size + 2 * padding < kernel:
        return
    whole = nn.Conv2d(2, 3, kernel, stride=stride, padding=padding).double()
    images = torch.randn(2, 2, size, size + 1, dtype=torch.float64, requires_grad=True)
    expected = nn.Conv2d.forward(whole, images)
    found = cropped_convolution(whole, images)
    torch.testing.assert_close(found, expected)
    slopes = torch.randn_like(expected)
    wanted = (images, whole.weight, whole.bias)
    cropped, plain = (torch.autograd.grad(output, wanted, slopes) for output in (found, expected))
    torch.testing.assert_close(cropped, plain)


def test_by_hand():
    # 1 px: the middle tap alone. 3 px at stride 2: windows begin at rows -3 and -1, so taps 0 and 6 see nothing
    assert touched(1, kernel=3, stride=2, padding=1) == Taps(1, 2, 0)
    assert touched(3, kernel=5, stride=2, padding=2) == Taps(0, 5, 2)
    assert touched(3, kernel=7, stride=2, padding=3) == Taps(1, 6, 2)


@pytest.mark.parametrize(
    ("kernel", "stride", "px", "channels"), [(3, 2, 1, 32), (5, 1, 1, 128), (7, 1, 2, 128), (7, 2, 1, 48)]
)
@pytest.mark.parametrize("groups", [1, 0])
@pytest.mark.parametrize("mode", ["bf16", "bf16-fused", "bf16-mended"])
def test_no_mode_leaves_a_gradient_as_it_found_the_memory(poisoned, mode, groups, kernel, stride, px, channels):
    convolution = nn.Conv2d(
        channels, channels, kernel, stride=stride, padding=kernel // 2, bias=False, groups=groups or channels
    ).to(memory_format=torch.channels_last)
    images = torch.randn(8, channels, px, px).to(memory_format=torch.channels_last).requires_grad_()
    module = nn.Sequential(convolution)
    with in_mode(module, mode):
        module(images).float().sum().backward()
    found = convolution.weight.grad
    assert torch.isfinite(found).all()
    taps = touched(px, kernel=kernel, stride=stride, padding=kernel // 2)
    never = torch.ones(kernel, kernel, dtype=torch.bool)
    never[taps.first : taps.end, taps.first : taps.end] = False
    assert never.any()
    assert (found[:, :, never] == 0).all()
    plain = nn.Conv2d.forward(convolution, images).sum()
    (exact,) = torch.autograd.grad(plain, convolution.weight)
    torch.testing.assert_close(found, exact, rtol=0.05, atol=0.1)


def test_unusual_convolutions_are_left_alone():
    usual = {"kernel_size": 3, "padding": 1}
    assert is_croppable(nn.Conv2d(2, 2, **usual))
    for changed in (
        {"dilation": 2},
        {"padding_mode": "reflect"},
        {"padding": "same"},
        {"padding": 2},
        {"kernel_size": 1, "padding": 0},
    ):
        assert not is_croppable(nn.Conv2d(2, 2, **usual | changed))
    assert not is_croppable(nn.Linear(2, 2))
