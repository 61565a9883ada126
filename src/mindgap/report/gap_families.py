"""Which gaps lead a page and the terminal, and under which heading the other conventions stand.

One vector of predictions has an equalised-odds gap of .05 to .58, depending on the convention; a page that listed all
of them side by side would be read for the one that suits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

HEADLINE = (
    "unfairness",
    "unfairness_standardized",
    "unfairness_within_class",
    "accuracy_difference",
    "accuracy_ratio",
    "worst_group_accuracy",
    "equalized_odds_abs_mean",
    "abroca",
    "uei",
)
"""The gaps that lead a page, and that the terminal prints, in this order."""
_MANY = 12
"""Gaps up to which a page shows all in one table."""
_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "Equalised odds and equal opportunity, other conventions": ("equalized_odds", "eopp"),
    "Accuracy, F1 and ranking": (
        "accuracy",
        "f1",
        "macro_f1",
        "positive_f1",
        "spd",
        "balanced_accuracy",
        "worst_group",
        "auroc",
    ),
    "Shares and case mix": ("unfairness", "selection_rate", "uei", "abroca", "ece"),
}
OTHER = "Others"
CONVENTIONS = next(iter(_FAMILIES))


def headline(names: Sequence[str]) -> list[str]:
    """The gaps that lead, in their order; all of them where there are few."""
    if len(names) <= _MANY:
        return list(names)
    return [name for name in names if name in HEADLINE]


def families(names: Sequence[str]) -> dict[str, list[str]]:
    """The gaps that do not lead by heading, each in the order given; a heading without gaps is left out.

    Example:
        Of thirteen gaps, ``eopp0`` stands under the conventions of equalised odds, a plug-in's under the others.
    """
    leading = set(headline(names))
    found: dict[str, list[str]] = {title: [] for title in (*_FAMILIES, OTHER)}
    for name in names:
        if name not in leading:
            title = next((t for t, starts in _FAMILIES.items() if name.startswith(starts)), OTHER)
            found[title].append(name)
    return {title: members for title, members in found.items() if members}
