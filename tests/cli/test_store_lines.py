from __future__ import annotations

import pandas as pd

from mindgap.cli.store_lines import store_lines
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.workflows.audit_store import audit_store


def test_the_summary_names_sizes_leaks_and_the_smallest_gap(tmp_path):
    record = audit_store(write_tiny_store(tmp_path / "store", minority=0.2), permutations=50)
    lines = store_lines(record)
    assert lines[0] == "300 images, 2 classes, 150 clusters; train 180, validation 60, test 60"
    text = "\n".join(lines)
    assert "caution: 1 of 2 groups has under 30 images on the test split" in text
    assert "No leak was found" in text
    assert "sex: a group must be" in text
    assert lines[-1].endswith("assumed: accuracy 80% in the rest, correlation 0.5 within a cluster")
    assert "\u202f" not in text
    assert all(len(line) < 400 for line in lines)


def test_no_attribute_with_small_groups_goes_unsaid(tmp_path):
    place = write_tiny_store(tmp_path / "store")
    table = pd.read_parquet(place / "table.parquet")
    few = [f"{name}{number % 12}" for number, name in enumerate(["x"] * len(table))]
    for name in ("ward", "city", "year"):
        table[name] = few
    table.to_parquet(place / "table.parquet")
    lines = store_lines(audit_store(place, attributes="ward,city,year", permutations=20))
    (at,) = [number for number, line in enumerate(lines) if line.startswith("caution: 36 of 36 groups")]
    assert [line.split(",")[0].strip() for line in lines[at + 1 : at + 4]] == ["ward", "city", "year"]
