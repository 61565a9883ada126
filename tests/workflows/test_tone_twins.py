"""Twins of ``mindgap tone``: who has one, of which tone, and how they count."""

from __future__ import annotations

import shutil

import numpy as np

from mindgap.data.image_store import Store
from mindgap.tone.blend import BlendSettings
from mindgap.tone.targets import draw_targets
from mindgap.train.blending import blend_doubts
from mindgap.workflows import tone as workflow
from mindgap.workflows.audit_store import audit_store
from mindgap.workflows.prepare import prepare
from mindgap.workflows.tone import tone

N, SIZE = 160, 48


def test_an_image_without_a_mask_has_no_twin(place, tmp_path):
    """Nobody knows where its lesion is, which would be recoloured with the skin."""
    shutil.copytree(place / "set" / "masks", tmp_path / "masks")
    for path in sorted((tmp_path / "masks").iterdir())[::8]:
        path.unlink()
    prepare(
        images=place / "set" / "images", metadata=place / "set" / "metadata.csv", id="image_id", label="label",
        attributes="sex", size=SIZE, masks=tmp_path / "masks", out=tmp_path / "store",
    )  # fmt: skip
    tone(tmp_path / "store", out=tmp_path / "new", target="flatten", steps=10)
    store = Store.open(tmp_path / "new")
    without = store.table["ita_flags"].str.contains("no_mask").to_numpy()
    assert 0 < without.sum() < N
    assert store.table["twin_target_degrees"].isna().to_numpy()[without].all()
    assert np.array_equal(store.twins[without], store.images[without])


def test_bands_of_the_twins_add_up(toned):
    """An image with a twin counts by the twin or nowhere, one without counts as it is."""
    said, table = toned.info.tone, toned.table
    has = table["twin_target_degrees"].notna()
    assert said["twins_not_known"] == (has & table["twin_tone"].isna()).sum()
    after = table["twin_tone"].where(has, table["tone"]).value_counts()
    assert said["bands"]["after"] == {band: after.get(band, 0) for band in said["bands"]["after"]}


def test_flatten_asks_what_the_training_images_lack(place, toned, tmp_path):
    assert workflow._shares(np.array(["I", None, "I", "V", None], dtype=object)) == {"I": 2 / 3, "V": 1 / 3}
    assert workflow._shares(np.array([None], dtype=object)) == {}
    tone(place / "store", out=tmp_path / "new", target="flatten", seed=3)
    store = Store.open(tmp_path / "new")
    bands = np.array([band if isinstance(band, str) else None for band in store.table["tone"]], dtype=object)
    told = {
        name: draw_targets("flatten", store.ids.tolist(), seed=3, shares=workflow._shares(bands[rows]))
        for name, rows in (("train", store.rows("train")), ("all", np.arange(store.n)))
    }
    targets = store.table["twin_target_degrees"].to_numpy(dtype=float)
    has = np.isfinite(targets)
    assert np.allclose(targets[has], told["train"][has])
    assert not np.allclose(targets[has], told["all"][has])


def test_lab8_changes_the_angle_and_not_the_band(place, toned, tmp_path):
    tone(place / "store", out=tmp_path / "new", definition="lab8")
    store = Store.open(tmp_path / "new")
    assert store.table["tone"].equals(toned.table["tone"])
    record = audit_store(store.path, json=tmp_path / "a.json", html=tmp_path / "a.html")
    assert record["tone"]["darker_than_iii"] == store.table["tone"].isin(["IV", "V", "VI"]).sum()
    assert store.info.tone["measured"] == store.table["tone"].notna().sum() == store.table["ita_degrees"].notna().sum()
    assert store.info.tone["flags"] == toned.info.tone["flags"]
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "in another range than CIELAB" in page
    assert not np.allclose(store.table["ita_degrees"], toned.table["ita_degrees"], equal_nan=True)


def test_a_blend_with_twins_of_one_band_says_that_it_is_too_frequent(toned):
    (said,) = blend_doubts(BlendSettings(share=0.05), toned, toned.rows("train"))
    assert "more images are of tone band IV (" in said
