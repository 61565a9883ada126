"""The model card of a run as Markdown: what the network is for, what it was judged on, and what nobody looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgap.core.files import write_text
from mindgap.report.audited import single_label_audits
from mindgap.report.estimate import Estimate, amount, count, decimal, interval, listed, named, p_text, percent, size
from mindgap.report.findings import findings
from mindgap.report.leading import leading_attribute, run_cautions
from mindgap.report.limits import data_limits
from mindgap.report.measures import measure_of
from mindgap.report.origin import commands
from mindgap.report.prune_section import prune_findings, summary_sentences
from mindgap.report.run_files import RunFiles
from mindgap.report.tune_words import tune_findings

CARD = "model_card.md"
GAPS = ("unfairness", "unfairness_standardized", "worst_group_accuracy", "equalized_odds_abs_mean", "uei")
OVERALL = {"accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy", "macro_f1": "Macro F1", "ece": "ECE"}
USE = """\
Research on, and engineering of, classifiers of images like those it was trained on. The figures below are evidence for
a decision, not the decision.

**Not a medical device**: not for diagnosis, not cleared by any authority. Not for decisions about people that nobody
checks. Not for groups that the tables do not list."""
_VERBS = {"train": "trained", "search": "found by a search", "prune": "pruned", "tune": "trained, its head tuned"}


def write_model_card(run: RunFiles) -> Path:
    """Writes ``model_card.md`` into the run's folder and returns its path.

    Raises:
        CapacityError: it cannot be written.
    """
    place = run.path / CARD
    write_text(place, model_card(run))
    return place


def model_card(run: RunFiles) -> str:
    """The card's text; nothing in a name can make markup of it."""
    parts = {
        f"Model card: {plain(run.path.resolve().name)}": _model(run),
        "Intended use": USE.splitlines(),
        "Data": list(_data(run)),
        "How it does": list(_figures(run)),
        "What the data cannot answer": [f"- {plain(line)}" for line in _limits(run)] or ["Nothing was noted."],
        "What was not tested": [f"- {plain(line)}" for line in not_tested(run)],
        "How it was made": ["```", *(line.replace("`", "'") for line in commands(run)), "```", *_made(run)],
    }
    (title, first), *others = parts.items()
    text = [f"# {title}", "", *first]
    for heading, lines in others:
        text += ["", f"## {heading}", "", *lines]
    return "\n".join(text) + "\n"


def plain(text: object) -> str:
    """Text on one line in which Markdown and HTML see no marks of their own: ``<i>`` becomes ``&lt;i&gt;``."""
    line = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]|#" else letter for letter in line)


def not_tested(run: RunFiles) -> list[str]:
    """What nobody should take the figures to speak of."""
    split, audit = run.audit
    parts = single_label_audits(audit)
    attributes = list(next(iter(parts.values()), {}).get("attributes", {}))
    crossed = [name for name in attributes if "*" in name]
    said = [
        "Images of other sources, cameras, clinics or years than the store's, and other sizes than it was trained on.",
        f"Groups by anything but {listed(attributes) or 'nothing: no attribute was audited'}.",
    ]
    if len(attributes) > 1 and not crossed:
        said.append(f"Groups by two attributes at once, such as {attributes[0]} and {attributes[1]} together.")
    if split != "test" or not audit:
        said.append("The test split: the figures are of images that took part in choices.")
    if not run.metrics.get("folds"):
        said.append("Training again with another seed: the intervals are about images, not about trainings.")
    said.append("What people do with the answers, and whether they do better with them than without.")
    return said


def _model(run: RunFiles) -> list[str]:
    cost = run.metrics.get("cost") or {}
    latency = cost.get("latency_ms")
    timed = "" if latency is None else f", {decimal(latency, 1)} ms for one image on the machine it was made on"
    name = run.architecture.get("name") or run.options.get("network") or "not recorded"
    what = (
        f"An image classifier, {_VERBS[run.verb]}: network {plain(name)}, {amount(cost.get('params'))} parameters, "
        f"{amount(cost.get('macs'))} multiply-adds{timed}."
    )
    lines = [what, "", _trained(run)]
    if run.metrics.get("without_groups") is not None:
        lines += ["", "**It predicts by each image's group**, which has to be known; without it, see the report."]
    return lines


def _trained(run: RunFiles) -> str:
    """How it was trained; of a pruned network how it was fine-tuned, and what was taken from it."""
    settings = run.provenance.get("trained_with") or run.options
    how = [plain(_told(settings.get(key, "not recorded"))) for key in ("mitigation", "ratios", "epochs")]
    done = f"the mitigation {how[0]}; batches: {how[1]}; epochs: {how[2]}"
    if not run.prune:
        return f"Trained with {done}."
    before = plain(Path(run.prune["run"]).name)
    said = " ".join(plain(line) for line in summary_sentences(run.prune))
    tuned = f"After each iteration it was fine-tuned with {done}."
    return f"Pruned from {before}, whose own card says how it was trained. {said} {tuned}"


