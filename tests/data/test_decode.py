from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from mindgap.data.decode import (
    MAX_PIXELS,
    Geometry,
    ImageFault,
    decode_image,
    decode_mask,
    perceptual_hashes,
    quiet_decoder,
    row_digest,
    thumbnail,
)

SQUASH = Geometry(16, "squash")


def texture(height=90, width=120, seed=0):
    """A colourful image with detail at several scales, as photographs have."""
    rng, pixels = np.random.default_rng(seed), np.zeros((height, width, 3))
    for scale, weight in ((1, 0.5), (2, 0.3), (4, 0.2)):
        coarse = rng.integers(0, 256, (6 * scale, 8 * scale, 3), dtype=np.uint8)
        pixels += weight * np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return Image.fromarray(pixels.astype(np.uint8))


def halves(left, right, height=40, width=80):
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = left, right
    return Image.fromarray(pixels)


def fault_of(path):
    with quiet_decoder(), pytest.raises(ImageFault) as fault:
        decode_image(str(path), SQUASH)
    return str(fault.value)


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "gif", "tif"])
def test_formats_decode_to_rgb_squares(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    halves((255, 0, 0), (0, 0, 255)).save(path, **({"lossless": True} if suffix == "webp" else {}))
    pixels = decode_image(str(path), SQUASH)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels[8, 2].astype(int) - (255, 0, 0)).max() < 8
    assert np.abs(pixels[8, 13].astype(int) - (0, 0, 255)).max() < 8


@pytest.mark.parametrize("mode", ["L", "RGBA", "LA", "P", "CMYK", "1", "I;16"])
def test_other_modes_become_rgb(tmp_path, mode):
    grey = texture().convert("L")
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else texture().convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    pixels = decode_image(str(path), SQUASH)
    wanted = (grey if mode in {"L", "LA", "1", "I;16"} else texture()).convert("RGB").resize((16, 16))
    tolerance = 60 if mode in {"1", "P"} else 12
    assert np.abs(pixels.astype(int) - np.asarray(wanted)).mean() < tolerance


@pytest.mark.parametrize(("mode", "most"), [("F", 1.0), ("I", 70_000), ("I", -1)])
def test_numbers_of_which_nothing_says_what_is_white_are_unreadable(tmp_path, mode, most):
    kind = np.float32 if mode == "F" else np.int32
    Image.fromarray(np.full((9, 9), most, dtype=kind), mode=None).save(tmp_path / "a.tif")
    assert fault_of(tmp_path / "a.tif") == "unreadable"


