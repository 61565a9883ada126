"""Depthwise convolutions with mended gradients, against torch's own."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mindgap.train.depthwise import is_depthwise, mended_depthwise, weight_gradient


def gradients(images: torch.Tensor, convolution: nn.Conv2d, forward) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output, gradient of the images, gradient of the weight, for a fixed random gradient of the output."""
    convolution.zero_grad()
    images = images.clone().requires_grad_()
    output = forward(images)
    output.backward(torch.randn(output.shape, generator=torch.Generator().manual_seed(2)).to(output.dtype))
    return output.detach(), images.grad, convolution.weight.grad


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    batch=st.integers(1, 5),
    channels=st.integers(2, 24),
    height=st.integers(1, 11),
    width=st.integers(1, 11),
    kernel=st.sampled_from([3, 5, 7]),
    stride=st.integers(1, 3),
)
def test_gradients_equal_those_of_torch(batch, channels, height, width, kernel, stride):
    generator = torch.Generator().manual_seed(0)
    convolution = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
    images = torch.randn(batch, channels, height, width, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    stock = gradients(images, convolution, convolution)
    mended = gradients(images, convolution, lambda x: mended_depthwise(convolution, x))
    for ours, theirs in zip(mended, stock, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_bfloat16_gradients_are_near_those_of_float32(kernel, stride):
    convolution = nn.Conv2d(16, 16, kernel, stride, kernel // 2, groups=16, bias=False)
    images = torch.randn(8, 16, 14, 14).contiguous(memory_format=torch.channels_last)
    exact = gradients(images, convolution, convolution)
    with torch.autocast("cpu", torch.bfloat16):
        mended = gradients(images, convolution, lambda x: mended_depthwise(convolution, x))
    assert mended[0].dtype == torch.bfloat16
    for ours, theirs in zip(mended, exact, strict=True):
        assert (ours.float() - theirs).norm() < 0.02 * theirs.norm()


def test_a_batch_in_many_pieces_gives_the_same_sum(monkeypatch):
    monkeypatch.setattr("mindgap.train.depthwise._PIECE_BYTES", 1)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(7, 8, 9, 9, generator=generator).contiguous(memory_format=torch.channels_last)
    gradient = torch.randn(7, 8, 9, 9, generator=generator).contiguous(memory_format=torch.channels_last)
    convolution = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)
    convolution(images).backward(gradient)
    torch.testing.assert_close(
        weight_gradient(gradient, images, kernel=5, stride=1), convolution.weight.grad, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_memory_that_held_nan_before_does_not_reach_the_sum(monkeypatch, stride):
    empty = torch.Tensor.new_empty
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda *args, **kw: empty(*args, **kw).fill_(float("nan")))
    for kernel, side in itertools.product((3, 5, 7), (1, 4, 9, 10)):
        images = torch.ones(3, 8, side, side).contiguous(memory_format=torch.channels_last)
        gradient = torch.ones_like(
            torch.conv2d(images, torch.ones(8, 1, kernel, kernel), None, stride, kernel // 2, 1, 8)
        )
        assert weight_gradient(gradient, images, kernel=kernel, stride=stride).isfinite().all()


def test_only_square_filters_per_channel_are_mended():
    assert is_depthwise(nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False))
    assert not is_depthwise(nn.Conv2d(8, 8, 5, padding=2, groups=4, bias=False))
    assert not is_depthwise(nn.Conv2d(8, 16, 3, padding=1, groups=8, bias=False))
    assert not is_depthwise(nn.Conv2d(8, 8, 5, padding=0, groups=8, bias=False))
    assert not is_depthwise(nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, bias=False))
    assert not is_depthwise(nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=True))
    assert not is_depthwise(nn.Linear(8, 8))
