"""What ``predict`` and ``export`` print: names that others chose steer no terminal and no shell."""

from __future__ import annotations

import shlex

from mindgap.cli.verbs.export import export_lines
from mindgap.cli.verbs.predict import predict_lines

STEERING = "\x1b[2J\n\u202ex"
_EITHER = {
    "task": "single-label",
    "classes": ["a", "b"],
    "n": 3,
    "skipped": {},
    "precision": "float32",
    "predicts_by": None,
}
OF_STORE = _EITHER | {"source": "store", "split": "test", "attributes": ["sex"]}
OF_FOLDER = _EITHER | {"source": "folder", "split": None, "attributes": []}


def test_the_next_command_is_one_that_a_shell_reads_as_meant():
    record = OF_STORE | {"file": "my tables/$(reboot).csv", "attributes": ["skin tone", "a;b", "it's"]}
    *_, command = predict_lines(record)
    assert shlex.split(command.removeprefix("next: ")) == [
        "mindgap", "audit", "my tables/$(reboot).csv", "--attributes", "skin tone,a;b,it's", "--split", "test",
    ]  # fmt: skip
    *_, command = predict_lines(OF_FOLDER | {"file": "my tables/a.csv"})
    assert shlex.split(command.removeprefix("next: "))[:3] == ["mindgap", "audit", "my tables/a.csv"]


def test_names_of_files_attributes_and_skipped_images_steer_no_terminal():
    for record in (OF_STORE | {"attributes": [STEERING], "predicts_by": STEERING}, OF_FOLDER):
        lines = predict_lines(record | {"file": f"{STEERING}.csv", "skipped": {f"{STEERING}.jpg": STEERING}})
        assert len(lines) == 3
        assert all(line.isprintable() for line in lines)
        assert all(r"\x1b[2J" in line for line in lines)


def test_names_of_labels_groups_and_exported_files_steer_no_terminal():
    value = {"value": 0.8, "low": 0.75, "high": 0.85, "n": 300, "reason": None}
    gap = value | {"noise_mean": 0.05, "noise_p95": 0.11, "p_value": 0.001}
    part = {"overall": {"accuracy": value}, "attributes": {STEERING: {"gaps": {"unfairness": gap}}}}
    audit, change = {"labels": {STEERING: part}}, {"accuracy": value, "unfairness": {STEERING: value}}
    agreement = {"n": 3, "images": STEERING, "max_difference": 0.1, "flipped": 0.0}
    record = {
        "file": f"{STEERING}.onnx",
        "bytes": 10,
        "facts": {"input_px": 64, "classes": ["a", "b"]},
        "agreement": agreement,
        "recorded": {"types": STEERING, "n": 3, "decisions": 3, "otherwise": 1, "recorded": 0.8, "exported": 0.7}
        | {"change": value, "reason": None},
        "attribute": STEERING,
        "without_groups": STEERING,
        "int8": agreement
        | {"float32": audit, "int8": audit, "change": {"labels": {STEERING: change}}}
        | {"left_out": {STEERING: [STEERING] * 200}},
    }
    lines = export_lines(record)
    assert len(lines) == 11
    assert sum(" and 194 more), " in line for line in lines) == 3
    assert lines[-1].endswith("+0.8000 [+0.7500, +0.8500]")
    assert all(line.isprintable() for line in lines)


def test_it_is_said_by_what_a_run_predicts_and_what_form_was_exported():
    told = [predict_lines(OF_STORE | {"file": "a.csv", "predicts_by": by})[0] for by in ("sex", None)]
    assert told == [
        "a.csv: 3 images, split test, computed in float32, by their groups of sex",
        "a.csv: 3 images, split test, computed in float32",
    ]
    record = {
        "file": "a.onnx",
        "bytes": 10,
        "facts": {"input_px": 64, "classes": ["a", "b"]},
        "agreement": {"n": 3, "images": "random", "max_difference": 0.1, "flipped": 0.0},
        "recorded": {"reason": "the run's store is gone"},
        "int8": None,
    }
    assert len(export_lines(record | {"without_groups": None})) == 2
    *_, said = export_lines(record | {"without_groups": "fairadabn"})
    assert said.startswith("it is the form of fairadabn that needs no image's group; what that costs is under")


def test_of_several_labels_in_a_folder_the_next_command_asks_for_no_class_column():
    record = OF_FOLDER | {"task": "multi-label", "classes": ["big", "dark"], "file": "a.csv"}
    *_, needs, command = predict_lines(record)
    assert needs == "to audit it, another table needs a column of 0 and 1 for each label: label_big, label_dark"
    assert "--label" not in command
    assert "--label COLUMN" in predict_lines(OF_FOLDER | {"file": "a.csv"})[-1]
    assert len(predict_lines(OF_STORE | {"task": "multi-label", "file": "a.csv"})) == 2  # a store has its labels
