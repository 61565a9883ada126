from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.errors import ConfigError
from mindgap.tone.targets import RANGES_DEGREES, draw_targets, missing_shares

IDS = [f"image {number}" for number in range(2000)]


@pytest.mark.parametrize("target", [*RANGES_DEGREES, "-5/5"])
def test_angles_fill_the_range_evenly(target):
    low, high = RANGES_DEGREES.get(target, (-5, 5))
    drawn = draw_targets(target, IDS, seed=3)
    assert low <= drawn.min() < low + 0.01 * (high - low) < high - 0.01 * (high - low) < drawn.max() <= high
    assert drawn.mean() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))


def test_one_angle_is_every_images():
    assert set(draw_targets("-12.5", IDS[:9], seed=0)) == {-12.5}


def test_an_images_angle_depends_on_its_id_and_the_seed_alone():
    drawn = draw_targets("IV", IDS, seed=3)
    assert draw_targets("IV", IDS[::-1], seed=3)[::-1].tolist() == drawn.tolist()
    assert draw_targets("IV", IDS[5:6], seed=3)[0] == drawn[5]
    assert not np.isclose(draw_targets("IV", IDS, seed=4), drawn).any()
    assert draw_targets("IV", [], seed=3).shape == (0,)


def test_rare_bands_are_drawn_by_what_they_lack():
    """Of .5, .3, .1, .1, 0, 0 the last four lack 1/15, 1/15, 1/6, 1/6: a seventh, a seventh, five fourteenths twice."""
    shares = {"II": 0.5, "III": 0.3, "I": 0.1, "IV": 0.1}
    names, weights = missing_shares(shares)
    assert dict(zip(names, weights.tolist(), strict=True)) == pytest.approx(
        {"I": 1 / 7, "IV": 1 / 7, "V": 5 / 14, "VI": 5 / 14}
    )
    drawn = draw_targets("flatten", IDS, seed=0, shares=shares)
    in_band = {name: np.mean((drawn >= low) & (drawn <= high)) for name, (low, high) in RANGES_DEGREES.items()}
    assert in_band == pytest.approx({"I": 1 / 7, "II": 0, "III": 0, "IV": 1 / 7, "V": 5 / 14, "VI": 5 / 14}, abs=0.03)


def test_a_flat_set_lacks_nothing():
    with pytest.raises(ConfigError, match="a sixth of the images already; name a target"):
        draw_targets("flatten", IDS, seed=0, shares=dict.fromkeys(RANGES_DEGREES, 1 / 6))


@pytest.mark.parametrize("target", ["VII", "iv", "28/10x", "", "10/28/30"])
def test_what_is_no_target_is_one_line(target):
    with pytest.raises(ConfigError, match=f"target is '{target}'; .*or degrees such as 20 or 10/28"):
        draw_targets(target, IDS, seed=0)


@pytest.mark.parametrize("target", ["28/10", "90", "-95/0"])
def test_angles_that_stand_for_no_skin_are_refused(target):
    with pytest.raises(ConfigError, match="between -90 and 90, the lower first"):
        draw_targets(target, IDS, seed=0)