def _told(value: object) -> str:
    """A setting as text; shares of groups to three decimals."""
    if not isinstance(value, Mapping):
        return str(value)
    return ", ".join(f"{name} {of:.3g}" if isinstance(of, float) else f"{name} {of}" for name, of in value.items())


def _data(run: RunFiles) -> Iterator[str]:
    store = run.store
    if not store:
        yield "Not recorded."
        return
    split = store.get("split") or {}
    counts = split.get("counts") or {}
    given = f", as its column {plain(split['column'])} says" if split.get("column") else ""
    given += ", but for validation, which was drawn from its training images" if split.get("drawn") else ""
    shares = listed([f"{count(n)} for {name}" for name, n in counts.items()])
    yield (
        f"{count(store.get('n'))} images of {store.get('size_px')} px, {plain(store.get('task'))}: {shares}{given}; no "
        "patient or lesion, where the table names them, is in two of these."
    )
    yield ""
    yield f"Classes: {plain(named(store.get('classes') or []))}."
    for name, attribute in (store.get("attributes") or {}).items():
        groups = listed([f"{group['name']} {count(group['n'])}" for group in attribute["groups"]])
        yield ""
        yield f"{plain(name)}: {plain(groups)}; unknown {count(attribute.get('unknown'))}."


def _figures(run: RunFiles) -> Iterator[str]:
    split, audit = run.audit
    if not audit:
        yield "No network was trained to the end."
        return
    where = "held-out folds" if run.metrics.get("folds") else f"the {split} split"
    reads = f", read {run.test_reads} times" if run.test_reads > 1 else ""
    yield f"On {where}, {size(audit.get('n'))}{reads}. Intervals are 95 %; a floor is what chance reaches in 1 of 20."
    yield "A gap is called shown by its p after Holm; p and intervals in the tables are not adjusted."
    parts = single_label_audits(audit)
    yield ""
    for caution in run_cautions(run):
        yield f"- **Caution**: {plain(caution)}"
    for finding in findings(parts, lead=leading_attribute(run)):
        yield f"- {plain(finding.title)}"
    beside = [*(prune_findings(run.prune) if run.prune else ()), *(tune_findings(run.tune) if run.tune else ())]
    for finding in beside:
        yield f"- {plain(finding.title)}"
    for label, part in parts.items():
        if label:
            yield ""
            yield f"### {plain(label)}"
        yield ""
        yield from _table(
            ["figure", "value", "interval"],
            [
                [name, _share(one), plain(interval(one, unit="percent"))]
                for key, name in OVERALL.items()
                if (one := Estimate.read(part["overall"].get(key))).value is not None
            ],
        )
        for name, attribute in part["attributes"].items():
            yield from _attribute(name, attribute)


def _attribute(name: str, attribute: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield from _table(
        [plain(name), "n", "accuracy", "interval", "flags"],
        [
            [
                plain(group),
                count(of["n"]),
                _share(one := Estimate.read(of["accuracy"])),
                plain(interval(one, unit="percent")),
                plain(listed(of.get("flags") or [])),
            ]
            for group, of in attribute["groups"].items()
        ],
    )
    yield ""
    known = {gap: Estimate.read(attribute["gaps"][gap]) for gap in GAPS if gap in attribute["gaps"]}
    yield from _table(
        [f"gap over {plain(name)}", "value", "interval", "floor", "p (not adjusted)"],
        [
            [
                plain(measure_of(gap).label),
                decimal(one.value) if one.value is not None else plain(f"not defined: {one.reason}"),
                plain(interval(one)) if one.value is not None else "–",
                decimal(one.noise_p95),
                p_text(one.p_value),
            ]
            for gap, one in known.items()
        ],
    )


def _share(one: Estimate) -> str:
    return percent(one.value) if one.value is not None else plain(f"not defined: {one.reason}")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _limits(run: RunFiles) -> list[str]:
    split, audit = run.audit
    named = {f"{split} split (label {label})" if label else f"{split} split": of for label, of in _parts(audit)}
    return data_limits(named, store=run.store, excluded_groups=run.search.get("excluded_groups") or ())


def _parts(audit: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return list(single_label_audits(audit).items())


def _made(run: RunFiles) -> list[str]:
    record = run.provenance
    packages = record.get("packages") or {}
    versions = [packages.get(name, "not recorded") for name in ("mindgap", "torch")]
    told = f"mindgap {plain(versions[0])}, torch {plain(versions[1])}; data fingerprint "
    told += f"{plain(record.get('fingerprint') or 'not recorded')}"
    return ["", f"{told}; begun {plain(record.get('started') or 'at a time not recorded')}."]
