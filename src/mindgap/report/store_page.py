"""The page of a data set: one HTML file that needs nothing else, made from the record of its audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindgap.report.estimate import count
from mindgap.report.example_sheet import ExampleSheet
from mindgap.report.page import Page, render_page
from mindgap.report.store_sections import store_sections


def render_store_page(record: Mapping[str, Any], *, examples: ExampleSheet | None = None) -> str:
    """The page as text; every name and number of the record is escaped.

    Args:
        record: of the audit.
        examples: images to show with their twins; with them the page warns that it holds patients' images.
    """
    name = (record.get("store") or {}).get("name", "data set")
    kind = "labels" if record["task"] == "multi-label" else "classes"
    subtitle = f"{count(record['n'])} images, {len(record['classes'])} {kind}, {len(record['attributes'])} attributes"
    sections = store_sections(record, examples=examples)
    pictures = examples is not None
    return render_page(
        Page(f"Data set {name}", subtitle, made_from=f"the store {name}", sections=sections, pictures=pictures)
    )
