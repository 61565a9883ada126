"""The pages on metrics: one for each, all with the same headings, and examples that compute what they print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mindgap.metrics.metric import METRICS, AbstractGapMetric
from mindgap.report.measures import measure_of

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(page for page in (DOCS / "metrics").glob("*.md") if page.stem != "index")
CONCEPTS = sorted(
    page for page in (DOCS / "concepts").glob("*.md") if page.stem != "export"
)  # that reads a user's file
WITH_EXAMPLES = [*PAGES, DOCS / "metrics" / "index.md", *CONCEPTS]
HEADINGS = [
    "In one sentence",
    "Formula",
    "Source",
    "Worked example",
    "Interval and noise floor",
    "What it does not say",
    "When to use it",
]
NUMBER = re.compile(r"(?<![\w.])(?:\d+\.\d+|\.\d+|\d+)(?!\w)")


def own_metrics() -> list[str]:
    return [name for name in METRICS.names() if METRICS.get(name).__module__.startswith("mindgap.metrics.")]


def blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def sections(text: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def asserted_numbers(block: str) -> set[float]:
    lines = [line for line in block.splitlines() if line.lstrip().startswith("assert ")]
    compared = [line.rsplit("==", 1)[1].split("#")[0] for line in lines if "==" in line]
    unquoted = (re.sub(r"\"[^\"]*\"", "", part) for part in compared)
    return {float(number) for part in unquoted for number in NUMBER.findall(part)} - {0.0, 1.0}


def test_every_metric_has_a_page_and_every_page_a_metric() -> None:
    assert [page.stem for page in PAGES] == own_metrics()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_all_headings_in_order_and_none_is_empty(page: Path) -> None:
    found = sections(page.read_text(encoding="utf-8"))
    assert list(found) == HEADINGS
    assert [heading for heading, text in found.items() if len(text.split()) < 6] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_on_a_gap_is_called_as_the_audit_page_calls_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if issubclass(METRICS.get(page.stem), AbstractGapMetric):
        assert text.startswith(f"# {measure_of(page.stem).label}\n")
    assert f"```{{metric-facts}} {page.stem}\n" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_worked_example_is_a_table_and_a_block_that_asserts(page: Path) -> None:
    example = sections(page.read_text(encoding="utf-8"))["Worked example"]
    assert re.search(r"^\| --- \|", example, flags=re.MULTILINE)
    assert f'"{page.stem}"' in "".join(blocks(example))
    assert any("assert " in block for block in blocks(example))


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.stem)
def test_the_examples_run_and_assert_numbers_that_the_page_prints(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```python\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    printed = {float(number) for number in NUMBER.findall(prose)}
    names: dict[str, object] = {}
    for block in blocks(text):
        exec(compile(block, str(page), "exec"), names)  # noqa: S102  (our own documentation)
        assert asserted_numbers(block) <= printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_short(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").splitlines()) <= 75
