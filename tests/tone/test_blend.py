from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError, ShapeError
from mindgap.tone.blend import BANDS, AdaptiveBlend, BlendSettings

COUNTS = {"I": 10, "II": 60, "III": 20, "IV": 10}  # of 100


def tones(**counts: int) -> list[str]:
    return [band for band, count in counts.items() for _ in range(count)]


def blend(twins: str = "V", **settings) -> AdaptiveBlend:
    own = tones(**COUNTS)
    return AdaptiveBlend(own, [twins] * len(own), settings=BlendSettings(**settings), seed=0)


def by_band(made: AdaptiveBlend) -> dict[str, float]:
    own, chance = np.array(tones(**COUNTS)), made.probabilities()
    return {band: float(chance[own == band].mean()) for band in COUNTS}


def test_equation_thirteen_to_the_letter():
    """(1/6 − .1)/(1/6) = .4; a tone that has its sixth is never replaced."""
    assert by_band(blend(reading="original")) == pytest.approx({"I": 0.4, "II": 0, "III": 0, "IV": 0.4})


def test_flattening_takes_from_those_that_are_too_many():
    """1 − (1/6)/.6 = 13/18 and 1 − (1/6)/.2 = 1/6: what stays of each is a sixth."""
    made = blend()
    assert by_band(made) == pytest.approx({"I": 0, "II": 13 / 18, "III": 1 / 6, "IV": 0})
    shares = made.record()["shares"]
    assert shares == pytest.approx(
        {"I": 0.1, "II": 1 / 6, "III": 1 / 6, "IV": 0.1, "V": 0.6 * 13 / 18 + 0.2 / 6, "VI": 0}
    )


def test_the_papers_own_counts_replace_eight_images_when_read_to_the_letter():
    """Table 2: 1, 6619, 3388 and 7 images."""
    own = tones(I=1, II=6619, III=3388, IV=7)
    made = AdaptiveBlend(own, ["IV"] * len(own), settings=BlendSettings(reading="original"), seed=0)
    assert 7.9 < made.probabilities().sum() <= 8
    assert AdaptiveBlend(own, ["IV"] * len(own), seed=0).probabilities().sum() > 5000


def look(made: AdaptiveBlend, auc: float | None, *bands: str, n: int = 100) -> tuple[str, ...]:
    return made.look(dict.fromkeys(bands, auc), dict.fromkeys(bands, n))


def test_equation_fourteen_raises_what_is_told_apart_badly_up_to_its_most():
    made = blend(reading="original")
    look(made, 0.69, "I", "II")
    look(made, 0.7, "IV")
    assert by_band(made) == pytest.approx({"I": 0.45, "II": 0.05, "III": 0, "IV": 0.4})
    for _ in range(30):
        look(made, 0.2, "I")
    assert by_band(made)["I"] == pytest.approx(0.9)


def test_the_most_never_lowers_a_probability():
    made = blend(reading="original", most=0.3)
    look(made, 0.2, "I")
    assert by_band(made)["I"] == pytest.approx(0.4)


def test_flattening_gives_more_to_twins_of_the_tone_that_is_told_apart_badly():
    own = tones(II=90, V=10)
    twins = ["V", "VI"] * 50
    made = AdaptiveBlend(own, twins, seed=0)
    before = made.probabilities()
    look(made, 0.6, "V")
    gained = made.probabilities() - before
    assert gained[:90:2] == pytest.approx(0.05)
    assert gained[1:90:2] == pytest.approx(0)
    assert gained[90:] == pytest.approx(0), "a rare tone is not replaced, whatever its twin"


@pytest.mark.parametrize(("auc", "n"), [(None, 100), (math.nan, 100), (0.2, 29)])
def test_what_an_auc_does_not_say_changes_nothing_and_is_told(auc, n):
    made = blend()
    before = made.probabilities()
    assert "II" in look(made, auc, "II", n=n)
    assert made.probabilities().tolist() == before.tolist()
    assert look(made, 0.9, *BANDS) == ()


