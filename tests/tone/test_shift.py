from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from mindgap.tone.shift import Shift, ShiftSettings, angle_degrees, find_shift

START = ShiftSettings(steps=0)


def one(lightness, yellowness, target, **settings) -> Shift:
    return find_shift(
        np.array([lightness]), np.array([yellowness]), np.array([target]), settings=ShiftSettings(**settings)
    )


def colour(shift: Shift, lightness: float, yellowness: float) -> tuple[float, float]:
    return lightness + float(shift.lightness[0]), yellowness + float(shift.yellowness[0])


def test_the_nearer_of_two_colours_is_where_it_begins():
    """Of (70, 15) to 20°: L* 55.46 at the same b*, 14.54 away; b* 54.95 at the same L*, 39.95 away."""
    assert colour(one(70, 15, 20, steps=0), 70, 15) == pytest.approx((50 + 15 * math.tan(math.radians(20)), 15))
    """Of (52, 15) to 20°: L* 3.46 away, b* 9.5 away. Of (52, 3) to 30°: L* .27 away, b* .46 away."""
    assert colour(one(60, 16, 29, steps=0), 60, 16) == pytest.approx((50 + 16 * math.tan(math.radians(29)), 16))
    assert colour(one(52, 1.9, 60, steps=0), 52, 1.9) == pytest.approx((50 + 2 * math.tan(math.radians(60)), 2))


def test_where_yellow_is_nearer_yellow_moves():
    """Of (90, 10) to 74°: L* 84.87 at b* 10, 5.13 away; b* 11.47 at L* 90, 1.47 away."""
    assert colour(one(90, 10, 74, steps=0), 90, 10) == pytest.approx((90, 40 / math.tan(math.radians(74))))


def test_the_single_step_of_the_paper_goes_back_by_a_fiftieth():
    """At the start the angle is met, so eq. 5 is L − .1·2·.1·(L − L0)."""
    start, stepped = one(70, 15, 20, steps=0), one(70, 15, 20)
    assert stepped.lightness[0] == pytest.approx(0.98 * start.lightness[0])
    assert stepped.yellowness[0] == 0
    assert ShiftSettings().steps == 1


@pytest.mark.parametrize(("lightness", "yellowness"), [(70, 15), (40, 22), (60, 2.5), (85, 30)])
@pytest.mark.parametrize("target", [20, -15, -45, 48])
def test_ten_steps_reach_the_minimum_of_equation_four(lightness, yellowness, target):
    def loss(at):
        return (
            (math.degrees(math.atan2(at[0] - 50, at[1])) - target) ** 2
            + 0.1 * (at[0] - lightness) ** 2
            + 0.1 * (at[1] - yellowness) ** 2
        )

    found = colour(one(lightness, yellowness, target, steps=10), lightness, yellowness)
    best = minimize(loss, found, bounds=[(5, 95), (min(yellowness, 10), None)], method="L-BFGS-B")
    start = colour(one(lightness, yellowness, target, steps=0), lightness, yellowness)
    begun = loss((start[0], max(start[1], min(yellowness, 10))))
    assert loss(found) <= begun
    assert loss(found) - best.fun <= 0.02 * (begun - best.fun) + 1e-6


def test_a_dark_target_is_no_grey():
    """The minimum of eq. 4 from (68, 14) to −41° is at the origin of the angle, where no angle can be measured."""
    new = colour(one(68, 14, -41, steps=10), 68, 14)
    assert new[1] >= 10 - 1e-9
    assert new[0] < 44


angles = st.floats(-75, 75)


@given(st.floats(5, 95), st.floats(2, 40), angles)
def test_a_start_has_the_angle_and_is_a_colour_of_skin(lightness, yellowness, target):
    shift = one(lightness, yellowness, target, steps=0)
    if shift.possible[0]:
        new = colour(shift, lightness, yellowness)
        assert angle_degrees(*map(np.array, new)) == pytest.approx(target, abs=1e-6)
        assert 5 - 1e-9 <= new[0] <= 95 + 1e-9
        assert new[1] >= 2 - 1e-9
    else:
        assert (shift.lightness[0], shift.yellowness[0]) == (0, 0)


def test_many_are_each_found_as_if_alone():
    generator = np.random.default_rng(1)
    lightness, yellowness = generator.uniform(20, 90, 50), generator.uniform(-5, 30, 50)
    target = generator.uniform(-60, 75, 50)
    together = find_shift(lightness, yellowness, target, settings=ShiftSettings(steps=10))
    for i, values in enumerate(zip(lightness, yellowness, target, strict=True)):
        alone = one(*values, steps=10)
        assert alone.possible[0] == together.possible[i]
        assert alone.lightness[0] == pytest.approx(together.lightness[i])
        assert alone.yellowness[0] == pytest.approx(together.yellowness[i])


def test_where_no_colour_can_be_shown_or_the_skin_is_unknown_nothing_moves():
    shift = find_shift(
        np.array([60, math.nan, 60.0]), np.array([40, 12, math.nan]), np.array([-70.0, 20, 20]), settings=START
    )
    assert shift.possible.tolist() == [False, False, False]
    assert shift.distance.tolist() == [0, 0, 0]


def test_without_colour_left_over_a_target_of_zero_is_reached_by_lightness():
    """tan 0 is 0: eq. 3 divides by it, eq. 2 says L* 50."""
    assert colour(one(70, 15, 0, steps=0), 70, 15) == pytest.approx((50, 15))
