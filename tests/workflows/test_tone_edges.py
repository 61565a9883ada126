"""Odd images and masks, from their files to the tones: each has a flag or one clear line, and none a warning."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mindgap.cli.main import run as command
from mindgap.core.errors import MindgapError
from mindgap.data.image_store import Store
from mindgap.workflows.audit import audit
from mindgap.workflows.prepare import prepare
from mindgap.workflows.tone import tone

SIDE = 64
FULL, EMPTY = np.full((SIDE, SIDE), 255, dtype=np.uint8), np.zeros((SIDE, SIDE), dtype=np.uint8)
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
LESION = np.where((ROWS - 32) ** 2 + (COLUMNS - 32) ** 2 < 150, 255, 0).astype(np.uint8)
SKIN, PIGMENT = (205, 160, 130), (90, 55, 45)
DEGREES = 40.8  # of that skin


def photograph() -> Image.Image:
    """Skin of band III with a brown spot and some noise."""
    pixels = np.array(SKIN) + np.random.default_rng(0).normal(0, 4, (SIDE, SIDE, 3))
    pixels[LESION > 0] = PIGMENT
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def cut_out() -> Image.Image:
    """The photograph, its left third transparent and black below."""
    pixels = np.dstack([np.asarray(photograph()), FULL])
    pixels[:, :20] = 0
    return Image.fromarray(pixels)


def sixteen_bits() -> Image.Image:
    """Grey of 16 bits; what lies above 255 would wrap or be white if it were taken for 8."""
    return Image.fromarray(np.asarray(photograph().convert("L")).astype(np.uint16) * 257)


def plain(level: int) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), (level, level, level))


def save_sixteen_bit_colour(path: Path) -> None:
    """The photograph as a PNG of three times 16 bits, which Pillow reads but does not write."""
    pixels = np.asarray(photograph()).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = np.array([SIDE, SIDE], dtype=">u4").tobytes() + bytes([16, 2, 0, 0, 0])
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    parts = [
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big") for kind, data in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


class Made:
    """Image files and masks with their table, and the store that the verbs make of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.names = folder, []
        for name in ("images", "masks"):
            (folder / name).mkdir()

    def add(self, name: str, save: Image.Image | Callable[[Path], None], mask: np.ndarray | None, ending="png") -> None:
        path = self.folder / "images" / f"{name}.{ending}"
        save.save(path) if isinstance(save, Image.Image) else save(path)
        if mask is not None:
            Image.fromarray(mask).save(self.folder / "masks" / f"{name}.png")
        self.names.append(name)

    def prepared(self, out: str = "store", **options) -> Path:
        number = np.arange(len(self.names))
        table = {"image_id": self.names, "label": np.where(number % 2, "b", "a")}
        table["sex"] = np.where(number // 2 % 2, "m", "f")
        pd.DataFrame(table).to_csv(self.folder / "table.csv", index=False)
        asked = {"id": "image_id", "label": "label", "attributes": "sex", "masks": self.folder / "masks"} | options
        prepare(images=self.folder / "images", metadata=self.folder / "table.csv", out=self.folder / out, **asked)
        return self.folder / out


@pytest.fixture
def made(tmp_path) -> Made:
    return Made(tmp_path)


def add_every_kind(made: Made) -> None:
    for number in range(8):
        made.add(f"plain{number}", photograph(), LESION)
    made.add("all_lesion", photograph(), FULL)
    made.add("empty", photograph(), EMPTY)
    made.add("unmasked", photograph(), None)
    made.add("tiny", photograph().resize((8, 8)), LESION[::8, ::8])
    made.add("one_pixel", photograph().resize((1, 1)), LESION)
    made.add("grey", photograph().convert("L"), LESION)
    made.add("grey_jpeg", photograph().convert("L"), LESION, "jpg")
    made.add("grey_alpha", cut_out().convert("LA"), LESION)
    made.add("cmyk", photograph().convert("CMYK"), LESION, "jpg")
    made.add("cut_out", cut_out(), LESION)
    made.add("palette", photograph().quantize(64), LESION)
    made.add("sixteen", sixteen_bits(), LESION)
    made.add("sixteen_tif", sixteen_bits(), LESION, "tif")
    made.add("sixteen_colour", save_sixteen_bit_colour, LESION)
    made.add("black", plain(0), LESION)
    made.add("white", plain(255), LESION)


@pytest.fixture(scope="module")
def toned(tmp_path_factory) -> pd.DataFrame:
    """The table of all kinds by name, with the mean colour of each stored image."""
    made = Made(tmp_path_factory.mktemp("edges"))
    add_every_kind(made)
    tone(made.prepared(size=SIDE), out=made.folder / "toned")
    audit(made.folder / "toned", html=made.folder / "page.html", permutations=5)
    store = Store.open(made.folder / "toned")
    table = store.table.set_index("id").assign(level=store.images.mean(axis=(1, 2, 3)))
    changed = (store.images != store.twins).any(axis=(1, 2, 3))
    assert np.array_equal(changed, table["twin_target_degrees"].notna())
    return table


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("plain0", ""), ("all_lesion", "no_skin"), ("empty", "empty_mask"), ("unmasked", "no_mask"), ("grey", "grey"),
        ("grey_jpeg", "grey"), ("grey_alpha", "grey,saturated"), ("cmyk", ""), ("cut_out", "saturated"),
        ("sixteen", "grey"), ("sixteen_tif", "grey"), ("sixteen_colour", ""), ("black", "no_skin"),
        ("white", "no_skin,saturated"),
    ],
)  # fmt: skip
def test_every_kind_has_the_flags_that_say_what_it_is(toned, name, flags):
    assert toned.loc[name, "ita_flags"] == flags


