"""The gaps in words: what each is called on a page, what it says, where parity lies."""

from __future__ import annotations

from dataclasses import dataclass

from mindgap.report.estimate import Estimate


@dataclass(frozen=True)
class Measure:
    """How a page speaks of one gap.

    Attributes:
        name: its key in an AUDIT.
        label: its name on the page.
        says: one line, what it is.
        parity: the value of equal treatment, None where there is no such value.
        larger_is_better: True for ratios and worst-group figures; None where the record has to tell.
        own_scale: whether it is a sum over classes, which would make differences drawn on its scale too small to see.
    """

    name: str
    label: str
    says: str
    parity: float | None = 0.0
    larger_is_better: bool | None = False
    own_scale: bool = False

    def worse_is_larger(self, gap: Estimate) -> bool:
        """Direction of harm; a gap we do not know tells by its floor's adverse tail."""
        if self.larger_is_better is not None:
            return not self.larger_is_better
        return gap.noise_p95 is None or gap.noise_mean is None or gap.noise_p95 >= gap.noise_mean


_KNOWN = (
    Measure("unfairness", "Unfairness U", "sum over groups of |group accuracy − overall accuracy|"),
    Measure(
        "unfairness_standardized",
        "Standardised U",
        "U with every group given the same mix of classes",
    ),
    Measure(
        "unfairness_case_mix",
        "U, case-mix part",
        "what U would be if groups were treated alike within every class; its floor is its value",
    ),
    Measure(
        "unfairness_within_class",
        "U, within-class part",
        "sum over groups of |group accuracy − what its mix of classes would give|",
    ),
    Measure("accuracy_difference", "Accuracy difference", "best group's accuracy − worst group's"),
    Measure(
        "accuracy_ratio",
        "Accuracy ratio",
        "worst group's accuracy ÷ best group's; 1 is parity",
        1.0,
        larger_is_better=True,
    ),
    Measure("f1_difference", "Macro F1 difference", "best group's macro F1 − worst group's"),
    Measure(
        "positive_f1_difference",
        "Positive-class F1 difference",
        "best group's F1 of the positive class − worst group's",
    ),
    Measure(
        "equalized_odds_abs_mean",
        "Equalised odds, abs-mean",
        "mean over classes of half the TPR range + half the FPR range",
    ),
    Measure("equalized_odds_worst", "Equalised odds, worst", "mean over classes of the larger of TPR and FPR range"),
    Measure("equalized_odds_worst_max", "Equalised odds, worst-max", "largest over classes of TPR or FPR range"),
    Measure(
        "equalized_odds_pairs_max",
        "Equalised odds, pairs-max",
        "mean over classes of half of |ΔTPR| + |ΔFPR| of the pair of groups that differs most",
    ),
    Measure(
        "equalized_odds_pairs_mean",
        "Equalised odds, pairs-mean",
        "mean over classes and pairs of groups of half of |ΔTPR| + |ΔFPR|",
    ),
    Measure("equalized_odds_deo", "Equalised odds, deo", "largest over classes of the recall range"),
    Measure(
        "equalized_odds_fairprune",
        "Equalised odds, fairprune",
        "sum over classes of the range of TPR + FPR, in which the two may cancel",
        own_scale=True,
    ),
    Measure(
        "equalized_odds_scp",
        "Equalised odds, scp",
        "mean over classes of half the range of TPR + FPR, in which the two may cancel; empty cells count as 0",
    ),
    Measure(
        "equalized_odds_fairadabn",
        "Equalised odds, fairadabn",
        "mean over classes of the range of TPR + TNR, in which the two may cancel",
    ),
    Measure(
        "equalized_odds_medfair",
        "Equalised odds, medfair",
        "two classes: 1 − half the TPR range − half the FPR range; 1 is parity",
        1.0,
        larger_is_better=True,
    ),
    Measure("eopp0", "EOpp0", "mean over classes of the range of true negative rates"),
    Measure("eopp1", "EOpp1", "mean over classes of the range of true positive rates"),
    Measure("spd", "SPD", "mean over groups of |group accuracy − smallest group's accuracy|"),
    Measure(
        "selection_rate_ratio",
        "Selection-rate ratio",
        "smallest share given a class ÷ largest; 1 is parity",
        1.0,
        larger_is_better=True,
    ),
    Measure(
        "selection_rate_difference",
        "Selection-rate difference",
        "largest share given a class − smallest, mean over classes",
    ),
    Measure("auroc_difference", "AUROC difference", "best group's AUROC − worst group's"),
    Measure("abroca", "ABROCA", "area between the groups' ROC curves"),
    Measure(
        "uei",
        "UEI",
        "distance between predicted and true joint shares of classes and groups; 0 is not few errors",
    ),
    Measure("true_positive_rate", "True positive rate", "share of the class that is found", 1.0, larger_is_better=None),
    Measure(
        "false_positive_rate",
        "False positive rate",
        "share of other classes that is given it",
        0.0,
        larger_is_better=None,
    ),
    Measure(
        "underestimation",
        "Underestimation score",
        "share given a class ÷ share that has it; 1 is ideal",
        1.0,
        larger_is_better=None,
    ),
    Measure(
        "worst_group_accuracy",
        "Worst-group accuracy",
        "accuracy of the group with the lowest",
        None,
        larger_is_better=True,
    ),
    Measure(
        "worst_group_auroc", "Worst-group AUROC", "AUROC of the group with the lowest", None, larger_is_better=True
    ),
)
_BY_NAME = {measure.name: measure for measure in _KNOWN}


def measure_of(name: str) -> Measure:
    """The words for a gap; one of a plug-in is called by its own name, with no claim about its parity."""
    return _BY_NAME.get(name) or Measure(
        name, name.replace("_", " "), "a gap of a plug-in", None, larger_is_better=None
    )


def in_page_order(names: list[str]) -> list[str]:
    """Known gaps in the page's order, then the others by name."""
    known = [measure.name for measure in _KNOWN if measure.name in names]
    return known + sorted(set(names) - set(known))