def test_draft_mode_agrees_with_a_full_decode(tmp_path):
    texture(450, 600).save(tmp_path / "a.jpg", quality=95)
    full = np.asarray(Image.open(tmp_path / "a.jpg").resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    fast = decode_image(str(tmp_path / "a.jpg"), Geometry(64, "squash")).astype(int)
    assert np.abs(fast - full).mean() < 2.0


def test_crop_takes_the_centre_and_pad_keeps_the_whole(tmp_path):
    path = tmp_path / "a.png"
    halves((255, 255, 255), (255, 255, 255)).save(path)
    padded = decode_image(str(path), Geometry(16, "pad"))
    assert padded[4:12].min() == 255
    assert padded[:4].max() == padded[12:].max() == 0
    pixels = np.zeros((40, 80, 3), dtype=np.uint8)
    pixels[:, 20:60] = 255
    Image.fromarray(pixels).save(path)
    assert decode_image(str(path), Geometry(16, "crop")).min() > 120
    assert decode_image(str(path), SQUASH)[:, 0].max() == 0


def test_orientation_is_applied(tmp_path):
    image = halves((255, 255, 255), (0, 0, 0))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    pixels = decode_image(str(tmp_path / "a.jpg"), SQUASH)
    assert pixels[:4].min() > 200
    assert pixels[12:].max() < 50


def test_masks_are_zero_or_full_and_cut_at_half(tmp_path):
    pixels = np.zeros((32, 32), dtype=np.uint8)
    pixels[:, :16] = 255
    Image.fromarray(pixels).save(tmp_path / "m.png")
    mask = decode_mask(str(tmp_path / "m.png"), SQUASH)
    assert set(np.unique(mask)) == {0, 255}
    assert (mask == 255).mean() == 0.5


@pytest.mark.parametrize(
    ("mode", "top"), [("uint8", 1), ("uint8", 200), ("uint16", 1), ("uint16", 65535), ("int32", 1), ("float32", 0.004)]
)
def test_masks_are_cut_at_half_of_their_own_maximum(tmp_path, mode, top):
    pixels = np.zeros((32, 32), dtype=mode)
    pixels[:, :16] = top
    Image.fromarray(pixels).save(tmp_path / "m.tif")
    mask = decode_mask(str(tmp_path / "m.tif"), SQUASH)
    assert mask[:, :8].min() == 255
    assert mask[:, 8:].max() == 0


def test_a_thin_mask_is_not_thickened_and_a_coloured_one_counts_in_full(tmp_path):
    pixels = np.zeros((64, 64), dtype=np.uint8)
    pixels[:, 30] = 1
    Image.fromarray(pixels).save(tmp_path / "thin.png")
    assert decode_mask(str(tmp_path / "thin.png"), SQUASH).max() == 0
    halves((120, 0, 0), (0, 0, 0)).save(tmp_path / "red.png")
    assert (decode_mask(str(tmp_path / "red.png"), SQUASH) == 255).mean() == 0.5


@pytest.mark.parametrize("mode", ["uint8", "uint16", "float32"])
def test_a_mask_of_zeros_is_empty(tmp_path, mode):
    Image.fromarray(np.zeros((32, 32), dtype=mode)).save(tmp_path / "m.tif")
    assert decode_mask(str(tmp_path / "m.tif"), SQUASH).max() == 0


def test_faults_have_their_codes(tmp_path):
    assert fault_of(tmp_path / "none.png") == "missing_file"
    (tmp_path / "empty.png").write_bytes(b"")
    assert fault_of(tmp_path / "empty.png") == "unreadable"
    (tmp_path / "text.jpg").write_text("not an image")
    assert fault_of(tmp_path / "text.jpg") == "unreadable"
    assert fault_of(tmp_path) == "unreadable"
    Image.new("1", (10_000, MAX_PIXELS // 10_000 + 1)).save(tmp_path / "bomb.png")
    assert fault_of(tmp_path / "bomb.png") == "too_large"


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_truncated_file_is_unreadable(tmp_path, kept, kind):
    buffer = io.BytesIO()
    texture(450, 600).save(buffer, kind)
    data = buffer.getvalue()
    (tmp_path / "cut").write_bytes(data[: int(len(data) * kept)])
    assert fault_of(tmp_path / "cut") == "unreadable"


def test_noise_in_the_middle_of_a_file_never_escapes_as_another_error(tmp_path):
    buffer = io.BytesIO()
    texture().save(buffer, "PNG")
    rng = np.random.default_rng(0)
    with quiet_decoder():
        for _ in range(200):
            data = bytearray(buffer.getvalue())
            for place in rng.integers(0, len(data), 5):
                data[place] = rng.integers(0, 256)
            (tmp_path / "noisy").write_bytes(data)
            with contextlib.suppress(ImageFault):
                assert decode_image(str(tmp_path / "noisy"), SQUASH).shape == (16, 16, 3)


def test_a_digest_tells_any_torn_row():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    mask = np.zeros((16, 16), dtype=np.uint8)
    whole = row_digest(image, mask)
    for place in (0, 400, 767):
        torn = image.copy()
        torn.reshape(-1)[place:] = 0
        assert row_digest(torn, mask) != whole
    assert row_digest(image) != whole
    assert row_digest(image, mask + 255) != whole


def hashes(*images):
    return perceptual_hashes(np.stack([thumbnail(np.asarray(image)) for image in images]))


def bits(first, second):
    return int(np.bitwise_count(first ^ second).sum())


def test_hashes_survive_recompression_and_brightness_but_tell_images_apart(tmp_path):
    far = []
    for seed in range(20):
        image = texture(64, 64, seed)
        image.resize((100, 80)).save(tmp_path / "a.jpg", quality=60)
        copy = Image.open(tmp_path / "a.jpg").resize((64, 64)).point(lambda level: min(255, level * 1.05 + 4))
        same, other = hashes(image, copy), hashes(image, texture(64, 64, seed + 100))
        assert bits(*same) <= 11
        far.append(bits(*other))
    assert min(far) > 30


def test_a_plain_image_has_no_bit_set():
    assert not hashes(Image.new("RGB", (64, 64), (9, 200, 31)), Image.new("RGB", (64, 64))).any()


def test_thumbnails_of_small_images_exist():
    assert thumbnail(np.zeros((3, 3, 3), dtype=np.uint8)).shape == (16, 16)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white_in_an_image_and_no_lesion_in_a_mask(tmp_path, mode):
    pixels = np.full((32, 32, 4), (200, 200, 200, 255), dtype=np.uint8)
    pixels[:, 16:] = 0, 0, 0, 0
    Image.fromarray(pixels).convert(mode).save(tmp_path / "a.png", **({"transparency": 0} if mode == "P" else {}))
    found = decode_image(str(tmp_path / "a.png"), SQUASH)
    assert np.abs(found[:, :7].astype(int) - 200).max() <= 4
    assert (found[:, 9:] == 255).all()
    mask = decode_mask(str(tmp_path / "a.png"), SQUASH)
    assert (mask[:, :7] == 255).all()
    assert not mask[:, 9:].any()


@pytest.mark.parametrize(("top", "fault"), [(255, True), (4095, True), (4096, False), (65535, False), (0, False)])
def test_twelve_bits_in_sixteen_are_a_fault_and_not_nearly_black(tmp_path, top, fault):
    levels = np.linspace(0, top, 400).reshape(20, 20).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    if fault:
        with pytest.raises(ImageFault, match="under_16_bits"):
            decode_image(str(tmp_path / "a.png"), SQUASH)
    else:
        assert decode_image(str(tmp_path / "a.png"), SQUASH).max() == pytest.approx(top >> 8, abs=4)
