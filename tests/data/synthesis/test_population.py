"""Who is in a synthetic set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.data.synthesis.population import CLASSES, draw_population


@settings(deadline=None, derandomize=True, max_examples=80)
@given(st.integers(30, 400), st.floats(0, 1), st.integers(0, 5))
def test_the_dark_share_is_exact_and_every_row_is_filled(n, dark_share, seed):
    people = draw_population(n, dark_share=dark_share, seed=seed)
    assert people.n == n
    assert int((people.tone == 1).sum()) == round(dark_share * n)
    for column in (people.label, people.tone, people.ita_degrees, people.sex, people.age):
        assert len(column) == n


def test_what_belongs_to_a_lesion_is_the_same_in_all_its_images():
    people = draw_population(2000, dark_share=0.2, seed=0)
    lesions, first = np.unique(people.lesion, return_index=True)
    assert lesions.tolist() == list(range(len(lesions)))
    for column in (people.label, people.tone, people.ita_degrees, people.sex, people.age):
        assert (column == column[first][people.lesion]).all()


def test_a_fifth_or_more_of_the_lesions_have_several_images_up_to_four():
    sizes = np.bincount(draw_population(3000, dark_share=0.2, seed=0).lesion)
    assert 0.15 < (sizes > 1).mean() < 0.3
    assert sizes.max() == 4
    assert sizes.min() == 1


def test_tone_names_and_typology_angles_agree_with_a_gap_between():
    people = draw_population(3000, dark_share=0.3, seed=1)
    assert people.ita_degrees[people.tone == 0].min() >= 28
    assert people.ita_degrees[people.tone == 1].max() <= 5


def test_labels_and_sex_do_not_depend_on_tone():
    people = draw_population(6000, dark_share=0.3, seed=2)
    for tone in (0, 1):
        here = people.tone == tone
        assert np.bincount(people.label[here], minlength=3) / here.sum() == pytest.approx([0.4, 0.3, 0.3], abs=0.03)
        assert (people.sex[here] == "female").mean() == pytest.approx(0.49, abs=0.04)
    assert len(CLASSES) == 3


def test_a_few_sexes_and_ages_are_unknown_and_ages_are_steps_of_five():
    people = draw_population(3000, dark_share=0.2, seed=0)
    assert 0.005 < (people.sex == "").mean() < 0.04
    known = people.age[people.age != ""].astype(int)
    assert 0.005 < (people.age == "").mean() < 0.04
    assert (known % 5 == 0).all()
    assert known.min() >= 5
    assert known.max() <= 90


def test_the_seed_alone_decides():
    one, same, other = (draw_population(100, dark_share=0.2, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(one.ita_degrees, same.ita_degrees)
    assert not np.array_equal(one.ita_degrees, other.ita_degrees)
