"""Focus by hand, its bounds, and the focus of enlarged maps from maps that were not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mindgap.core.errors import ShapeError
from mindgap.explain.focus import channel_focus, focus
from mindgap.explain.resize import to_image_size

S = 6
MASK = torch.zeros(1, S, S, dtype=torch.bool)
MASK[:, 1:4, 2:4] = True

some_masks = arrays(np.bool_, (3, S, S)).filter(lambda masks: all(0 < mask.sum() < S * S for mask in masks))
some_maps = arrays(np.float32, (3, S, S), elements=st.floats(-4, 4, width=16))


def test_by_hand() -> None:
    maps = torch.tensor([[[1.0, 1], [2, 0]]])
    masks = torch.tensor([[[False, False], [True, True]]])
    assert focus(maps, masks).values.tolist() == [1]  # 2/4 of the mass on 2/4 of the pixels
    masks = torch.tensor([[[True, False], [True, True]]])
    assert focus(maps, masks).values.tolist() == [1]  # 1/4 of the mass on 1/4 of the pixels
    masks = torch.tensor([[[False, False], [True, False]]])
    assert focus(maps, masks).values == pytest.approx((2 / 4) / (3 / 4))
    assert focus(torch.tensor([[[1.0, -9], [2, 0]]]), masks).values == pytest.approx((1 / 3) / (3 / 4))


def test_by_hand_of_a_map_that_is_enlarged() -> None:
    # one row of 0 and 1 is 0, 1/4, 3/4, 1 at 4 px: of the mass of 2 per row, 1 lies in the last column
    masks = torch.ones(1, 4, 4, dtype=torch.bool)
    masks[:, :, 3] = False
    assert focus(torch.tensor([[[0.0, 1]]]), masks).values == pytest.approx((1 / 2) / (1 / 4))


@given(masks=some_masks, height=st.floats(1e-3, 1e3), side=st.integers(1, S))
def test_a_map_without_a_shape_is_chance(masks, height: float, side: int) -> None:
    values = focus(torch.full((3, side, side), height), torch.from_numpy(masks)).values
    np.testing.assert_allclose(values, 1, rtol=1e-12)


@given(masks=some_masks, maps=some_maps)
def test_all_outside_is_pixels_over_pixels_outside_and_all_inside_is_0(masks, maps) -> None:
    mass, lesion = torch.from_numpy(np.abs(maps) + 0.1), torch.from_numpy(masks)
    outside = (~masks).sum(axis=(1, 2))
    np.testing.assert_allclose(focus(mass * ~lesion, lesion).values, S * S / outside, rtol=1e-12)
    np.testing.assert_array_equal(focus(mass * lesion, lesion).values, 0)


@given(masks=some_masks, maps=some_maps, scale=st.floats(0.01, 100))
def test_it_lies_in_its_range_and_knows_no_scale(masks, maps, scale: float) -> None:
    lesion = torch.from_numpy(masks)
    found = focus(torch.from_numpy(maps), lesion)
    defined = found.why == 0
    highest = S * S / (~masks).sum(axis=(1, 2))
    assert ((found.values >= 0) & (found.values <= highest * (1 + 1e-12)))[defined].all()
    assert np.isnan(found.values[~defined]).all()
    np.testing.assert_array_equal(defined, (maps > 0).any(axis=(1, 2)))
    scaled = focus(torch.from_numpy(maps).double() * scale, lesion).values
    np.testing.assert_allclose(scaled, found.values, rtol=1e-9)


@given(masks=some_masks, maps=arrays(np.float32, (3, 2, 3, 2), elements=st.floats(-4, 4, width=16)))
def test_channels_are_measured_as_if_enlarged_one_by_one(masks, maps) -> None:
    lesion, of_channels = torch.from_numpy(masks), torch.from_numpy(maps).double()
    found = channel_focus(of_channels, lesion)
    for image in range(3):
        for channel in range(2):
            enlarged = to_image_size(of_channels[image, channel].clamp(min=0)[None], S)[0].numpy()
            mass = enlarged.sum()
            inside = enlarged[masks[image]].sum()
            by_loop = (1 - inside / mass) / (1 - masks[image].mean()) if mass else np.nan
            np.testing.assert_allclose(found.values[image, channel], by_loop, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16])
def test_maps_of_other_precision_and_with_a_gradient_are_measured_alike(kind: torch.dtype) -> None:
    maps, masks = torch.tensor([[[1.0, 1], [2, 0]]]), torch.tensor([[[False, False], [True, True]]])
    assert focus(maps.to(kind).requires_grad_(), masks).values.tolist() == [1]
    assert channel_focus(maps[None].to(kind).requires_grad_(), masks).values.tolist() == [[1]]


def test_what_is_undefined_says_why() -> None:
    empty, full = torch.zeros(1, S, S, dtype=torch.bool), torch.ones(1, S, S, dtype=torch.bool)
    maps = torch.ones(5, S, S)
    maps[0] = -1
    maps[3, 0, 0] = torch.nan
    found = focus(maps, torch.cat([MASK, empty, full, MASK, MASK]))
    assert np.isnan(found.values).tolist() == [True, True, True, True, False]
    assert found.undefined() == {
        "the map has no mass above 0": 1,
        "the mask has no pixel of a lesion": 1,
        "the mask has no pixel outside": 1,
        "the map is not finite": 1,
    }
    assert focus(maps[4:], MASK).undefined() == {}


@pytest.mark.parametrize(
    ("maps", "masks", "words"),
    [
        (torch.ones(1, 1, S, S), MASK, r"pass \(n, h, w\)"),
        (torch.ones(1, S, S, dtype=torch.int64), MASK, "pass float"),
        (torch.ones(1, S, S), MASK.float(), "pass bool"),
        (torch.ones(1, S, S), MASK[:, :3], "pass bool"),
        (torch.ones(2, S, S), MASK, "2 images have maps and 1 have masks"),
        (torch.ones(1, 8, 8), MASK, "masks of 6 px"),
    ],
)
def test_what_does_not_fit_is_refused(maps: torch.Tensor, masks: torch.Tensor, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        focus(maps, masks)
