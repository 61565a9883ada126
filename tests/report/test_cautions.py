"""What takes the meaning from a finding is said before it."""

from __future__ import annotations

from dataclasses import replace

from mindgap.report.cautions import cautions
from mindgap.report.leading import crowded_batches, run_cautions
from mindgap.report.run_files import RunFiles, read_run
from mindgap.report.verdict import verdicts


def test_a_network_that_names_one_class_for_everyone_is_called_out(make_audit) -> None:
    audit = make_audit(shown=False)
    assert cautions({"": audit}, {}) == []
    audit["overall"]["balanced_accuracy"] = {"value": 1 / 3, "low": 1 / 3, "high": 1 / 3, "n": 600, "reason": None}
    said = cautions({"": audit}, {})[0]
    assert said.startswith("It is not shown to be better than naming one class for everyone")
    assert "n\u00a0=\u00a0600" in said


def test_a_search_without_a_candidate_above_the_limit_says_the_choice_is_arbitrary() -> None:
    search = {"reward": {"accuracy_floor": 0.5}, "trials": [{"accuracy": 0.4}, {"accuracy": None}]}
    assert "the choice among them is arbitrary" in cautions({}, search)[0]
    search["trials"].append({"accuracy": 0.5})
    assert cautions({}, search) == []


def test_the_share_that_chance_gives_counts_only_classes_that_occur(make_audit) -> None:
    """Of three declared classes two occur: one class for all is right on half of them, not on a third."""
    audit = make_audit(shown=False)
    audit["overall"]["balanced_accuracy"] = {"value": 0.5, "low": 0.45, "high": 0.55, "n": 600, "reason": None}
    assert cautions({"": audit}, {}) == []
    audit["class_support"] = {"melanoma": 0, "nevus": 400, "keratosis": 200}
    said = cautions({"": audit}, {})[0]
    assert "where one class for all gives 50.0\u202f% (2 classes occur)" in said


def test_one_class_that_occurs_can_tell_nothing(make_audit) -> None:
    audit = make_audit(shown=False) | {"class_support": {"melanoma": 0, "nevus": 600, "keratosis": 0}}
    assert cautions({"": audit}, {}) == [
        "Only class nevus occurs: accuracy here says nothing of telling classes apart."
    ]


def test_permutations_that_could_show_nothing_are_said_to_be_too_few(make_audit) -> None:
    """Over 2 labels of 2 attributes a p of 1/31 is 4/31 = .129 after Holm: it is not called chance either."""
    part = make_audit(shown=True) | {"settings": {"permutations": 30}}
    part["attributes"]["sex"]["gaps"]["unfairness"]["p_value"] = 1 / 31
    audits = {"a": part, "b": make_audit(shown=False) | {"settings": {"permutations": 30}}}
    (said,) = cautions(audits, {})
    assert said.startswith("30 permutations are too few to show a gap: over 4 comparisons no p after Holm can be")
    assert said.endswith("under 0.129. Audit with 80 permutations or more.")
    assert verdicts(audits)["a"]["sex", "unfairness"].text.startswith("not judged: too few permutations")
    enough = {label: audit | {"settings": {"permutations": 80}} for label, audit in audits.items()}
    assert cautions(enough, {}) == []


def test_a_few_images_that_fill_batches_are_warned_of(make_search_run) -> None:
    """One image of 301 that is .25 of each batch is seen 75 times as often as by its share."""
    run = read_run(make_search_run())
    groups = [{"name": "most", "train": 300}, {"name": "one", "train": 1}]
    store = run.store | {"attributes": {"sex": {"groups": groups}}}
    slot = run.search["chosen"]

    def with_share(share: float, images: int) -> RunFiles:
        groups[1]["train"] = images
        trials = [
            trial | ({"ratios": {"most": 1 - share, "one": share}} if trial["slot"] == slot else {})
            for trial in run.search["trials"]
        ]
        return replace(run, store=store, search=run.search | {"trials": trials})

    said = (
        "Batches repeat a few images: one (1 training image) is 25.0\u202f% of each batch, 75 times its natural share."
    )
    assert any(line.startswith(said) for line in run_cautions(with_share(0.25, 1)))
    for share, images in ((0.02, 1), (0.5, 30), (0.25, 20)):  # a share near its own; enough images; 5 times its own
        assert crowded_batches(with_share(share, images)) == "", (share, images)
    assert crowded_batches(replace(run, store={})) == ""
