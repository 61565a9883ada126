"""Opens pages in a headless Chromium and measures what a reader would see."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Look = Callable[..., list[dict[str, Any]]]

PROBE = """<!DOCTYPE html><html><body>
{frames}
<pre id="found"></pre><script>
function measure(frame) {{
  const view = frame.contentWindow, d = view.document;
  const size = e => {{ const b = e.getBoundingClientRect(); return b.width * b.height; }};
  const summaries = [...d.querySelectorAll("summary")].every(e => {{
    const box = e.parentElement, was = box.open;
    e.focus(); e.click();
    const moved = d.activeElement === e && box.open !== was;
    e.click();
    return moved && box.open === was;
  }});
  d.querySelectorAll("details").forEach(e => {{ e.open = true; }});
  for (const rule of [...d.styleSheets[0].cssRules].filter(r => r.media))
    if (frame.className === "paper" && /print|screen/.test(rule.media.mediaText))
      rule.media.mediaText = rule.media.mediaText === "print" ? "all" : "not all";
  const boxed = [...d.querySelectorAll(".scroll")], edge = d.documentElement.clientWidth + 0.5;
  const shapes = [...d.querySelectorAll("svg circle, svg rect, svg line, svg path")].filter(e => !e.closest("details"));
  const skip = d.querySelector("a.skip");
  skip.focus();
  const skips = d.activeElement === skip && d.querySelector(skip.hash) !== null;
  return {{
    alerted: view.alerted === true,
    figures: [...d.querySelectorAll("main svg[role=img]")].filter(e => !e.closest("details") && size(e) > 0).length,
    unnamed: [...d.querySelectorAll("svg[role=img]")].filter(e => !e.getAttribute("aria-label")).length,
    shapes: shapes.length,
    off: shapes.filter(e => {{ const b = e.getBoundingClientRect(); return !(b.width + b.height > 0); }}).length,
    shaded: [...d.querySelectorAll("path.between")].filter(e => size(e) > 0).length,
    confusions: [...d.querySelectorAll("table.confusion")].filter(e => size(e) > 0).length,
    background: view.getComputedStyle(d.body).backgroundColor,
    requests: view.performance.getEntriesByType("resource").length,
    scripts: d.querySelectorAll("script").length,
    overflow: d.documentElement.scrollWidth - d.documentElement.clientWidth,
    beyond: [...d.querySelectorAll("main *:not(use), nav *, header *, footer *")]
      .filter(e => !e.closest(".scroll") && e.getBoundingClientRect().right > edge).map(e => e.outerHTML.slice(0, 80)),
    scrolling: boxed.filter(e => e.scrollWidth > e.clientWidth).map(e => e.getAttribute("aria-label")),
    hinted: boxed.every(e => view.getComputedStyle(e).backgroundImage.includes("gradient")),
    untitled: [...d.querySelectorAll("[tabindex]")].filter(e => !e.getAttribute("aria-label")).length,
    focusable: boxed.every(e => {{ e.focus(); return d.activeElement === e; }}),
    named: new Set(boxed.map(e => e.getAttribute("aria-label"))).size === boxed.length,
    summaries, skips,
  }};
}}
addEventListener("load", () => {{
  document.getElementById("found").textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(measure));
}});
</script></body></html>"""
FRAME = '<iframe class="{kind}" src="{url}" style="width:{width}px;height:3000px;border:0"></iframe>'


def chromium() -> str:
    """A Chromium to open pages with; the test skips where there is none."""
    found = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
    if found is None:
        pytest.skip("no Chromium here; install Debian's chromium to look at the page in a browser")
    return found


@pytest.fixture(scope="session")
def look(tmp_path_factory: pytest.TempPathFactory) -> Look:
    """Opens a page in a frame of each width, styled for the screen or for paper, and measures it in each."""

    def measured(page: Path, *widths: int, paper: tuple[int, ...] = ()) -> list[dict[str, Any]]:
        folder = tmp_path_factory.mktemp("browser")
        sized = [("screen", width) for width in widths] + [("paper", width) for width in paper]
        frames = "\n".join(FRAME.format(kind=kind, url=page.as_uri(), width=width) for kind, width in sized)
        probe = folder / "probe.html"
        probe.write_text(PROBE.format(frames=frames), encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        flags += ["--allow-file-access-from-files", "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1600,3200"]
        call = [chromium(), *flags, f"--user-data-dir={folder / 'profile'}", "--dump-dom", probe.as_uri()]
        done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=True)
        found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, flags=re.DOTALL)
        assert found is not None
        return json.loads(unescape(found[1]))

    return measured


@pytest.fixture(scope="session")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], NDArray[np.uint8]]:
    """What a reader sees of a page of 900 × 6000 pixels, as RGB."""

    def taken(page: Path) -> NDArray[np.uint8]:
        folder = tmp_path_factory.mktemp("photograph")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
        flags += ["--window-size=900,6000", f"--user-data-dir={folder / 'profile'}"]
        call = [chromium(), *flags, f"--screenshot={folder / 'page.png'}", page.as_uri()]
        subprocess.run(call, capture_output=True, timeout=120, check=True)
        return np.asarray(Image.open(folder / "page.png").convert("RGB"))

    return taken


@pytest.fixture(scope="session")
def check_still() -> Callable[[list[dict[str, Any]]], None]:
    """Nothing leaves the page or runs, on any screen."""

    def check(seen: list[dict[str, Any]]) -> None:
        for found in seen:
            assert found["requests"] == found["scripts"] == found["unnamed"] == found["untitled"] == 0
            assert not found["alerted"]
            assert found["background"] != "rgba(0, 0, 0, 0)", "the policy blocked the page's own style sheet"

    return check


@pytest.fixture(scope="session")
def check_fits() -> Callable[[list[dict[str, Any]]], None]:
    """The page fits every width and is used by keyboard; the last look is on paper."""

    def check(seen: list[dict[str, Any]]) -> None:
        for found in seen:
            assert found["overflow"] <= 0, found["beyond"]
            assert found["beyond"] == []
            assert found["focusable"]
            assert found["named"]
            assert found["summaries"]
        assert all(found["skips"] for found in seen[:-1])  # on paper there is nothing to skip

    return check
