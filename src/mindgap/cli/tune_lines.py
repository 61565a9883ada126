"""What ``mindgap tune`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgap.cli.summary import printable
from mindgap.report.tune_words import label_sentence, rival_findings, tune_findings, tune_sentences


def tune_lines(out: Path, record: Mapping[str, Any]) -> list[str]:
    """What was tuned, where each label's chosen point lies, what the test split shows, and where the rest is."""
    lines = [*tune_sentences(record), *(label_sentence(record, name) for name in record["labels"])]
    findings = [*tune_findings(record), *rival_findings(record)]
    shown = [finding for finding in findings if finding.is_shown]
    lines += [" ".join([finding.title, *finding.details]) for finding in shown]
    if others := len(findings) - len(shown):
        lines.append(f"{others} of {len(findings)} comparisons on the test split show no difference or are not judged.")
    return [*map(printable, lines), f"report: {out / 'report.html'}"]
