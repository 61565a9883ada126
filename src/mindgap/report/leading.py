"""The attribute that a run worked on, and what its groups are of the training images and of a batch."""

from __future__ import annotations

from mindgap.core.small_group import SMALL_GROUP
from mindgap.report.audited import single_label_audits
from mindgap.report.cautions import cautions
from mindgap.report.estimate import listed, percent
from mindgap.report.network_drawing import batch_shares
from mindgap.report.run_files import RunFiles

OFTEN = 10
"""Times as often as by its share of the images that a group is seen, from which a page warns where it is small."""


def leading_attribute(run: RunFiles) -> str | None:
    """The attribute the run worked on: the one asked for, else the store's default, else the audit's first."""
    _, audit = run.audit
    first = next(iter(single_label_audits(audit).values()), {})
    known = list(first.get("attributes", {}))
    for name in (run.search.get("attribute"), run.options.get("attribute"), run.store.get("default_attribute")):
        if name in known:
            return name
    return known[0] if known else None


def training_counts(run: RunFiles) -> dict[str, int]:
    """Training images of each group of the leading attribute; empty if unknown."""
    groups = run.store.get("attributes", {}).get(leading_attribute(run), {}).get("groups", [])
    return {str(group["name"]): int(group.get("train") or 0) for group in groups}


def shares_of_batches(run: RunFiles) -> dict[str, float] | None:
    """Share of a batch by group; None where batches were natural.

    Of a pruned or tuned network they are those that it was trained with, as far as its settings say.
    """
    told = run.chosen.get("ratios") or (run.metrics.get("training") or {}).get("ratios")
    told = told or (run.provenance.get("trained_with") or {}).get("ratios")
    return batch_shares(told, training_counts(run))


def crowded_batches(run: RunFiles) -> str:
    """Which small groups fill batches with the same few images; empty if none does.

    A group of one training image among 300 that is a third of each batch is seen a hundred times as often as another.
    """
    counts, shares = training_counts(run), shares_of_batches(run) or {}
    total, said = sum(counts.values()), []
    for name, n in counts.items():
        times = shares.get(name, 0.0) * total / n if n else 0.0
        if n < SMALL_GROUP and times >= OFTEN:
            images = f"{n} training image{'s' * (n != 1)}"
            said.append(
                f"{name} ({images}) is {percent(shares[name])} of each batch, {times:.0f} times its natural share"
            )
    return (
        f"Batches repeat a few images: {listed(said)}. Merge such groups, or train with natural batches."
        if said
        else ""
    )


def run_cautions(run: RunFiles) -> list[str]:
    """Those of a run: ``cautions``, and batches that repeat a few images."""
    _, audit = run.audit
    return [*cautions(single_label_audits(audit), run.search), *filter(None, [crowded_batches(run)])]
