"""The top of an audit's page: what was audited, the findings in plain words, and the large numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgap.report.audited import single_label_audits
from mindgap.report.cautions import cautions
from mindgap.report.estimate import Estimate, count, listed
from mindgap.report.findings import findings
from mindgap.report.floor_words import floor_words
from mindgap.report.key_figures import attribute_figures, number_figure, rate_figure
from mindgap.report.overview import fold, overview
from mindgap.report.page import KeyFigure
from mindgap.report.verdict import verdicts


def audit_summary(audit: Mapping[str, Any], *, source: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the template needs; the findings of a shown gap come first, in the order of the attributes otherwise.

    Args:
        audit: the AUDIT.
        source: name of the file of predictions.
        options: of the audit; see ``audit_page``.
    """
    parts = single_label_audits(audit)
    found = sorted(findings(parts, subject="model"), key=lambda finding: finding.kind != "shown")
    first, more = fold(found)
    return {
        "split_note": audited_sentence(audit, source=source, options=options),
        "cautions": cautions(parts, {}),
        "overview": overview(found),
        "findings": first,
        "more_findings": more,
        "key_figures": _key_figures(audit, parts),
    }


def audited_sentence(audit: Mapping[str, Any], *, source: str, options: Mapping[str, Any]) -> str:
    """What was audited: file, rows, split, rows left out, clusters, resamples and seed."""
    split = options.get("split")
    where = f" of the {split} split" if split and split != "all" else ""
    cluster = options.get("cluster")
    whole = f"clusters by {cluster}" if cluster else "no clusters named, so every row counts as one of its own"
    n, of_file = audit.get("n"), audit.get("rows")
    rows = f"{count(n)} rows" if of_file in {None, n} else f"{count(n)} of {count(of_file)} rows, those"
    said = (
        f"Audited: {rows}{where} of {Path(source).name}, {whole}; "
        f"{count(options.get('bootstrap'))} resamples, {count(options.get('permutations'))} permutations, "
        f"seed {options.get('seed', 'not recorded')}."
    )
    first = next(iter(single_label_audits(audit).values()), {})
    unknown = {name: part.get("unknown") for name, part in first.get("attributes", {}).items() if part.get("unknown")}
    if not unknown:
        return said
    counts = listed(f"{count(n)} of unknown {name}" for name, n in unknown.items())
    return f"{said} Rows left out of an attribute's figures: {counts}."


def _key_figures(audit: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> list[KeyFigure]:
    overall = audit.get("overall", {})
    figures = [
        rate_figure("Accuracy", overall.get("accuracy")),
        rate_figure("Balanced accuracy", overall.get("balanced_accuracy")),
    ]
    ranked, calibrated = overall.get("macro_auroc"), overall.get("ece")
    if Estimate.read(ranked).value is not None:
        figures.append(number_figure("AUROC, one class against the rest", ranked))
    if Estimate.read(calibrated).value is not None:
        figures.append(number_figure("Calibration error (ECE)", calibrated))
    if "" in parts:
        judged, floor = verdicts(parts)[""], floor_words(audit)
        of_u = {name: judged.get((name, "unfairness")) for name in parts[""].get("attributes", {})}
        for name, verdict in sorted(of_u.items(), key=lambda item: item[1] is None or item[1].kind != "shown")[:2]:
            figures += attribute_figures(name, parts[""]["attributes"][name], verdict, floor=floor)
    return figures
