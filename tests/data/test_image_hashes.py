from __future__ import annotations

import numpy as np

from mindgap.data.duplicates import ClosePairs
from mindgap.data.image_hashes import image_hashes


def test_copies_share_a_number_and_a_brighter_image_is_near():
    images = np.random.default_rng(0).integers(0, 200, (600, 16, 16, 3)).astype(np.uint8).repeat(2, 1).repeat(2, 2)
    images[550] = images[3]
    images[551] = images[4] + 20
    found = image_hashes(images)
    assert found.identical[550] == found.identical[3]
    assert len(np.unique(found.identical)) == 599
    assert ClosePairs.of(found.perceptual).all() == (2, 4)


def test_it_is_the_hash_that_preparing_computes(tmp_path):
    from mindgap.data.decode import perceptual_hashes, thumbnail

    images = np.random.default_rng(0).integers(0, 256, (5, 20, 20, 3), dtype=np.uint8)
    expected = perceptual_hashes(np.stack([thumbnail(image) for image in images]))
    assert np.array_equal(image_hashes(images).perceptual, expected)
