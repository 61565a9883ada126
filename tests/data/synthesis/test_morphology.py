"""Traits that carry the label, and how the bias hides them in the dark group."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.data.synthesis.morphology import class_signal, draw_morphology
from mindgap.data.synthesis.population import draw_population

PEOPLE = draw_population(6000, dark_share=0.4, seed=0)


def readable_share(bias: float) -> list[float]:
    """Accuracy of the nearest class mean in logit traits, the class means taken within the tone; light, dark."""
    traits = draw_morphology(PEOPLE, bias=bias, seed=0).traits
    latent = np.log(traits / (1 - traits))
    shares = []
    for tone in (0, 1):
        here = PEOPLE.tone == tone
        label, values = PEOPLE.label[here], latent[here]
        means = np.stack([values[label == one].mean(axis=0) for one in range(3)])
        nearest = np.linalg.norm(values[:, None] - means, axis=2).argmin(axis=1)
        shares.append(float((nearest == label).mean()))
    return shares


def test_without_bias_both_groups_are_equally_readable():
    light, dark = readable_share(0.0)
    assert light > 0.9
    assert abs(light - dark) < 0.02
    assert (draw_morphology(PEOPLE, bias=0.0, seed=0).contrast == 1).all()


def test_bias_makes_the_dark_group_harder_and_leaves_the_light_one_alone():
    plain, biased = readable_share(0.0), readable_share(0.3)
    assert biased[0] == plain[0]
    assert biased[1] < plain[1] - 0.08
    assert readable_share(0.6)[1] < biased[1] - 0.1


def test_at_bias_one_the_dark_group_tells_nothing():
    assert class_signal(1.0) == 0
    assert readable_share(1.0)[1] < 0.4


def test_bias_lowers_the_contrast_in_the_dark_group_only():
    contrast = draw_morphology(PEOPLE, bias=0.3, seed=0).contrast
    assert set(contrast[PEOPLE.tone == 0]) == {1.0}
    assert contrast[PEOPLE.tone == 1] == pytest.approx(0.85)


def test_all_images_of_a_lesion_share_its_traits():
    traits = draw_morphology(PEOPLE, bias=0.3, seed=0).traits
    _, first = np.unique(PEOPLE.lesion, return_index=True)
    assert np.array_equal(traits, traits[first][PEOPLE.lesion])
    assert 0 < traits.min() < traits.max() < 1