@pytest.mark.parametrize("name", ["plain0", "empty", "unmasked", "tiny", "cmyk", "cut_out", "sixteen_colour"])
def test_the_same_skin_has_the_same_tone_however_it_is_filed(toned, name):
    assert toned.loc[name, "ita_degrees"] == pytest.approx(DEGREES, abs=1)


@pytest.mark.parametrize("name", ["all_lesion", "grey", "grey_alpha", "sixteen", "black", "white"])
def test_where_no_skin_is_seen_no_tone_is_claimed_and_no_twin_made(toned, name):
    known = toned.loc[name, ["ita_degrees", "ita_iqr_degrees", "tone", "twin_target_degrees", "twin_tone"]].notna()
    assert not known.any()


def test_sixteen_bits_are_as_light_as_eight(toned):
    for name in ("sixteen", "sixteen_tif"):
        assert toned.loc[name, "level"] == pytest.approx(toned.loc["grey", "level"], abs=1)
    assert toned.loc["sixteen_colour", "level"] == pytest.approx(toned.loc["plain0", "level"], abs=1)


def test_what_is_transparent_is_white_and_no_skin(toned):
    third = 20 / SIDE
    opaque = (toned.loc["plain0", "level"] * SIDE**2 - 20 * SIDE * np.mean(SKIN)) / SIDE**2
    assert toned.loc["cut_out", "level"] == pytest.approx(255 * third + opaque, abs=3)
    assert toned.loc["cut_out", "ita_pixels"] < (1 - third) * SIDE**2


@pytest.mark.parametrize("size", [8, 12])
@pytest.mark.parametrize("masks", ["stored", "classical"])
def test_stores_of_tiny_images_are_flagged_as_a_whole(made, size, masks):
    add_every_kind(made)
    record = tone(made.prepared(size=size), out=made.folder / "toned", masks=masks)
    table = Store.open(made.folder / "toned").table
    assert table["ita_flags"].str.len().gt(0).all()
    assert record["tone"]["measured"] == table["ita_degrees"].notna().sum()
    audit(made.folder / "toned", html=made.folder / "page.html", permutations=5)


@pytest.mark.parametrize("masks", ["stored", "classical"])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_store_without_any_tone_says_so(made, level, masks, capsys):
    for number in range(8):
        made.add(f"i{number}", plain(level), LESION)
    store, new = made.prepared(size=16), made.folder / "toned"
    assert command(["tone", str(store), "--masks", masks, "--out", str(new)]) == 0
    assert "tone measured on 0 of 8 images, 8 not known" in capsys.readouterr().out
    assert command(["audit", str(new), "--html", str(made.folder / "page.html"), "--permutations", "5"]) == 0
    said = capsys.readouterr().out
    assert "caution: No image's skin tone is known" in said
    assert "of 0 measured" not in said + (made.folder / "page.html").read_text(encoding="utf-8")
    with pytest.raises(MindgapError, match="tone") as refused:
        audit(new, attributes="tone", permutations=5)
    assert "\n" not in str(refused.value)


def test_a_target_by_the_rarest_tones_needs_no_tone(made):
    for number in range(8):
        made.add(f"i{number}", plain(90), LESION)
    record = tone(made.prepared(size=16), out=made.folder / "toned", target="flatten")
    assert (record["tone"]["measured"], record["tone"]["twins"]) == (0, 0)


def test_masks_of_any_kind_are_read_alike(made):
    white_where_lesion = np.dstack([FULL, FULL, FULL, LESION])
    kinds = [LESION, LESION > 0, LESION // 255, LESION.astype(np.uint16) * 257, white_where_lesion]
    for number, mask in enumerate(kinds * 2):
        made.add(f"i{number}", photograph(), mask)
    store = Store.open(made.prepared(size=SIDE))
    assert all(np.array_equal(mask, LESION) for mask in store.masks)
