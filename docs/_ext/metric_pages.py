"""The directives ``metric-table`` and ``metric-facts``: what the registry knows of every metric, read at build time.

A table lists all metrics of one kind with the sentence that their page begins with; the facts stand on that page.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mindgap.metrics.metric import METRICS, AbstractClassGap, AbstractClassRate, AbstractGroupFigure, AbstractMetric

KINDS = ("figures", "gaps", "odds", "scores", "rates")
INTERVALS = {
    "percentile": "percentile or BCa",
    "norm_pivot": "norm pivot",
    "log": "pivot on the log scale",
    "exact": "exact, on the effective number of rows",
}
NEEDS = {
    "counts": "predicted classes",
    "class_counts": "predicted classes",
    "roc": "probabilities",
    "reliability": "probabilities",
}
SENTENCE = re.compile(r"^## In one sentence\n+(.+?)\n\n", flags=re.MULTILINE | re.DOTALL)


def own_metrics() -> tuple[str, ...]:
    """The names of the metrics of this package, without those of plug-ins."""
    return tuple(name for name in METRICS.names() if METRICS.get(name).__module__.startswith("mindgap.metrics."))


def kind_of(metric: AbstractMetric) -> str:
    """Which of the tables a metric stands in."""
    if isinstance(metric, AbstractGroupFigure):
        return "figures"
    if isinstance(metric, AbstractClassRate):
        return "rates"
    if metric.name.startswith(("equalized_odds", "eopp")):
        return "odds"
    return "gaps" if metric.statistic == "counts" else "scores"


def range_of(metric: AbstractMetric) -> str:
    """The smallest and largest value that the metric can have."""
    low, high = ("∞" if math.isinf(end) else f"{end:g}" for end in metric.range)
    return f"{low} to {high}"


def better(metric: AbstractMetric) -> str:
    """Which values are better."""
    if isinstance(metric, AbstractClassRate):
        return f"near {metric.ideal:g}"
    return metric.direction


def facts(name: str) -> str:
    """One line on a metric, as Markdown."""
    metric = METRICS.get(name)()
    parts = [f"`{name}`", f"{range_of(metric)}, ideal {metric.ideal:g}", f"better: {better(metric)}"]
    parts += [f"interval: {INTERVALS[metric.interval]}", f"needs {NEEDS[metric.statistic]}"]
    parts += ["also per class"] if isinstance(metric, AbstractClassGap) else []
    parts += [] if metric.applies_to(("a", "b", "c")) else ["two classes only"]
    return " · ".join(parts)


def sentence(page: Path) -> str:
    """What a page says that its metric is."""
    found = SENTENCE.search(page.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{page}: no sentence below '## In one sentence'; write one")
    return " ".join(found[1].split())


def table(kind: str, folder: Path) -> list[str]:
    """The table of one kind of metrics, as Markdown."""
    lines = ["| name | is | better | range | interval |", "| --- | --- | --- | --- | --- |"]
    for name in own_metrics():
        metric = METRICS.get(name)()
        if kind_of(metric) == kind:
            said = sentence(folder / f"{name}.md").replace("|", r"\|")
            cells = (f"[`{name}`]({name}.md)", said, better(metric), range_of(metric), INTERVALS[metric.interval])
            lines.append(f"| {' | '.join(cells)} |")
    return lines


class MetricTable(SphinxDirective):
    """The table of the kind of metrics named in the argument."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Makes the nodes."""
        kind = self.arguments[0]
        if kind not in KINDS:
            raise ValueError(f"metric-table {kind}: give one of {', '.join(KINDS)}")
        self.env.note_reread()
        return _parsed(self, table(kind, Path(self.env.srcdir) / "metrics"))


class MetricFacts(SphinxDirective):
    """The line of facts on the metric named in the argument."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Makes the nodes."""
        return _parsed(self, [facts(self.arguments[0])])


def _parsed(directive: SphinxDirective, lines: list[str]) -> list[nodes.Node]:
    box = nodes.container()
    directive.state.nested_parse(StringList(lines, source="metrics"), directive.content_offset, box)
    return box.children


def check_every_metric_has_its_page(app: Sphinx, *_: object) -> None:
    """Fails the build when a metric has no page, or a page no metric."""
    pages = {page.stem for page in (app.srcdir / "metrics").glob("*.md")} - {"index"}
    if missing := sorted(set(own_metrics()) - pages):
        raise ValueError(f"docs/metrics has no page on {', '.join(missing)}; write one")
    if unknown := sorted(pages - set(own_metrics())):
        raise ValueError(f"docs/metrics has pages on {', '.join(unknown)}, which are no metrics; remove them")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("metric-table", MetricTable)
    app.add_directive("metric-facts", MetricFacts)
    app.connect("builder-inited", check_every_metric_has_its_page)
    return {"parallel_read_safe": True}
