from __future__ import annotations

import pytest

from mindgap.core.errors import DataError
from mindgap.data.image_files import ImageFiles


@pytest.fixture
def folder(tmp_path):
    for name in (
        "a.jpg", "a.png", "B.JPEG", "notes.txt", "1.5.png", "deep/c.jpg", "deep/a.jpg", "x/d.jpg", "y/d.jpg",
        "e_segmentation.png",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def test_names_are_found_with_and_without_folder_and_suffix(folder):
    files = ImageFiles(folder)
    assert files.find("a") == "a.jpg"
    assert files.find("a.png") == "a.png"
    assert files.find("deep/a") == "deep/a.jpg"
    assert files.find("c") == files.find("c.jpg") == files.find("deep/c.jpg") == "deep/c.jpg"
    assert files.find("B") == "B.JPEG"
    assert files.find("1.5") == "1.5.png"
    assert files.find("notes") is None
    assert files.find("../a") is None
    assert len(files.paths()) == 9


def test_a_mask_may_have_an_ending(folder):
    files = ImageFiles(folder, option="--masks")
    assert files.find("e", endings=("", "_segmentation")) == "e_segmentation.png"
    assert files.find("e.jpg", endings=("", "_segmentation")) == "e_segmentation.png"
    assert files.find("e") is None


def test_a_suffix_that_differs_from_the_files_still_finds_it(folder):
    assert ImageFiles(folder).find("c.png") == "deep/c.jpg"


def test_two_files_of_one_name_are_refused(folder):
    with pytest.raises(DataError, match=r"'d' is there twice, 'x/d.jpg' and 'y/d.jpg'"):
        ImageFiles(folder).find("d")
    assert ImageFiles(folder).find("y/d") == "y/d.jpg"


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder; check --images"):
        ImageFiles(tmp_path / "none")


def test_every_file_of_a_shared_name_is_named_by_its_path_and_others_by_their_stem(folder):
    files = ImageFiles(folder)
    names = {path: files.name(path) for path in files.paths()}
    stems = {"1.5.png": "1.5", "B.JPEG": "B", "deep/c.jpg": "c", "e_segmentation.png": "e_segmentation"}
    shared = ("a.jpg", "a.png", "deep/a.jpg", "x/d.jpg", "y/d.jpg")
    assert names == stems | {path: path for path in shared}
    assert all(files.find(name) == path for path, name in names.items())


def test_a_stem_that_is_another_files_name_is_not_taken_for_an_id(tmp_path):
    for name in ("b.jpg", "b.jpg.png", "c.png", "x/c.png.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files = ImageFiles(tmp_path)
    assert {path: files.name(path) for path in files.paths()} == {
        "b.jpg": "b", "b.jpg.png": "b.jpg.png", "c.png": "c", "x/c.png.tif": "x/c.png.tif",
    }  # fmt: skip


@pytest.mark.parametrize("top", ["", "a.jpg"])
def test_naming_files_that_share_a_name_searches_nothing(tmp_path, monkeypatch, top):
    """A file per patient, all of one name: no step of one file grows with the number of patients."""
    looked_at = []

    def counted(files, name, paths):
        looked_at.append(len(paths))
        return best(files, name, paths)

    best = ImageFiles._best
    monkeypatch.setattr(ImageFiles, "_best", counted)
    for patient in range(20):
        (tmp_path / f"p{patient}").mkdir()
        (tmp_path / f"p{patient}" / "a.jpg").touch()
    if top:
        (tmp_path / top).touch()
    files = ImageFiles(tmp_path)
    assert {files.name(path) for path in files.paths()} == set(files.paths())
    assert not looked_at
