"""Batch norm, shortcut and activation as one operation, against torch's own and against float64."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mindgap.train import fused_reference
from mindgap.train.fused_kernels import operations
from mindgap.train.fused_norm import _FusedNorm, act_of, fused_norm, is_fusable
from mindgap.train.fused_reference import PlainOperations

ACTS = {"plain": nn.Identity(), "relu": nn.ReLU(), "relu6": nn.ReLU6()}


def maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    drawn = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 1
    return drawn.to(dtype).contiguous(memory_format=torch.channels_last)


def made_norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    generator = torch.Generator().manual_seed(9)
    for vector in (norm.weight, norm.bias, norm.running_mean):
        vector.data.copy_(torch.randn(channels, generator=generator))
    return norm


def stock(norm, images, *, act, residual=None):
    summed = norm(images) if residual is None else norm(images) + residual
    return ACTS[act](summed)


def everything(forward, norm, images, *, act, residual=None):
    """Output, gradients of images, scale, shift and residual, and the running statistics."""
    norm = copy.deepcopy(norm)
    images = images.clone().requires_grad_()
    residual = None if residual is None else residual.clone().requires_grad_()
    output = forward(norm, images, act=act, residual=residual)
    output.backward(maps(*output.shape, seed=5, dtype=output.dtype))
    gradients = [images.grad, norm.weight.grad, norm.bias.grad, *([] if residual is None else [residual.grad])]
    return [output.detach(), *gradients, norm.running_mean, norm.running_var], norm


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    batch=st.integers(1, 5),
    channels=st.integers(1, 40),
    height=st.integers(1, 12),
    width=st.integers(2, 12),
    act=st.sampled_from(list(ACTS)),
    with_residual=st.booleans(),
)
def test_outputs_gradients_and_statistics_equal_those_of_torch(batch, channels, height, width, act, with_residual):
    images = maps(batch, channels, height, width)
    residual = maps(batch, channels, height, width, seed=1) if with_residual else None
    ours, our_norm = everything(fused_norm, made_norm(channels), images, act=act, residual=residual)
    theirs, their_norm = everything(stock, made_norm(channels), images, act=act, residual=residual)
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-4)
    assert our_norm.state_dict().keys() == their_norm.state_dict().keys()
    assert our_norm.num_batches_tracked == their_norm.num_batches_tracked == 1


@pytest.mark.parametrize("act", ["plain", "relu", "relu6"])
@pytest.mark.parametrize("with_residual", [False, True])
def test_gradients_are_those_of_finite_differences(act, with_residual):
    norm = made_norm(3).double()
    images, added = maps(2, 3, 3, 2).double().requires_grad_(), maps(2, 3, 3, 2, seed=1).double().requires_grad_()

    def function(images, weight, bias, residual):
        return _FusedNorm.apply(images, weight, bias, residual, norm, act, PlainOperations())

    inputs = (images, norm.weight, norm.bias, added if with_residual else None)
    assert torch.autograd.gradcheck(function, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("channels", "rows"), [(1, 3), (7, 999), (16, 5000), (24, 777), (96, 400), (320, 70), (300, 9)]
)
def test_the_compiled_passes_give_the_bits_of_those_in_pytorch(channels, rows, dtype):
    compiled = operations()
    if isinstance(compiled, PlainOperations):
        pytest.skip("no C++ compiler here")
    x, gradient, other = maps(3, rows, channels, 1).reshape(3, rows, channels).contiguous().to(dtype)
    x[0] = 0.0
    vectors = torch.rand(4, channels, generator=torch.Generator().manual_seed(1))
    for act, residual in itertools.product(ACTS, (None, other)):
        ours, theirs = (
            fused_reference.everything(passes, x, gradient, residual, vectors, act=act)
            for passes in (compiled, PlainOperations())
        )
        assert len(ours) == (8 if residual is None else 9)
        for one, same in zip(ours, theirs, strict=True):
            assert torch.equal(one, same)


def test_what_is_not_a_number_stays_seen():
    images = maps(2, 4, 3, 3)
    images[0, 1, 0, 0] = float("nan")
    for dtype in (torch.float32, torch.bfloat16):
        output = fused_norm(made_norm(4), images.to(dtype), act="relu6")
        assert output[:, 1].isnan().all()
        assert output[:, [0, 2, 3]].isfinite().all()


@pytest.mark.parametrize("act", ["plain", "relu", "relu6"])
@pytest.mark.parametrize("with_residual", [False, True])
def test_bfloat16_is_no_further_from_float64_than_torch_is(act, with_residual):
    images = maps(8, 24, 20, 20, dtype=torch.bfloat16)
    residual = maps(8, 24, 20, 20, seed=1, dtype=torch.bfloat16) if with_residual else None
    wide = None if residual is None else residual.double()
    norm = made_norm(24)
    exact, _ = everything(stock, copy.deepcopy(norm).double(), images.double(), act=act, residual=wide)
    ours, _ = everything(fused_norm, norm, images, act=act, residual=residual)
    theirs, _ = everything(stock, norm, images, act=act, residual=residual)
    for one, other, truth in zip(ours, theirs, exact, strict=True):
        our_error, their_error = ((found.double() - truth).norm() / truth.norm() for found in (one, other))
        assert our_error < max(1.05 * their_error, 1e-6)


def test_a_mean_far_from_zero_costs_no_more_digits_than_it_costs_torch():
    images = (1000 + torch.randn(16, 8, 30, 30)).contiguous(memory_format=torch.channels_last)
    exact = images.double().var(dim=(0, 2, 3))
    ours, theirs = made_norm(8), made_norm(8)
    for norm in (ours, theirs):
        norm.momentum = 1.0
    fused_norm(ours, images, act="relu")
    theirs(images)
    for norm in (ours, theirs):
        torch.testing.assert_close(norm.running_var.double(), exact, rtol=1e-4, atol=0)


def test_neither_threads_nor_repetition_change_a_bit():
    images, residual = maps(16, 24, 40, 40, dtype=torch.bfloat16), maps(16, 24, 40, 40, seed=1, dtype=torch.bfloat16)
    found = []
    for threads in (1, 2, 3, 1):
        torch.set_num_threads(threads)
        try:
            found.append(everything(fused_norm, made_norm(24), images, act="relu", residual=residual)[0])
        finally:
            torch.set_num_threads(1)
    for other in found[1:]:
        assert all(torch.equal(one, again) for one, again in zip(found[0], other, strict=True))


def test_a_layout_with_channels_outermost_and_a_gradient_without_memory_are_taken():
    images = maps(2, 8, 5, 5)
    last, first = images.clone().requires_grad_(), images.contiguous().requires_grad_()
    for tensor in (last, first):
        fused_norm(
            made_norm(8), tensor, act="relu"
        ).sum().backward()  # the gradient of a sum is expanded from one value
    assert torch.equal(last.grad, first.grad)


def test_maps_of_one_pixel_equal_those_of_torch():
    for ours, theirs in zip(
        *(everything(way, made_norm(5), maps(8, 5, 1, 1), act="relu")[0] for way in (fused_norm, stock)), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_evaluation_and_a_single_value_per_channel_are_left_to_torch():
    norm, images = made_norm(4), maps(2, 4, 3, 3)
    assert fused_norm(norm.eval(), images, act="relu") is None
    assert fused_norm(norm.train(), images[:1, :, :1, :1], act="relu") is None
    assert fused_norm(norm, images, act="relu", residual=images[:1]) is None
    assert fused_norm(norm, images.double(), act="relu") is None
    assert norm.num_batches_tracked == 0


def test_only_the_usual_batch_norms_and_activations_are_fused():
    assert is_fusable(nn.BatchNorm2d(4))
    assert not is_fusable(nn.BatchNorm2d(4, affine=False))
    assert not is_fusable(nn.BatchNorm2d(4, track_running_stats=False))
    assert not is_fusable(nn.BatchNorm2d(4, momentum=None))
    assert not is_fusable(nn.BatchNorm2d(4).double()), "the passes read float32"
    assert not is_fusable(nn.BatchNorm2d(4).bfloat16())
    assert not is_fusable(nn.SyncBatchNorm(4))
    assert not is_fusable(nn.Conv2d(4, 4, 1))
    assert not is_fusable(None)
    watched = nn.BatchNorm2d(4)
    watched.register_forward_hook(lambda *_: None)
    assert not is_fusable(watched)
    assert [act_of(module) for module in (nn.ReLU(), nn.ReLU6(inplace=True), nn.Identity(), None)] == [
        "relu",
        "relu6",
        "plain",
        "plain",
    ]
    assert act_of(nn.SiLU()) is None
