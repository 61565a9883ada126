"""Folders of odd images."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from mindgap.core.errors import DataError
from mindgap.data.decode import Geometry, decode_image
from mindgap.data.folder_images import decode_folder, find_images, folder_state
from mindgap.data.image_files import ImageFiles

SQUARE = Geometry(16, "squash")
ORIENTATION = 0x0112


@pytest.fixture
def folder(tmp_path):
    """Grey, CMYK, 16-bit, transparent and turned images, one in a sub-folder, and files that are none."""
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image.convert("L").save(folder / "grey.png")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.convert("RGBA").save(folder / "transparent.png")
    Image.fromarray(pixels[..., 0].astype(np.uint16) << 8).save(folder / "sixteen.png")
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    image.save(folder / "deep" / "turned.jpg", exif=turned)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (folder / "empty.png").touch()
    (folder / "notes.txt").write_text("no image")
    return folder


def decoded(folder, place, workers=1):
    place.mkdir()
    return decode_folder(find_images(folder), place, geometry=SQUARE, workers=workers)


def test_odd_images_are_decoded_as_prepare_does_and_broken_ones_listed(folder, tmp_path):
    found = decoded(folder, tmp_path / "place")
    assert found.ids == ("cmyk", "turned", "grey", "sixteen", "transparent")
    assert found.faults == {"broken.jpg": "unreadable", "empty.png": "unreadable"}
    for row, path in zip(found.rows, ["cmyk.jpg", "deep/turned.jpg", "grey.png"], strict=False):
        assert np.array_equal(found.images[row], decode_image(str(folder / path), SQUARE)), path
    assert found.images.shape == (7, 16, 16, 3)


def test_processes_give_the_same_images(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("mindgap.data.image_builder._IN_PROCESS_ROWS", 1)
    ours, theirs = decoded(folder, tmp_path / "one"), decoded(folder, tmp_path / "two", workers=2)
    assert ours.ids == theirs.ids
    assert np.array_equal(ours.images[ours.rows], theirs.images[theirs.rows])


def test_files_of_the_same_name_are_told_apart_as_prepare_finds_them(tmp_path):
    for name in ("a.jpg", "a.png", "deep/a.jpg", "x/d.jpg", "y/d.jpg", "1.5.png", "b.jpg.png", "x/e.tif", ".jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files = ImageFiles(tmp_path)
    ids = {path: files.name(path) for path in files.paths()}
    assert ids == {
        ".jpg": ".jpg", "1.5.png": "1.5", "a.jpg": "a.jpg", "a.png": "a.png", "b.jpg.png": "b.jpg",
        "deep/a.jpg": "deep/a.jpg", "x/d.jpg": "x/d.jpg", "y/d.jpg": "y/d.jpg", "x/e.tif": "e",
    }  # fmt: skip
    assert all(files.find(name) == path for path, name in ids.items())


def test_a_name_that_is_no_text_is_written_out(tmp_path):
    (tmp_path / "images").mkdir()
    name = os.fsencode(tmp_path / "images") + b"/caf\xe9.png"
    try:
        Image.new("RGB", (4, 4)).save(os.fsdecode(name), format="PNG")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert decoded(tmp_path / "images", tmp_path / "place").ids == ("caf\\xe9",)


def test_a_folder_without_a_usable_image_is_refused(tmp_path):
    with pytest.raises(DataError, match="none: no such folder; check IMAGES"):
        find_images(tmp_path / "none")
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=r"images: holds no image file \(\.jpg"):
        find_images(tmp_path / "images")
    (tmp_path / "images" / "a.png").touch()
    with pytest.raises(DataError, match=r"none of 1 files can be decoded; the first is a\.png: unreadable"):
        decoded(tmp_path / "images", tmp_path / "place")


def test_a_link_to_nowhere_is_a_missing_file(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "nowhere.png")
    assert folder_state(find_images(tmp_path))
    found = decoded(tmp_path, tmp_path / "place")
    assert (found.ids, found.faults) == (("a",), {"b.png": "missing_file"})


def test_the_state_of_a_folder_changes_with_its_files(folder):
    before = folder_state(find_images(folder))
    assert folder_state(find_images(folder)) == before
    os.utime(folder / "grey.png", ns=(1, 1))
    assert folder_state(find_images(folder)) != before
