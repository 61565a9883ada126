"""What mitigations measured themselves, as rows of a table."""

from __future__ import annotations

from mindgap.report.methods_page import render_methods
from mindgap.report.mitigation_figures import OwnFigureRow, methods_mitigation_sections
from mindgap.testing.tiny_methods import methods_record
from mindgap.train.own_figure import OwnFigure, figure_records


def test_a_figure_is_read_with_its_n_and_chance():
    (record,) = figure_records([OwnFigure("accuracy", "sex", 0.625, 1600, "images", chance=0.5)])
    assert OwnFigureRow.read(record, whose="fold 1") == OwnFigureRow(
        whose="fold 1", name="accuracy: sex", value="0.625", chance="0.500", n="1\u202f600 images", reason=""
    )


def test_a_figure_that_is_not_defined_says_why_and_is_no_zero():
    (record,) = figure_records([OwnFigure("accuracy", "", None, 0, "images", reason="no image has a known group")])
    row = OwnFigureRow.read(record)
    assert (row.name, row.value, row.chance, row.reason) == ("accuracy", "not defined", "", record["reason"])


def test_methods_have_theirs_by_seed_and_those_of_an_earlier_version_none():
    record = methods_record(name="advrev", seeds=2)
    (section,) = methods_mitigation_sections(record)
    assert [row.whose for row in section.content["own_figures"]] == ["advrev, seed 0", "advrev, seed 1"]
    page = render_methods(record)
    assert page.count("accuracy of the head: advrev") == 2
    for method in record["methods"].values():
        for run in method["runs"]:
            del run["mitigation_figures"]
    assert methods_mitigation_sections(record) == []
    assert "What the methods did" not in render_methods(record)
