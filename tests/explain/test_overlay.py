"""Pictures of maps: their scale, their colours, and their names."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError, ShapeError
from mindgap.data.synthesis.colour import srgb_to_lab
from mindgap.explain.overlay import channel_file_name, channel_overlays, heat_colours, overlays, scaled

GREY = np.full((2, 4, 4, 3), 100, dtype=np.uint8)


def test_a_map_is_scaled_by_its_own_minimum_and_maximum_and_a_constant_one_is_0() -> None:
    maps = torch.tensor([[[2.0, 4], [3, 2]], [[-7.0, -7], [-7, -7]], [[0.0, 0], [0, 1e-40]]])
    assert scaled(maps).tolist() == [[[0, 1], [0.5, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 1]]]


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_maps_of_other_precision_and_with_a_gradient_are_drawn_alike(kind: torch.dtype) -> None:
    maps = torch.tensor([[[-2.0, 1], [0, 2]], [[1, 1], [1, 1]]])
    expected = overlays(GREY, maps)
    assert (overlays(GREY, maps.to(kind).requires_grad_()) == expected).all()
    assert scaled(torch.tensor([[[-6e4, 0, 6e4]]], dtype=torch.float16)).tolist() == [[[0, 0.5, 1]]]


def test_by_hand_an_overlay_is_half_image_and_half_heat() -> None:
    maps = torch.zeros(2, 4, 4)
    maps[0, 1, 2] = 5
    pictures = overlays(GREY, maps)
    assert pictures.dtype == np.uint8
    assert pictures[0, 1, 2].tolist() == [176, 178, 132]  # half of (100, 100, 100) and half of (252, 255, 164)
    assert pictures[0, 0, 0].tolist() == [50, 50, 52]  # and half of (0, 0, 4)
    assert (pictures[1] == [50, 50, 52]).all()


def test_maps_are_scaled_before_they_are_enlarged() -> None:
    # 0 and 1 at 4 px are 0, 1/4, 3/4, 1; the other way round would be the same here but not where a peak is cut
    row = overlays(GREY[:1], torch.tensor([[[10.0, 30]]]))[0, 0]
    expected = np.rint(50 + heat_colours(np.array([0, 0.25, 0.75, 1])) / 2)
    np.testing.assert_array_equal(row, expected)


def test_a_channels_overlay_is_that_of_its_map() -> None:
    maps = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(channel_overlays(GREY, maps, 2), overlays(GREY, maps[:, 2]))
    assert not np.array_equal(channel_overlays(GREY, maps, 0), channel_overlays(GREY, maps, 2))


class TestColours:
    def test_they_are_those_of_inferno(self) -> None:
        theirs = 255 * mpl.colormaps["inferno"](np.arange(256))[:, :3]
        assert np.abs(heat_colours(np.arange(256) / 255) - theirs).max() < 8

    def test_their_lightness_rises_evenly(self) -> None:
        lightness = srgb_to_lab(heat_colours(np.linspace(0, 1, 33)) / 255)[:, 0]
        assert lightness[0] < 1
        assert lightness[-1] > 95
        steps = np.diff(lightness)
        assert steps.min() > 0.4 * steps.mean()
        assert steps.max() < 1.4 * steps.mean()

    def test_no_drawing_package_is_loaded_for_them(self) -> None:
        code = "import sys, mindgap.explain.overlay; sys.exit('matplotlib' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestFileNames:
    def test_by_hand(self) -> None:
        assert channel_file_name("ISIC_0024306", 7) == "img_ISIC_0024306_ch_7.png"
        assert channel_file_name("a/b é", 7) == "img_a~2fb~20~c3~a9_ch_7.png"
        assert channel_file_name("../../etc", 0) == "img_..~2f..~2fetc_ch_0.png"

    @given(ids=st.lists(st.text(max_size=200), min_size=2, max_size=8, unique=True))
    def test_they_are_short_safe_and_never_shared(self, ids: list[str]) -> None:
        names = [channel_file_name(one, 3) for one in ids]
        assert len({*names}) == len(names)
        for name in names:
            assert len(name) < 200
            assert not {*name} & {*'/\\:*?"<>|%# \0\n'}
            assert name.isascii()


@pytest.mark.parametrize(
    ("images", "maps", "words"),
    [
        (GREY.astype(float), torch.zeros(2, 2, 2), "pass uint8"),
        (GREY[..., :1], torch.zeros(2, 2, 2), "pass uint8"),
        (GREY, torch.zeros(1, 2, 2), "2 images and 1 maps"),
        (GREY, torch.zeros(2, 1, 2, 2), r"pass \(n, h, w\)"),
        (GREY, torch.full((2, 2, 2), torch.nan), "NaN or infinity"),
    ],
)
def test_what_cannot_be_drawn_is_refused(images, maps: torch.Tensor, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        overlays(images, maps)


def test_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no channel 3; the layer's channels are 0\.\.2"):
        channel_overlays(GREY, torch.zeros(2, 3, 2, 2), 3)
    with pytest.raises(ShapeError, match=r"pass \(n, C, h, w\)"):
        channel_overlays(GREY, torch.zeros(2, 2, 2), 0)
