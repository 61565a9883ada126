"""The page in a real browser: drawn, asking nothing of the network, fitting a phone and a wide screen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from mindgap.report.document import write_report

PROBE = """<!DOCTYPE html><html><body>
<iframe id="page" src="{url}" style="width:{width}px;height:3000px;border:0"></iframe>
<pre id="found"></pre><script>
addEventListener("load", () => {{
  const view = document.getElementById("page").contentWindow, d = view.document;
  const size = e => {{ const b = e.getBoundingClientRect(); return b.width * b.height; }};
  d.querySelectorAll("details").forEach(e => {{ e.open = true; }});
  for (const rule of [...d.styleSheets[0].cssRules].filter(r => r.media))
    if ({paper} && /print|screen/.test(rule.media.mediaText))
      rule.media.mediaText = rule.media.mediaText === "print" ? "all" : "not all";
  const boxed = [...d.querySelectorAll(".scroll")], edge = d.documentElement.clientWidth + 0.5;
  const shapes = [...d.querySelectorAll("svg circle, svg rect, svg line, svg path")].filter(e => !e.closest("details"));
  document.getElementById("found").textContent = JSON.stringify({{
    alerted: view.alerted === true,
    figures: [...d.querySelectorAll("main svg[role=img]")].filter(e => !e.closest("details") && size(e) > 0).length,
    unnamed: [...d.querySelectorAll("svg[role=img]")].filter(e => !e.getAttribute("aria-label")).length,
    shapes: shapes.length,
    off: shapes.filter(e => {{ const b = e.getBoundingClientRect(); return !(b.width + b.height > 0); }}).length,
    background: view.getComputedStyle(d.body).backgroundColor,
    requests: view.performance.getEntriesByType("resource").length,
    overflow: d.documentElement.scrollWidth - d.documentElement.clientWidth,
    beyond: [...d.querySelectorAll("main *, nav *, header *, footer *")]
      .filter(e => !e.closest(".scroll") && e.getBoundingClientRect().right > edge).map(e => e.outerHTML.slice(0, 80)),
    scrolling: boxed.filter(e => e.scrollWidth > e.clientWidth).map(e => e.getAttribute("aria-label")),
    hinted: boxed.every(e => view.getComputedStyle(e).backgroundImage.includes("gradient")),
    untitled: [...d.querySelectorAll("[tabindex]")].filter(e => !e.getAttribute("aria-label")).length,
  }});
}});
</script></body></html>"""


def chromium() -> str:
    """A Chromium to open pages with; the test skips where there is none."""
    found = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
    if found is None:
        pytest.skip("no Chromium here; install Debian's chromium to look at the page in a browser")
    return found


def look(page: Path, width: int, tmp_path: Path, *, paper: bool = False) -> dict:
    """Opens the page in a frame of that width, styled for the screen or for paper, and measures it."""
    probe = tmp_path / f"probe-{width}.html"
    probe.write_text(PROBE.format(url=page.as_uri(), width=width, paper=int(paper)), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    flags += ["--allow-file-access-from-files", "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1600,3200"]
    call = [chromium(), *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", probe.as_uri()]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    return json.loads(unescape(found[1]))


@pytest.mark.parametrize("width", [1280, 420])
def test_the_page_is_drawn_and_asks_nothing_of_the_network(make_search_run, tmp_path: Path, width: int) -> None:
    found = look(write_report(make_search_run()), width, tmp_path)
    assert found["figures"] >= 25
    assert found["shapes"] > 200
    assert found["off"] <= 0.02 * found["shapes"]  # an interval of no width has no size
    assert found["requests"] == 0
    assert found["unnamed"] == found["untitled"] == 0
    assert found["background"] != "rgba(0, 0, 0, 0)", "the policy blocked the page's own style sheet"
    assert found["overflow"] <= 0, "the page is wider than the screen"


LONG_NAMES = {f"a long name of group {letter}*30-60": (0.6 + 0.02 * k, 90) for k, letter in enumerate("abcdef")}


@pytest.mark.parametrize("width", [360, 700, 900, 1200, 1250, 1600])
def test_the_gaps_are_read_without_scrolling_at_every_width(make_search_run, make_audit, tmp_path, width) -> None:
    page = write_report(make_search_run(test=make_audit(shown=True, groups=LONG_NAMES)))
    found = look(page, width, tmp_path)
    assert found["beyond"] == []
    assert [name for name in found["scrolling"] if name.startswith(("Gaps over", "Groups of", "Batch"))] == []
    assert found["hinted"], "a box that scrolls does not show it"


@pytest.mark.parametrize("width", [680, 700])  # the text area of A4 and of US letter between the page's margins
def test_nothing_is_cut_off_on_paper(make_search_run, make_audit, tmp_path, width) -> None:
    page = write_report(make_search_run(test=make_audit(shown=True, groups=LONG_NAMES)))
    found = look(page, width, tmp_path, paper=True)
    assert (found["beyond"], found["scrolling"]) == ([], [])


def test_a_hostile_name_runs_nothing(make_train_run, make_audit, tmp_path: Path) -> None:
    hostile = "<img src=x onerror='window.alerted=true'><script>window.alerted=true</script>"
    groups = {hostile: (0.6, 100), "male": (0.7, 400)}
    page = write_report(make_train_run(test=make_audit(shown=True, groups=groups)))
    found = look(page, 1280, tmp_path)
    assert found["alerted"] is False
    assert found["requests"] == 0