def test_images_without_a_tone_or_a_twin_are_never_replaced():
    made = AdaptiveBlend([None, "II", "II"], ["V", None, "V"], settings=BlendSettings(share=0.1), seed=0)
    assert made.probabilities().tolist() == pytest.approx([0, 0, 0.9])


def test_every_epoch_draws_anew_and_the_same_again():
    made = AdaptiveBlend(["II"] * 5000, ["V"] * 5000, seed=1)
    first, second = made.draw(1), made.draw(2)
    assert first.mean() == pytest.approx(5 / 6, abs=0.02)
    assert 0.6 < (first == second).mean() < 0.8
    assert (made.draw(1) == first).all()
    assert (AdaptiveBlend(["II"] * 5000, ["V"] * 5000, seed=2).draw(1) != first).any()


def test_it_goes_on_from_a_checkpoint():
    made, again = blend(), blend()
    look(made, 0.1, "V")
    again.restore(made.state())
    assert again.probabilities().tolist() == made.probabilities().tolist()
    assert made.record()["raised"]["V"] == 1


def test_the_log_says_how_likely_images_of_each_tone_are_replaced_and_of_how_many_that_is_the_mean():
    """Half of the sixty of II have a twin: half of 13/18."""
    own = [*tones(**COUNTS), None]
    twins = ["V", None] * 50
    record = AdaptiveBlend(own, [*twins, "V"], seed=0).record()
    assert record["images"] == COUNTS | {"V": 0, "VI": 0, "unknown": 1}
    assert record["chances"]["II"] == pytest.approx(13 / 36)
    assert (record["chances"]["I"], record["chances"]["VI"]) == (0, None)
    assert record["replaced"] == pytest.approx((30 * 13 / 18 + 10 / 6) / 101)


def test_it_looks_every_k_epochs():
    assert [epoch for epoch in range(16) if blend(every=5).is_due(epoch)] == [5, 10, 15]


@given(
    st.lists(st.sampled_from([*BANDS, None]), max_size=60), st.integers(0, 9), st.sampled_from(["flatten", "original"])
)
def test_probabilities_are_probabilities_and_the_expected_shares_sum_to_one(own, raises, reading):
    made = AdaptiveBlend(own, ["VI"] * len(own), settings=BlendSettings(reading=reading), seed=0)
    for _ in range(raises):
        look(made, 0.1, *BANDS)
    chance = made.probabilities()
    assert ((chance >= 0) & (chance <= 1)).all()
    if any(band is not None for band in own):
        assert sum(made.record()["shares"].values()) == pytest.approx(1)


def test_flatten_takes_no_twin_of_a_tone_that_is_not_rare():
    """Of 90 images of II and 10 of V: twins of II and III (which is 0, so rare), of II itself, and of V."""
    own = ["II"] * 90 + ["V"] * 10
    for twin, replaced in (("II", False), ("III", True), ("V", True)):
        assert bool(AdaptiveBlend(own, [twin] * 100, seed=0).record()["replaced"]) == replaced
    both = AdaptiveBlend(["II"] * 50 + ["III"] * 50, ["III"] * 50 + ["II"] * 50, seed=0)
    assert both.record()["replaced"] == 0, "each has more than a sixth"
    both.look({"II": 0.5}, {"II": 99})
    assert both.record()["replaced"] == pytest.approx(0.5 * 0.05), "but a tone that is told apart badly gets twins"


def test_a_twin_per_image_is_needed():
    with pytest.raises(ShapeError, match="2 tones and 1 twins; give one of each per image"):
        AdaptiveBlend(["I", "II"], ["V"], seed=0)


def test_a_tone_that_is_no_band_is_refused_and_none_at_all_is_not_counted_as_0():
    with pytest.raises(ConfigError, match="no tone band 'dark'; a blend knows I, II, III, IV, V, VI"):
        AdaptiveBlend(["dark"], ["V"], seed=0)
    record = AdaptiveBlend([None] * 3, [None] * 3, seed=0).record()
    assert set(record["shares"].values()) == set(record["shares_before"].values()) == {None}
    assert record["replaced"] == 0
