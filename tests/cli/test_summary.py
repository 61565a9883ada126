from __future__ import annotations

from mindgap.cli.summary import audit_lines, gap, number, search_lines, status_lines

VALUE = {"value": 0.8, "low": 0.75, "high": 0.85, "n": 300, "reason": None}
GAP = VALUE | {"value": 0.2, "noise_mean": 0.05, "noise_p95": 0.11, "p_value": 0.001}


def test_a_gap_stands_beside_its_interval_and_noise_floor():
    assert gap(GAP) == ("0.200 [0.750, 0.850]; chance and case mix 0.050, 95 % point 0.110, p (not adjusted) = 0.001")


def test_undefined_is_said_with_its_reason():
    undefined = {"value": None, "low": None, "high": None, "n": 0, "reason": "no row is left"}
    assert number(undefined) == "not defined (no row is left)"
    assert gap(undefined | {"noise_mean": None, "noise_p95": None, "p_value": None}) == number(undefined)


def test_the_summary_names_groups_sizes_and_both_gaps():
    attribute = {
        "groups": {"dark": {"n": 20, "accuracy": VALUE, "flags": ["small"]}},
        "gaps": {"unfairness": GAP, "unfairness_standardized": GAP},
    }
    audit = {"task": "single-label", "n": 300, "overall": {"accuracy": VALUE}, "attributes": {"tone": attribute}}
    text = "\n".join(audit_lines({"test": audit}))
    assert "tone=dark, n = 20: accuracy 0.800 [0.750, 0.850]  (small)" in text
    assert "U (tone): 0.200" in text
    assert "U at equal case mix (tone)" in text


def test_a_search_without_a_chosen_network_is_said_plainly():
    record = {"trials": [{"slot": 0, "state": "rejected"}], "excluded_groups": ["dark"], "chosen": None}
    assert search_lines(record) == [
        "1 trials: 1 rejected",
        "groups too small to steer the search, left out of U but not of batches: dark",
    ]


def test_an_arbitrary_choice_among_networks_below_the_floor_is_cautioned_of():
    trial = {"slot": 0, "state": "complete", "accuracy": 0.4, "unfairness": 0.0, "macs": 2e6, "params": 3e3}
    record = {"trials": [trial], "excluded_groups": [], "chosen": 0, "reward": {"accuracy_floor": 0.5}}
    *_, chosen, caution = search_lines(record)
    assert chosen.startswith("chosen: slot 0")
    assert caution.startswith(
        "caution: No candidate trained to the end reached the accuracy that the reward asks for (50.0 %)"
    )
    assert "the choice among them is arbitrary" in caution
    record["reward"] = {"accuracy_floor": 0.4}
    assert search_lines(record)[-1] == chosen


def test_a_figure_without_an_interval_says_why():
    bare = VALUE | {"low": None, "high": None, "reason": "one cluster"}
    assert number(bare) == "0.800 (no interval: one cluster)"


def test_a_gap_without_a_p_value_prints_none():
    assert gap(GAP | {"p_value": None}).endswith("95 % point 0.110")


def test_a_gap_without_a_noise_floor_says_so():
    assert gap(GAP | {"noise_p95": None}) == "0.200 [0.750, 0.850]; no noise floor"
    both = {"low": None, "high": None, "noise_p95": None, "reason": "no interval: one cluster; no noise floor: why"}
    assert gap(GAP | both) == "0.200 (no interval: one cluster; no noise floor: why)"


def test_pooled_folds_are_not_called_the_test_split():
    audit = {"task": "single-label", "n": 300, "overall": {"accuracy": VALUE}, "attributes": {}}
    assert audit_lines({"test": audit, "folds": {"k": 5}})[0].startswith("held-out folds, n = 300: accuracy")


def test_without_a_test_split_the_validation_figures_are_shown_and_named():
    audit = {"task": "single-label", "n": 60, "overall": {"accuracy": VALUE}, "attributes": {}}
    shown = audit_lines({"validation": audit, "test": None})
    assert shown == ["validation (the store has no test split), n = 60: accuracy 0.800 [0.750, 0.850]"]
    labels = {"task": "multi-label", "n": 60, "overall": {"accuracy": VALUE}, "labels": {}}
    assert audit_lines({"validation": labels, "test": None})[0].startswith("validation (the store has no test split), ")


def test_with_neither_split_it_is_said_that_there_is_no_figure():
    assert audit_lines({"validation": None, "test": None}) == [
        "no figures: the store has neither a test nor a validation split"
    ]


def test_a_status_leaves_out_what_has_no_value_yet_and_keeps_a_zero():
    status = {"state": "running", "trained": 0, "best": None, "trials_per_hour": None}
    assert status_lines(status) == ["state: running", "trained: 0"]
