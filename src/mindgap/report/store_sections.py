"""The parts of a store's page in their order, each with what its template needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindgap.core.small_group import SMALL_GROUP
from mindgap.report.estimate import count, decimal, percent
from mindgap.report.example_sheet import ExampleSheet
from mindgap.report.page import KeyFigure, Section
from mindgap.report.store_composition import composition
from mindgap.report.store_detectable import detectable_gaps
from mindgap.report.store_drawing import draw_tones, points
from mindgap.report.store_findings import leak_finding, small_by_attribute, store_findings, store_overview
from mindgap.report.store_limits import store_limits
from mindgap.report.tone_tables import cut_offs_of, tone_tables

Record = Mapping[str, Any]


def store_sections(record: Record, *, examples: ExampleSheet | None = None) -> list[Section]:
    """All parts of the page."""
    cautions = [] if examples is None else [examples.caution]
    return [
        Section("summary", "In plain words", "In plain words", _summary(record) | {"cautions": cautions}),
        Section("composition", "Who is in it", "Who is in it", composition(record)),
        Section("detectable", "How small a gap it could show", "Smallest gap", detectable_gaps(record)),
        Section("ties", "Clusters, leaks and duplicates", "Leaks, duplicates", _ties(record)),
        Section("tones", "Skin tone", "Skin tone", _tones(record) | {"sheet": examples}),
        Section("unanswered", "What the data cannot answer", "What it cannot answer", {"limits": store_limits(record)}),
        Section("stored", "Where it comes from", "Provenance", {"origin": _origin(record)}),
        Section("store_reading", "How to read it", "How to read it", {"assumed": _assumed(record)}),
    ]


def _summary(record: Record) -> dict[str, Any]:
    judged = record["judged_on"]
    return {
        "split_note": f"No network is judged here: this is what the images and their table allow one to find. Gaps are "
        f"read off the {judged} split, so sizes are those of that split unless said otherwise. A gap shows if a "
        f"two-sided 5 % test finds it in 80 % of samples of this size, {_assumed(record)} being assumed.",
        "overview": store_overview(record),
        "findings": store_findings(record),
        "more_findings": [],
        "key_figures": _key_figures(record),
    }


def _key_figures(record: Record) -> list[KeyFigure]:
    splits = ", ".join(f"{name} {count(one['n'])}" for name, one in record["splits"].items())
    clusters, pairs = record["clusters"], record["duplicates"]
    named = "named by the table" if clusters["rows_with_a_cluster"] else "none named: every image is its own"
    small = sum(map(len, small_by_attribute(record).values()))
    figures = [
        KeyFigure("Images", count(record["n"]), splits),
        KeyFigure("Clusters", count(clusters["n"]), named),
        KeyFigure(f"Groups under {SMALL_GROUP} images", count(small), f"on the {record['judged_on']} split"),
    ]
    if pairs:
        near = pairs["near"]["across_splits"]
        under = f"pairs, of {count(near['images'])} images"
        figures.append(KeyFigure("Near-duplicates in different splits", count(near["pairs"]), under))
    return figures + [_smallest_gap(name, part) for name, part in record["attributes"].items()]


def _smallest_gap(name: str, part: Record) -> KeyFigure:
    pair, label = part["detectable"]["largest_pair"], f"Smallest gap that shows, {name}"
    if pair["value"] is None:
        return KeyFigure(label, "none", str(pair["reason"]), undefined=True)
    return KeyFigure(label, points(pair["value"]), f"between the two largest, {' and '.join(pair['groups'])}")


def _ties(record: Record) -> dict[str, Any]:
    clusters, pairs = record["clusters"], record["duplicates"]
    several = {"several splits": clusters["in_several_splits"], "several labels": clusters["with_several_labels"]}
    several |= {f"several groups of {name}": one for name, one in clusters["with_several_groups"].items()}
    kinds = [("identical", pairs["identical"]), ("nearly identical", pairs["near"])] if pairs else []
    crossed = {"splits": "different splits", "labels": "different labels", "clusters": "different clusters"}
    return {
        "leak": leak_finding(record),
        "cluster_sizes": _cluster_sizes(clusters["sizes"]),
        "clusters": clusters,
        "several": several,
        "kinds": kinds,
        "method": pairs["method"] if pairs else "",
        "examples": [
            (f"{kind}, in {label}", one[f"across_{key}"]["examples"])
            for kind, one in kinds
            for key, label in crossed.items()
            if one[f"across_{key}"]["examples"] and (key != "clusters" or clusters["rows_with_a_cluster"])
        ],
    }


def _cluster_sizes(sizes: Mapping[str, int], *, most: int = 8) -> list[tuple[str, int]]:
    """Clusters by size, those of the largest sizes together."""
    rows = [(int(size), n) for size, n in sizes.items()]
    if len(rows) <= most:
        return [(count(size), n) for size, n in rows]
    rest = rows[most - 1 :]
    return [
        *((count(size), n) for size, n in rows[: most - 1]),
        (f"{rest[0][0]} to {rest[-1][0]}", sum(n for _, n in rest)),
    ]


def _tones(record: Record) -> dict[str, Any]:
    tone = record["tone"]
    drawn = tone and tone["n"]
    cut_offs = cut_offs_of(record) if tone and tone["is_cielab"] else None
    drawing = draw_tones(tone["edges_degrees"], tone["counts"], cut_offs=cut_offs) if drawn else None
    words = {"tone": tone, "tone_reason": record["tone_reason"], "tone_drawing": drawing}
    return words | tone_tables(record)


def _origin(record: Record) -> list[tuple[str, str]]:
    store = record.get("store") or {}
    source = store.get("source") or {}
    shares = store.get("split") or {}
    but = "; validation was drawn from its training rows" if store.get("split_drawn") else ""
    rows = [
        ("Store", str(store.get("name", "–"))),
        ("Fingerprint", str(store.get("fingerprint", "–"))),
        ("Images", f"{count(record['n'])} of {store.get('size_px')} px, resized by {store.get('resize')}"),
        ("Attributes", ", ".join((store.get("attributes") or {}).values())),
        ("Split", ", ".join(f"{name} {percent(share, 0)}" for name, share in shares.items()) or "–"),
        *([("Column of the split", f"{column}{but}")] if (column := store.get("split_column")) else []),
        ("Cluster column", str(source.get("cluster") or "none")),
        ("Preset", str(source.get("preset") or "–")),
        ("Rows of the source", count(source.get("rows"))),
        ("Seed of the split, of the audit", f"{store.get('seed', '–')}, {record.get('seed', '–')}"),
    ]
    return [*rows, *(("Note", note) for note in store.get("notes") or ())]


def _assumed(record: Record) -> str:
    first = next(iter(record["attributes"].values()), None)
    if first is None:
        return ""
    found = first["detectable"]
    text = f"an accuracy of {percent(found['accuracy'], 0)} in every group that is not worse and in every class"
    if record["clusters"]["n"] < record["n"]:
        text += f", and a correlation of {decimal(found['icc'], 2)} between images of a cluster in being right"
    return text
