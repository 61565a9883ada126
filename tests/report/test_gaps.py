"""A gap's drawing puts the floor on the side of no harm and never leaves its scale."""

from __future__ import annotations

from mindgap.metrics.metric import gap_metrics
from mindgap.report.estimate import Estimate
from mindgap.report.gaps import draw_gap, gap_rows
from mindgap.report.measures import in_page_order, measure_of
from mindgap.report.verdict import verdicts


def test_the_floor_of_a_difference_starts_at_zero() -> None:
    drawn = draw_gap(Estimate(0.3, 0.2, 0.4, 9, None, 0.05, 0.1, 0.01), measure_of("unfairness"), high=0.5)
    assert '<rect x="0" width="20.000%" y="3" height="18" class="floor">' in drawn


def test_the_floor_of_a_ratio_ends_at_one() -> None:
    drawn = draw_gap(Estimate(0.8, 0.7, 0.9, 9, None, 0.95, 0.9, 0.01), measure_of("accuracy_ratio"), high=1.0)
    assert '<rect x="90.000%" width="10.000%" y="3" height="18" class="floor">' in drawn


def test_an_undefined_gap_is_drawn_as_its_reason() -> None:
    drawn = draw_gap(Estimate(None, reason="one group <has> no rows"), measure_of("spd"), high=1.0)
    assert "not defined: one group &lt;has&gt; no rows" in drawn


def test_rows_come_in_the_page_order_and_a_plug_in_gap_comes_last(make_audit) -> None:
    audit = make_audit(shown=True)
    part = audit["attributes"]["sex"]
    part["gaps"]["my_own_gap"] = dict(part["gaps"]["unfairness"])
    rows = gap_rows("sex", part, verdicts({"": audit})[""])
    assert [row.measure.name for row in rows][:2] == ["unfairness", "unfairness_standardized"]
    assert rows[-1].measure.label == "my own gap"
    assert in_page_order(["zzz", "abroca", "unfairness"]) == ["unfairness", "abroca", "zzz"]


def test_a_plug_in_gap_takes_its_direction_from_its_floor() -> None:
    unknown = measure_of("my_own_gap")
    assert unknown.worse_is_larger(Estimate(0.5, noise_mean=0.2, noise_p95=0.3))
    assert not unknown.worse_is_larger(Estimate(0.5, noise_mean=0.3, noise_p95=0.2))


def test_a_row_says_its_reading_in_few_words_with_n(make_audit) -> None:
    part = make_audit(shown=False)["attributes"]
    rows = {row.measure.name: row for row in gap_rows("age", part["age"], verdicts({"": {"attributes": part}})[""])}
    assert rows["unfairness"].reading == "not shown at n\u00a0=\u00a0588"
    assert rows["unfairness_standardized"].reading == "not defined"
    shown = make_audit(shown=True)["attributes"]
    assert (
        gap_rows("sex", shown["sex"], verdicts({"": {"attributes": shown}})[""])[0].reading == "beyond its noise floor"
    )


def test_a_sum_over_classes_does_not_shrink_the_differences_beside_it(make_audit) -> None:
    part = make_audit(shown=True)["attributes"]["sex"]
    before = {
        row.measure.name: row.drawing
        for row in gap_rows("sex", part, verdicts({"": {"attributes": {"sex": part}}})[""])
    }
    part["gaps"]["equalized_odds_fairprune"] = {**part["gaps"]["unfairness"], "value": 7.0, "low": 6.0, "high": 8.0}
    after = {
        row.measure.name: row.drawing
        for row in gap_rows("sex", part, verdicts({"": {"attributes": {"sex": part}}})[""])
    }
    assert {name: drawn for name, drawn in after.items() if name != "equalized_odds_fairprune"} == before


def test_every_registered_gap_has_its_words() -> None:
    known = {metric.name: metric for metric in gap_metrics()}
    for name, metric in known.items():
        measure = measure_of(name)
        assert measure.says != "a gap of a plug-in", name
        assert measure.larger_is_better == (metric.direction == "larger")
        if measure.parity is not None:
            assert measure.parity == metric.ideal


def test_the_other_conventions_do_not_shrink_the_gaps_that_lead(make_audit) -> None:
    part = make_audit(shown=True)["attributes"]["sex"]
    part["gaps"] |= {f"eopp{k}": dict(part["gaps"]["unfairness"]) for k in range(6)}

    def drawn() -> dict[str, str]:
        judged = verdicts({"": {"attributes": {"sex": part}}})[""]
        return {row.measure.name: row.drawing for row in gap_rows("sex", part, judged)}

    before = drawn()
    part["gaps"]["eopp0"] |= {"value": 0.9, "low": 0.8, "high": 1.0}
    after = drawn()
    assert after["eopp1"] != before["eopp1"]
    assert all(after[name] == before[name] for name in before if not name.startswith("eopp"))
