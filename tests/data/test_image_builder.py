from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from mindgap.core.errors import CapacityError
from mindgap.data import decoder
from mindgap.data.decode import Geometry, decode_image
from mindgap.data.decode_worker import Chunk
from mindgap.data.decoder import DecoderDied
from mindgap.data.image_builder import Sources, allocate, build_images, keep_rows

GEOMETRY = Geometry(8, "squash")


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    paths = []
    for row in range(300):
        pixels = np.random.default_rng(row).integers(0, 256, (10, 10, 3), dtype=np.uint8)
        paths.append(str(folder / f"{row}.png"))
        Image.fromarray(pixels).save(paths[-1])
    return paths


@pytest.fixture
def work(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def pixels(work, rows=300):
    return np.fromfile(work / "images.bin", dtype=np.uint8).reshape(rows, 8, 8, 3)


def test_processes_and_one_process_store_the_same(files, work, tmp_path):
    (tmp_path / "other").mkdir()
    one = build_images(work, Sources(files), geometry=GEOMETRY, workers=1)
    two = build_images(tmp_path / "other", Sources(files), geometry=GEOMETRY, workers=2)
    assert np.array_equal(pixels(work), pixels(tmp_path / "other"))
    assert np.array_equal(one.digests, two.digests)
    assert np.array_equal(one.hashes, two.hashes)
    assert np.array_equal(pixels(work)[7], decode_image(files[7], GEOMETRY))


def test_faulty_rows_are_told_and_gaps_closed(files, work):
    os.remove(files[3])
    with open(files[290], "wb") as file:
        file.write(b"x")
    built = build_images(work, Sources(files), geometry=GEOMETRY, workers=2)
    assert {row: built.faults[row] for row in range(300) if built.faults[row]} == {3: "missing_file", 290: "unreadable"}
    kept = np.array([row for row in range(300) if row not in {3, 290}])
    wanted = pixels(work)[kept]
    keep_rows(work, kept, size_px=8, masks=False)
    assert np.array_equal(pixels(work, 298), wanted)


def test_only_rows_that_are_not_whole_are_decoded_again(files, work, monkeypatch):
    build_images(work, Sources(files[:100]), geometry=GEOMETRY, workers=1)
    wanted = pixels(work, 100)
    torn = np.memmap(work / "images.bin", dtype=np.uint8, mode="r+", shape=(100, 8, 8, 3))
    torn[42, 4:] = 0
    torn.flush()
    for row, path in enumerate(files[:100]):
        if row != 42:
            os.remove(path)
    built = build_images(work, Sources(files[:100]), geometry=GEOMETRY, workers=1)
    assert not built.faults.any()
    assert np.array_equal(pixels(work, 100), wanted)


def test_rows_that_meant_other_files_are_not_trusted(files, work):
    build_images(work, Sources(files[:50]), geometry=GEOMETRY, workers=1)
    build_images(work, Sources(files[1:51]), geometry=GEOMETRY, workers=1)
    assert np.array_equal(pixels(work, 50)[0], decode_image(files[1], GEOMETRY))


def test_a_build_killed_while_closing_gaps_is_mended(files, work):
    built = build_images(work, Sources(files[:100]), geometry=GEOMETRY, workers=1)
    wanted = pixels(work, 100)
    keep_rows(work, np.arange(50, 100), size_px=8, masks=False)
    again = build_images(work, Sources(files[:100]), geometry=GEOMETRY, workers=1)
    assert np.array_equal(pixels(work, 100), wanted)
    assert np.array_equal(built.digests, again.digests)


def test_masks_are_stored_beside_images_and_a_missing_one_is_empty(files, work, tmp_path):
    Image.new("L", (10, 10), 255).save(tmp_path / "full.png")
    (tmp_path / "broken.png").write_bytes(b"x")
    Image.new("L", (10, 10), 0).save(tmp_path / "zeros.png")
    masks = [str(tmp_path / "full.png"), None, str(tmp_path / "broken.png"), str(tmp_path / "zeros.png")]
    built = build_images(work, Sources(files[:4], masks), geometry=GEOMETRY, workers=1)
    stored = np.fromfile(work / "masks.bin", dtype=np.uint8).reshape(4, 8, 8)
    assert built.masked.tolist() == [True, False, False, True]
    assert built.mask_counts() == {"n": 2, "missing": 1, "unreadable": 1, "empty": 1}
    assert [int(mask.max()) for mask in stored] == [255, 0, 0, 0]
    assert stored[0].min() == 255


def dying(*, code=1):
    command = [sys.executable, "-c", f"import sys; sys.stdin.readline(); sys.exit({code})"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_decoder_that_dies_twice_is_an_error_not_a_hang(files, work, monkeypatch):
    monkeypatch.setattr(decoder, "start_worker", lambda: dying(code=7))
    which = r".*/(0|64)\.png"  # two decoders with 64 images each: either may be the first to die twice
    with pytest.raises(DecoderDied, match=rf"died twice \(exit 7\) {which}; .* fewer workers.* --workers 1") as error:
        build_images(work, Sources(files), geometry=GEOMETRY, workers=2)
    assert isinstance(error.value, CapacityError)
    assert "\n" not in str(error.value)


def test_a_decoder_that_dies_once_is_started_again(files, work, monkeypatch):
    begin, started = decoder.start_worker, []

    def start():
        started.append(None)
        return dying() if len(started) <= 2 else begin()

    monkeypatch.setattr(decoder, "start_worker", start)
    built = build_images(work, Sources(files), geometry=GEOMETRY, workers=2)
    assert len(started) == 4
    assert not built.faults.any()


def worker(**pipes):
    command = [sys.executable, "-m", "mindgap.data.decode_worker"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **pipes)


def test_a_decoder_ends_quietly_when_nobody_reads_its_answers(files, work):
    build_images(work, Sources(files[:2]), geometry=GEOMETRY, workers=1)
    head = {"folder": str(work), "rows": 2, "geometry": asdict(GEOMETRY), "masks": False}
    reading, writing = os.pipe()
    os.close(reading)
    process = worker(stdout=writing)
    os.close(writing)
    _, said = process.communicate(json.dumps(head) + "\n" + Chunk(0, files[:2], None).to_line())
    assert (process.returncode, said) == (0, "")


@pytest.mark.parametrize("line", ["", '{"folder": "/no'])
def test_a_decoder_ends_quietly_when_its_input_ends_early(line):
    process = worker(stdout=subprocess.DEVNULL)
    _, said = process.communicate(line)
    assert (process.returncode, said) == (0, "")


def test_space_is_taken_before_anything_is_written(work):
    allocate(work / "a", 1 << 20)
    assert (work / "a").stat().st_size == 1 << 20
    assert (work / "a").stat().st_blocks * 512 >= 1 << 20


def test_an_unwritable_place_is_refused(work):
    with pytest.raises(CapacityError, match=r"cannot write .*choose another --out"):
        allocate(work / "no" / "a", 10)
    with pytest.raises(CapacityError, match=r"no space|cannot write"):
        allocate(work / "huge", 1 << 62)
