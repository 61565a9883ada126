"""A synthetic set on disk."""

from __future__ import annotations

import csv

import numpy as np
from PIL import Image

from mindgap.data.synthesis.folder import COLUMNS, image_id, summary, write_folder
from mindgap.data.synthesis.morphology import draw_morphology
from mindgap.data.synthesis.population import draw_population
from mindgap.data.synthesis.scene import paint

PEOPLE = draw_population(40, dark_share=0.25, seed=0)
LOOKS = draw_morphology(PEOPLE, bias=0.3, seed=0)


def rows_of(path):
    with (path / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_files_hold_the_painted_pixels_exactly(tmp_path):
    write_folder(tmp_path, PEOPLE, LOOKS, size=48, seed=0)
    pictures = paint(np.arange(40), PEOPLE, LOOKS, size=48, seed=0)
    for row in (0, 17, 39):
        assert np.array_equal(
            np.asarray(Image.open(tmp_path / "images" / f"{image_id(row)}.png")), pictures.images[row]
        )
        mask = np.asarray(Image.open(tmp_path / "masks" / f"{image_id(row)}.png"))
        assert np.array_equal(mask, pictures.masks[row] * 255)


def test_the_table_has_one_row_per_image_with_the_agreed_columns(tmp_path):
    write_folder(tmp_path, PEOPLE, LOOKS, size=16, seed=0)
    rows = rows_of(tmp_path)
    assert tuple(rows[0]) == COLUMNS
    assert tuple(rows[0]) == ("image_id", "label", "lesion_id", "sex", "age", "true_ita_degrees", "true_tone")
    for folder in ("images", "masks"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == [f"{row['image_id']}.png" for row in rows]
    assert sum(row["true_tone"] == "dark" for row in rows) == 10
    assert all((float(row["true_ita_degrees"]) > 20) == (row["true_tone"] == "light") for row in rows)


def test_images_already_written_are_kept_and_missing_ones_come_out_the_same(tmp_path):
    write_folder(tmp_path, PEOPLE, LOOKS, size=16, seed=0)
    lost, kept = (tmp_path / "images" / f"{image_id(row)}.png" for row in (5, 6))
    before = lost.read_bytes()
    lost.unlink()
    kept.write_bytes(b"kept")
    write_folder(tmp_path, PEOPLE, LOOKS, size=16, seed=0)
    assert lost.read_bytes() == before
    assert kept.read_bytes() == b"kept"


def test_summary_counts_what_is_there():
    counts = summary(PEOPLE)
    assert counts["n"] == 40
    assert counts["tones"] == {"light": 30, "dark": 10}
    assert sum(counts["classes"].values()) == 40
    assert counts["lesions"] == len(set(PEOPLE.lesion.tolist()))
