"""The documentation builds without a warning, needs no network, and names only what is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from mindgap import api
from mindgap.cli.main import build_app
from mindgap.metrics.metric import METRICS
from mindgap.workflows.plugins import REGISTRIES

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += [page for part in ("concepts", "metrics", "results") for page in sorted((ROOT / "docs" / part).glob("*.md"))]


def commands(text: str) -> list[list[str]]:
    """Every `mindgap VERB …` line of the text's code blocks, lines joined at a backslash, comments off."""
    blocks = re.findall(r"```\n(.*?)```", text.replace("\\\n", " "), flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("mindgap ")]
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_has_a_known_verb_and_options(page: Path) -> None:
    verbs = get_command(build_app()).commands
    for words in commands(page.read_text(encoding="utf-8")):
        known = {flag for option in verbs[words[1]].params for flag in option.opts}
        assert {word for word in words if word.startswith("--")} <= known, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_keep_to_the_projects_words(page: Path) -> None:
    text = page.read_text(encoding="utf-8").lower()
    assert not re.search(r"\bdebias|\bunbiased model|\bfair model|bias-free", text)


def test_every_kind_of_plug_in_has_its_section() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert [kind for kind in REGISTRIES if f"{{plugins}} {kind}\n" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_and_pictures_resolve(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def test_every_verb_has_its_section_in_the_commands() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert [verb for verb in get_command(build_app()).commands if f"{{command-help}} {verb}\n" not in page] == []


def test_every_function_of_the_python_interface_is_on_its_page() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert [name for name in api.__all__ if f".. autofunction:: mindgap.api.{name}\n" not in page] == []


def test_the_page_on_files_names_every_metric_that_an_audit_holds() -> None:
    page = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    assert [name for name in METRICS.names() if f"`{name}`" not in page] == []


def test_public_text_names_no_private_document() -> None:
    sources = [*PAGES, *(ROOT / "src" / "mindgap" / "report").rglob("*")]
    texts = {path: path.read_text(encoding="utf-8") for path in sources if path.suffix in {".md", ".py", ".j2", ".css"}}
    private = re.compile(r"\b(CONTRACT|METHODS|ENGINE|COMPARATORS|ARCHITECTURE|STYLE|PERFORMANCE)(\.md)?\b")
    assert [path.name for path, text in texts.items() if private.search(text)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_says_the_test_split_is_read_once_for_all(page: Path) -> None:
    text = " ".join(page.read_text(encoding="utf-8").split())
    for found in re.finditer(r"read once", text):
        assert text[found.end() :].startswith((" in a run", " per run", " in this run")), text[found.start() :][:60]


def formulas(text: str) -> list[str]:
    """What stands between dollars, outside code."""
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    return [block or inline for block, inline in re.findall(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", prose, flags=re.DOTALL)]


@pytest.mark.parametrize("page", [page for page in PAGES if "docs" in page.parts], ids=lambda page: page.name)
def test_every_formula_can_be_drawn_without_a_network(page: Path) -> None:
    mathtext = pytest.importorskip("matplotlib.mathtext", reason="matplotlib is not installed")
    parser = mathtext.MathTextParser("path")
    for formula in formulas(page.read_text(encoding="utf-8")):
        parser.parse(f"${' '.join(formula.split())}$")


@pytest.mark.slow
def test_the_documentation_builds_and_loads_nothing_from_the_network(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="sphinx is not installed; pip install -e '.[docs]'")
    call = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", str(ROOT / "docs"), str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for page in tmp_path.rglob("*.html"):
        assert not re.search(r'(src|<link[^>]*href)="https?:', page.read_text(encoding="utf-8")), page
