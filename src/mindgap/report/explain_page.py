"""The page of an explanation: where the network looks, for whom, and pictures of it if they were asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgap.core.config import read_toml
from mindgap.core.errors import DataError
from mindgap.core.files import read_json, write_text
from mindgap.report.estimate import Estimate, count, decimal, listed, sentence
from mindgap.report.explain_rows import (
    CASES,
    coarse_maps,
    figure_of,
    focus_findings,
    focus_parts,
    parts_of,
    small_cells,
)
from mindgap.report.gallery import Gallery, read_gallery
from mindgap.report.origin import option_rows
from mindgap.report.page import Page, Section, render_page
from mindgap.report.short_place import short_place

EXPLAIN_RECORD = "explain.json"
EXPLAIN_PAGE = "report.html"
_MOST_SMALL = 8
_NO_CAUSE = (
    "A map is not a cause. It shows where activity of the layer speaks for a class, at the layer's resolution; the "
    "network may use what the map does not show."
)
_NAMES = {"cam": "CAM", "grad-cam": "Grad-CAM", "guided-grad-cam": "Guided Grad-CAM"}
_SAYS = {
    "cam": "The last maps, weighted as the classifier weighs them for the class (Wei & Chakraborti, eq. 17).",
    "grad-cam": (
        "The layer's maps, weighted by the mean gradient of the class's logit, and clipped at 0 "
        "(Wei & Chakraborti, eqs 18 and 19)."
    ),
    "guided-grad-cam": (
        "Grad-CAM times the magnitude of the guided gradient of the class's logit, pixel by pixel "
        "(Wei & Chakraborti, eq. 20)."
    ),
}


def write_explain_page(folder: Path | str) -> Path:
    """Writes ``report.html`` into the folder of an explanation, from its files, and returns its path.

    Raises:
        DataError: a file of it is missing or damaged.
        CapacityError: the folder cannot be written.
    """
    place = Path(folder)
    record = read_json(place / EXPLAIN_RECORD)
    if not isinstance(record, dict) or record.get("kind") != "explanation":
        raise DataError(f"{place / EXPLAIN_RECORD}: holds no explanation; explain the run again")
    options = read_toml(place / "config.toml").get("options", {})
    text = render_explanation(record, options=options, gallery=read_gallery(place, record))
    write_text(place / EXPLAIN_PAGE, text)
    return place / EXPLAIN_PAGE


def render_explanation(record: Mapping[str, Any], *, options: Mapping[str, Any], gallery: Gallery | None = None) -> str:
    """The page as text; every name and number of the record is escaped.

    Args:
        record: what ``explain.json`` holds.
        options: of the verb.
        gallery: images beside their maps; with them the page warns that it holds people's images.
    """
    run = Path(str(record["run"])).name
    subtitle = (
        f"{_NAMES.get(record['method'], record['method'])} of {record['layer']} for {record['target']} · "
        f"{count(record['n'])} images of the {record['split']} split"
    )
    channels = record["channels"]
    sections = [
        Section("looks", "In plain words", "In plain words", _summary(record, gallery)),
        Section("focus", "Focus by group", "Focus by group", {"parts_of_focus": focus_parts(record), "cases": CASES}),
        *([Section("channels", "Single channels", "Channels", _channels(channels))] if channels else []),
        *([Section("pruned", "Pruned channels", "Pruned", _pruned(record["pruned"]))] if record["pruned"] else []),
        Section("gallery", "Examples", "Examples", {"gallery": gallery, "gallery_how": _how(record)}),
        Section("looks_reading", "How to read it", "How to read it", _reading(record)),
        Section("origin", "Where it comes from", "Provenance", _origin(record, options)),
    ]
    made_from = f"the files of the explanation of {run}"
    return render_page(Page(f"Where {run} looks", subtitle, made_from, sections=sections, pictures=gallery is not None))


def _summary(record: Mapping[str, Any], gallery: Gallery | None) -> dict[str, Any]:
    few = small_cells(record)
    return {
        "cautions": _cautions(record, gallery),
        "overall_says": [_overall(label, part) for label, part in parts_of(record).items()],
        "focus_findings": focus_findings(record) if record["masks"]["known"] else [],
        "few": listed(few, most=_MOST_SMALL) if few else "",
    }


def _cautions(record: Mapping[str, Any], gallery: Gallery | None) -> list[str]:
    said = [_NO_CAUSE]
    if coarse := coarse_maps(record):
        said.append(coarse)
    if record["note"]:
        said.append(f"{record['note'][0].upper()}{record['note'][1:]}: the run's own predictions may differ.")
    if record["masks"]["source"] in {"predict", "classical"}:
        how = "a U-Net" if record["masks"]["source"] == "predict" else "a rule without weights"
        said.append(f"The lesion masks were found by {how}, not drawn by a person; a focus is as good as they are.")
    return [*said, *([gallery.caution] if gallery else [])]


def _overall(label: str, part: Mapping[str, Any]) -> str:
    of_label = f"Label {label}: " if label else ""
    focus = Estimate.read(part["focus"]["all"])
    if focus.value is None:
        return f"{of_label}Focus is not defined: {focus.reason}."
    apart = " and ".join(
        f"{decimal(part['focus'][case]['value'])} on {count(part[case])} {case} cases" for case in ("right", "wrong")
    )
    return f"{of_label}Mean focus {sentence(focus)}: {_against_even(focus)}. It is {apart}."


def _against_even(focus: Estimate) -> str:
    """How a mean focus stands to that of maps spread evenly, 1; without an interval nothing is claimed."""
    if focus.high is not None and focus.high < 1:
        return "the maps lie less on what is outside the lesion than maps spread evenly would (1)"
    if focus.low is not None and focus.low > 1:
        return "the maps lie more on what is outside the lesion than maps spread evenly would (1)"
    return "whether the maps prefer the lesion or what is around it is not shown; maps spread evenly have 1"


def _channels(channels: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        {
            "channel": one["channel"],
            "focus": decimal(one["focus"]),
            "n": one["n"],
            "activity": decimal(one["activity"]),
        }
        for one in channels["chosen"]
    ]
    return {"channels": channels, "channel_rows": rows}


def _pruned(layers: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        {
            "layer": layer,
            "channels": one["channels"],
            **{name: figure_of(one[name]) for name in ("removed", "kept", "difference")},
            "gap": Estimate.read(one["difference"]),
            "without_focus": one["without_focus"],
        }
        for layer, one in layers.items()
    ]
    return {"pruned_rows": rows}


def _how(record: Mapping[str, Any]) -> str:
    found = record["gallery"]
    if found is None:
        return ""
    of_label = f"Label {found['label']}. " if found["label"] else ""
    return (
        f"{of_label}Drawn by the seed from every group's right and wrong cases in turn: their mix is not the split's. "
        "Left the image, its lesion outlined where a mask is known; right the map, from its own least to its own "
        "largest value, so that the colours of two maps cannot be compared."
    )


def _reading(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"method_name": _NAMES.get(record["method"], record["method"]), "method_says": _SAYS.get(record["method"])}


def _origin(record: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    height, width = record["map_px"]
    masks = record["masks"]
    known = count(masks["known"]) + "".join(
        f", {count(masks[key])} {words}"
        for key, words in (("no_lesion", "without a lesion in them"), ("all_lesion", "with nothing but lesion"))
        if masks[key]
    )
    rows = [
        ("Run", short_place(str(record["run"]))),
        ("Store", short_place(str(record["store"]))),
        ("Images", f"{count(record['n'])} of the {record['split']} split, {record['size_px']} px"),
        ("Layer", f"{record['layer']}, maps of {height} × {width}"),
        ("Classes", ", ".join(record["classes"])),
        ("Lesion masks known", known),
        (
            "Resamples and permutations",
            f"{count(record['settings']['bootstrap'])} and {count(record['settings']['permutations'])}",
        ),
        ("Seed", str(record["settings"]["seed"])),
    ]
    return {"origin": rows, "options": option_rows(options), "commands": []}
