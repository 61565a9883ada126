"""The page of a data set in a real browser: drawn, running and asking nothing, usable by keyboard and on paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mindgap.core.files import read_json, write_json
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.workflows.audit_store import audit_store

HOSTILE = "<img src=x onerror='window.alerted=true'><script>window.alerted=true</script>"
LONG = "a very long name of a group without any end to it " * 3
SCREENS, PAPERS = (1280, 360, 420, 700, 900, 1250, 1600), (680, 700)


@pytest.fixture(scope="module")
def seen(look, tmp_path_factory) -> Callable[..., list[dict[str, Any]]]:
    """What the page of a small set looks like on every screen, then on every paper; its words may be renamed."""

    def looked(*, words: dict[str, str]) -> list[dict[str, Any]]:
        store = write_tiny_store(tmp_path_factory.mktemp("page") / "store")
        rename(store, words)
        audit_store(store, html=store.parent / "page.html", attributes="sex,site,sex*site", permutations=20)
        return look(store.parent / "page.html", *SCREENS, paper=PAPERS)

    return looked


def rename(store: Path, words: dict[str, str]) -> None:
    """Renames groups and classes, and adds sites, tones and a copy across splits."""
    table = pd.read_parquet(store / "table.parquet").replace(words)
    sites = [words.get("x", "x"), "y", "z"]
    table = table.assign(meta_site=sites * 100, ita_degrees=np.linspace(-40, 70, 300), tone=["I", "VI"] * 150)
    table["id"] = [f"{words.get('i', 'i')}{row}" for row in range(300)]
    table.to_parquet(store / "table.parquet")
    images = np.memmap(store / "images.bin", dtype=np.uint8, mode="r+", shape=(300, 16, 16, 3))
    images[18] = images[2]
    images.flush()
    record = read_json(store / "store.json")
    record["classes"] = [words.get(name, name) for name in record["classes"]]
    for group in record["attributes"]["sex"]["groups"]:
        group["name"] = words.get(group["name"], group["name"])
    write_json(store / "store.json", record)


@pytest.fixture(scope="module")
def plain(seen) -> list[dict[str, Any]]:
    """The page with harmless names."""
    return seen(words={})


@pytest.fixture(scope="module")
def hostile(seen) -> list[dict[str, Any]]:
    """The page with names that a page could stumble over."""
    return seen(words={"a": HOSTILE, "b": LONG, "dark": HOSTILE[::-1], "red": HOSTILE, "x": "'\"", "i": HOSTILE})


def test_every_figure_is_drawn_and_nothing_leaves_the_page(plain) -> None:
    for found in plain:
        assert found["figures"] == 3 * (2 + 3 + 6) + 1  # classes, sizes and gap of every group; the tones
        assert found["off"] <= 0.02 * found["shapes"]
        assert found["requests"] == found["scripts"] == found["unnamed"] == found["untitled"] == 0
        assert found["background"] != "rgba(0, 0, 0, 0)", "the policy blocked the page's own style sheet"


def test_it_fits_every_screen_and_paper(plain, hostile) -> None:
    for found in (*plain[: len(SCREENS)], *hostile[: len(SCREENS)]):
        assert (found["beyond"], found["overflow"] <= 0) == ([], True)
        assert [name for name in found["scrolling"] if name.startswith(("Smallest", "Groups of", "Duplicates"))] == []
        assert found["hinted"], "a box that scrolls does not show it"
    for found in plain[len(SCREENS) :]:
        assert (found["beyond"], found["scrolling"]) == ([], [])


def test_every_part_is_reached_and_opened_by_keyboard(plain) -> None:
    for found in plain[: len(SCREENS)]:
        assert found["skips"], "the skip link cannot be reached or leads nowhere"
        assert found["focusable"]
        assert found["named"], "two boxes that scroll have one name"
        assert found["summaries"]


def test_names_from_the_data_run_nothing(hostile) -> None:
    for found in hostile:
        assert found["alerted"] is False
        assert found["requests"] == found["scripts"] == 0


@pytest.fixture(scope="module")
def exemplified(tmp_path_factory) -> Path:
    """The page of a store of magenta images whose twins are green, six of them shown."""
    store = write_tiny_store(tmp_path_factory.mktemp("examples") / "store", twins=True)
    for name, colour in (("images.bin", (255, 0, 255)), ("twins.bin", (0, 255, 0))):
        np.broadcast_to(np.array(colour, dtype=np.uint8), (300, 16, 16, 3)).tofile(store / name)
    table = pd.read_parquet(store / "table.parquet")
    table = table.assign(ita_degrees=45.0, ita_iqr_degrees=4.0, ita_flags="cast", twin_target_degrees=0.0)
    table.to_parquet(store / "table.parquet")
    audit_store(store, html=store.parent / "page.html", permutations=5, examples=6)
    return store.parent / "page.html"


def test_examples_are_seen_and_nothing_leaves_the_page(exemplified, look, photograph) -> None:
    seen = photograph(exemplified)
    magenta, green = ((seen == colour).all(axis=2).sum() for colour in ((255, 0, 255), (0, 255, 0)))
    assert magenta == pytest.approx(green, rel=0.05)
    assert magenta > 6 * 100**2, "the policy blocked the page's own picture"
    for found in look(exemplified, *SCREENS, paper=PAPERS):
        assert (found["beyond"], found["overflow"] <= 0) == ([], True)
        assert found["requests"] == found["scripts"] == found["unnamed"] == 0
