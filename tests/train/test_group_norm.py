"""Batch norms per group: nn.BatchNorm2d on each group's images, and what happens to the others."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from mindgap.core.errors import ConfigError
from mindgap.train.group_norm import GroupBatchNorm2d, groups_of, with_group_norms

CHANNELS = 3


def norm_of(*, momentum=0.1, dtype=torch.float64):
    """A batch norm whose scale, shift and statistics are all different."""
    norm = nn.BatchNorm2d(CHANNELS, momentum=momentum).to(dtype)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, -0.5]))
        norm.bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
        norm.running_mean.copy_(torch.tensor([0.1, 0.2, 0.3]))
        norm.running_var.copy_(torch.tensor([0.5, 1.0, 2.0]))
    return norm


def images_of(count, *, px=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, CHANNELS, px, px, generator=generator, dtype=torch.float64)
    shift = 5 * torch.randn(count, 1, 1, 1, generator=generator, dtype=torch.float64)
    return (drawn + shift).to(dtype).contiguous(memory_format=torch.channels_last)


def through(norm, images, groups):
    with groups_of(norm, groups if isinstance(groups, int) else torch.tensor(groups)):
        return norm(images)


def assert_same_statistics(grouped, group, plain):
    torch.testing.assert_close(grouped.running_mean[group], plain.running_mean)
    torch.testing.assert_close(grouped.running_var[group], plain.running_var)
    assert grouped.num_batches_tracked[group] == plain.num_batches_tracked


def test_two_images_of_one_value_by_hand():
    """Group a: maps (1, 3) and (5, 7): μ = 4, σ² = 5, unbiased 20/3. Group b: (10, 12): μ = 11, σ² = 1, unbiased 2."""
    norm = GroupBatchNorm2d(nn.BatchNorm2d(1, eps=0.0), groups=2).double()
    images = torch.tensor([1.0, 3, 5, 7, 10, 12], dtype=torch.float64).view(3, 1, 1, 2)
    found = through(norm, images, [0, 0, 1]).flatten()
    expected = torch.tensor([-3.0, -1, 1, 3], dtype=torch.float64) / 5**0.5
    torch.testing.assert_close(found, torch.cat([expected, torch.tensor([-1.0, 1.0], dtype=torch.float64)]))
    assert norm.running_mean.flatten().tolist() == pytest.approx([0.4, 1.1])
    assert norm.running_var.flatten().tolist() == pytest.approx([0.9 + 0.1 * 20 / 3, 0.9 + 0.2])


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
def test_with_one_group_it_is_the_plain_batch_norm(momentum):
    plain = norm_of(momentum=momentum)
    grouped = GroupBatchNorm2d(plain, groups=1)
    for step in range(3):
        mine, theirs = (images_of(5, seed=step).requires_grad_() for _ in range(2))
        found, expected = through(grouped, mine, [0] * 5), plain(theirs)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        (found**3).sum().backward()
        (expected**3).sum().backward()
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(grouped.weight.grad, plain.weight.grad)
    torch.testing.assert_close(grouped.bias.grad, plain.bias.grad)
    assert_same_statistics(grouped, 0, plain)
    images = images_of(4, seed=9)
    torch.testing.assert_close(through(grouped.eval(), images, [0] * 4), plain.eval()(images))
    torch.testing.assert_close(through(grouped, images, 0), plain(images))


def test_each_group_is_what_the_plain_batch_norm_gives_on_its_images_alone():
    groups = torch.tensor([0, 1, 0, 2, 1, 0, 1, 1])
    start = norm_of()
    grouped, plain = GroupBatchNorm2d(start, groups=3), [copy.deepcopy(start) for _ in range(3)]
    for step in range(3):
        images = images_of(8, seed=step)
        found = through(grouped, images, groups.tolist())
        for group, norm in enumerate(plain):
            torch.testing.assert_close(found[groups == group], norm(images[groups == group]), rtol=1e-10, atol=1e-10)
    for group, norm in enumerate(plain):
        assert_same_statistics(grouped, group, norm)
    assert not torch.allclose(grouped.running_mean[0], grouped.running_mean[1])
    grouped.eval()
    images = images_of(8, seed=7)
    found = through(grouped, images, groups.tolist())
    for group, norm in enumerate(plain):
        torch.testing.assert_close(found[groups == group], norm.eval()(images[groups == group]))
        torch.testing.assert_close(through(grouped, images[:2], group), norm(images[:2]))


def test_its_gradient_is_the_functions_own_also_through_images_of_unknown_group():
    norm = GroupBatchNorm2d(norm_of(), groups=2)
    images = images_of(5, px=2).requires_grad_()
    with groups_of(norm, torch.tensor([0, 1, 0, 1, -1])):
        assert gradcheck(norm, (images,))


def test_absent_groups_keep_their_statistics_and_unknown_images_are_in_none():
    norm = GroupBatchNorm2d(norm_of(), groups=3, unknown_as=1)
    before = copy.deepcopy(norm.state_dict())
    images = images_of(4)
    with_unknown = through(norm, images, [1, 1, -1, 1])
    after = norm.state_dict()
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(after[name][[0, 2]], before[name][[0, 2]])
        assert not torch.equal(after[name][1], before[name][1])
    norm.load_state_dict(before)
    known = [0, 1, 3]
    torch.testing.assert_close(through(norm, images[known], [1, 1, 1]), with_unknown[known])
    torch.testing.assert_close(norm.state_dict(), after)
    torch.testing.assert_close(through(norm, images[[2]], [-1]), through(norm, images[[2]], 1))
    torch.testing.assert_close(norm.state_dict(), after)


@pytest.mark.parametrize("px", [4, 1])
def test_a_group_of_one_image_stays_finite(px):
    norm = GroupBatchNorm2d(norm_of(dtype=torch.float32), groups=2)
    images = images_of(4, px=px, dtype=torch.float32).requires_grad_()
    found = through(norm, images, [0, 0, 0, 1])
    found.square().sum().backward()
    assert found.isfinite().all()
    assert images.grad.isfinite().all()
    moved = not torch.equal(norm.running_var[1], norm_of(dtype=torch.float32).running_var)
    assert moved == (px > 1), "one value per channel has no variance that the running one could follow"
    assert norm.running_var.isfinite().all()


def test_statistics_are_float32_in_bfloat16():
    wide, narrow = (GroupBatchNorm2d(norm_of(dtype=torch.float32), groups=2) for _ in range(2))
    images = images_of(6, dtype=torch.bfloat16)
    found = through(wide, images.float(), [0, 1] * 3)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = through(narrow, images, [0, 1] * 3)
    assert rounded.dtype == torch.bfloat16
    assert rounded.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(rounded, found.to(torch.bfloat16))
    torch.testing.assert_close(narrow.running_var, wide.running_var)


def test_large_means_do_not_cost_the_variance():
    norm = GroupBatchNorm2d(nn.BatchNorm2d(CHANNELS), groups=2)
    images = images_of(6, dtype=torch.float32) + 1e4
    plain = nn.BatchNorm2d(CHANNELS)
    plain(images[::2])
    through(norm, images, [0, 1] * 3)
    torch.testing.assert_close(norm.running_var[0], plain.running_var, rtol=1e-3, atol=0)


def test_a_network_without_usual_batch_norms_is_refused():
    with pytest.raises(ConfigError, match="the network has no batch norm"):
        with_group_norms(nn.Sequential(nn.Conv2d(3, 3, 1)), groups=2, unknown_as=0)

    class BatchNormAct(nn.BatchNorm2d):
        """A batch norm that also acts, as timm has one."""

        def forward(self, input):  # noqa: A002  (as torch names it)
            return super().forward(input).relu()

    unusual = (nn.BatchNorm2d(3, affine=False), nn.BatchNorm2d(3, track_running_stats=False), nn.BatchNorm1d(3))
    for odd in (*unusual, BatchNormAct(3)):
        with pytest.raises(ConfigError, match=r"the network has BatchNorm.*take another network"):
            with_group_norms(nn.Sequential(odd), groups=2, unknown_as=0)
