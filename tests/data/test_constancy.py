"""Shades of grey, of a classifier's input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mindgap.core.errors import ConfigError, DataError
from mindgap.data.constancy import shades_of_grey_gains, under_gains
from mindgap.data.decode import Geometry, decode_image
from mindgap.data.image_store import Store
from mindgap.workflows.predict import predict
from mindgap.workflows.prepare import prepare
from mindgap.workflows.synth import synth
from mindgap.workflows.tone import tone
from mindgap.workflows.train import train


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(20, 200, (24, 24, 3)).astype(np.uint8)


def prepared_both_ways(folder):
    """The stores ``grey`` and ``plain`` of one synthetic set, and what both were prepared with."""
    synth(folder / "set", n=60, size=32, seed=0)
    asked = {
        "images": folder / "set" / "images", "metadata": folder / "set" / "metadata.csv", "id": "image_id",
        "label": "label", "attributes": "sex", "size": 32,
    }  # fmt: skip
    prepare(**asked, out=folder / "grey", constancy="shades_of_grey")
    prepare(**asked, out=folder / "plain")
    return asked


def test_two_pixels_by_hand():
    """Light of byte 188 is 0.503, of 255 it is 1: of means .503, 1, .503 the luminance is .858."""
    image = np.array([[[188, 255, 188]] * 2], dtype=np.uint8)
    light = ((188 / 255 + 0.055) / 1.055) ** 2.4
    luminance = 0.212671 * light + 0.715160 + 0.072169 * light
    assert shades_of_grey_gains(image) == pytest.approx([luminance / light, luminance, luminance / light])
    assert len(set(under_gains(image, shades_of_grey_gains(image))[0, 0].tolist())) == 1


def test_the_power_of_one_is_the_grey_world_and_a_high_one_the_brightest_pixel():
    image = noise()
    light = np.where(image / 255 > 0.04045, ((image / 255 + 0.055) / 1.055) ** 2.4, image / 255 / 12.92)
    for power, expected in ((1, light.mean(axis=(0, 1))), (400, light.max(axis=(0, 1)))):
        gains = shades_of_grey_gains(image, power=power)
        assert gains / gains[0] == pytest.approx(expected[0] / expected, rel=0.02)


@given(st.tuples(*[st.floats(0.6, 1.25)] * 3))
def test_a_cast_on_grey_noise_is_taken_off(cast):
    grey = np.repeat(noise()[..., :1], 3, axis=-1)
    mended = under_gains(under_gains(grey, np.array(cast)), shades_of_grey_gains(under_gains(grey, np.array(cast))))
    assert np.ptp(mended.astype(int), axis=-1).max() <= 3


def test_a_black_image_is_left():
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    assert (shades_of_grey_gains(image) == 1).all()
    assert np.array_equal(under_gains(noise(), np.ones(3)), noise())


@pytest.mark.parametrize("blue", [0, 1, 40, 75])
def test_no_colour_is_raised_more_than_four_times_as_much_as_another(blue):
    image = np.full((8, 8, 3), 150, dtype=np.uint8)
    image[..., 2] = blue
    gains = shades_of_grey_gains(image)
    assert gains.max() / gains.min() == pytest.approx(4.0)
    assert gains.argmax() == 2


def test_what_is_just_beyond_the_bound_is_treated_as_what_is_just_within():
    gains = [shades_of_grey_gains(np.full((8, 8, 3), (150, 150, blue), dtype=np.uint8)) for blue in (77, 78, 79, 80)]
    assert gains[0].max() / gains[0].min() == pytest.approx(4.0)
    assert gains[3].max() / gains[3].min() < 4.0
    assert np.abs(np.diff(gains, axis=0)).max() < 0.1


def test_files_are_decoded_with_it(tmp_path):
    Image.fromarray(noise()).save(tmp_path / "a.png")
    plain = decode_image(str(tmp_path / "a.png"), Geometry(16, "squash"))
    mended = decode_image(str(tmp_path / "a.png"), Geometry(16, "squash", "shades_of_grey"))
    assert not np.array_equal(plain, mended)
    assert np.array_equal(mended, under_gains(plain, shades_of_grey_gains(plain)))


def test_a_store_says_so_and_no_tone_is_measured_on_it(tmp_path):
    asked = prepared_both_ways(tmp_path)
    grey, plain = Store.open(tmp_path / "grey"), Store.open(tmp_path / "plain")
    assert grey.info.constancy == "shades_of_grey"
    assert plain.info.constancy == "none"
    assert grey.fingerprint != plain.fingerprint
    assert np.array_equal(grey.images[3], under_gains(plain.images[3], shades_of_grey_gains(plain.images[3])))
    with pytest.raises(ConfigError, match="are under shades_of_grey, which leaves skin no tone"):
        tone(tmp_path / "grey", out=tmp_path / "toned")
    with pytest.raises(ConfigError, match="constancy='grey_world'"):
        prepare(**asked, out=tmp_path / "other", constancy="grey_world")


def test_files_are_predicted_as_the_stores_images_are(tmp_path):
    """What decodes for a network of such a store corrects the colours too; a store without it is refused."""
    prepared_both_ways(tmp_path)
    train(tmp_path / "grey", network="resnet18", epochs=1, out=tmp_path / "run", bootstrap=0, permutations=0)
    predict(tmp_path / "run", tmp_path / "grey", split="all", out=tmp_path / "store.csv")
    predict(tmp_path / "run", tmp_path / "set" / "images", out=tmp_path / "files.csv")
    store, files = (pd.read_csv(tmp_path / f"{name}.csv").set_index("id") for name in ("store", "files"))
    columns = [name for name in files.columns if name.startswith("prob_")]
    assert np.allclose(store.loc[files.index, columns], files[columns], atol=1e-5)
    with pytest.raises(DataError, match="has colours by constancy none, the network is for shades_of_grey"):
        predict(tmp_path / "run", tmp_path / "plain", out=tmp_path / "x.csv")
