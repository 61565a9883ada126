"""What ``explain`` prints."""

from __future__ import annotations

from mindgap.cli.explain_lines import explain_lines

STEERING = "\x1b[2J\n\u202ex"


def record(name="sex", group="a", **changes):
    value = {"value": 0.8, "low": 0.75, "high": 0.85, "n": 40, "reason": None}
    gap = value | {"noise_mean": 0.05, "noise_p95": 0.11, "p_value": 0.001}
    cases = dict.fromkeys(("all", "right", "wrong"), value)
    groups = {group: {"n": 40, "flags": [], "focus": cases}, "b": {"n": 12, "flags": ["small"], "focus": cases}}
    attributes = {name: {"groups": groups, "gaps": dict.fromkeys(cases, gap)}}
    asked = {
        "method": "grad-cam",
        "layer": "head",
        "target": "the predicted class",
        "n": 52,
        "split": "test",
        "map_px": [8, 8],
    }
    return asked | {"focus": cases, "attributes": attributes, "gallery": None} | changes


def test_a_gap_stands_beside_its_noise_floor():
    figure = "0.800 [0.750, 0.850]"
    assert explain_lines(record()) == [
        "grad-cam of head for the predicted class: 52 images of the test split",
        f"focus, 1 if spread evenly: {figure}; right cases {figure}, wrong cases {figure}",
        f"  sex: a {figure} (n = 40), b {figure} (n = 12, small)",
        f"  gap over sex: {figure}; chance and case mix 0.050, 95 % point 0.110, p (not adjusted) = 0.001",
    ]


def test_without_masks_one_line_says_why():
    missing = {"value": None, "low": None, "high": None, "n": 0, "reason": "the store has no lesion masks"}
    lines = explain_lines(record(focus={"all": missing}))
    assert lines[1:] == ["focus not defined (the store has no lesion masks)"]


def test_pictures_of_people_are_announced():
    lines = explain_lines(record(gallery={"examples": [{}, {}]}))
    assert lines[-1] == "the folder and the page hold pictures of people: 2 images with their maps"


def test_a_layer_with_hardly_a_map_is_said_to_say_little():
    lines = explain_lines(record(map_px=[1, 1]))
    assert lines[-1].startswith("The layer's maps have 1 × 1 values: so few cannot follow the border of a lesion")
    missing = {"value": None, "low": None, "high": None, "n": 0, "reason": "the store has no lesion masks"}
    assert len(explain_lines(record(map_px=[1, 1], focus={"all": missing}))) == 2


def test_labels_are_told_apart_and_many_are_counted():
    one = record()
    labels = {f"l{k}": {key: one[key] for key in ("focus", "attributes")} for k in range(8)}
    lines = explain_lines(
        {key: of for key, of in one.items() if key not in {"focus", "attributes"}} | {"labels": labels}
    )
    assert lines[1].startswith("  label l0: focus, 1 if spread evenly: 0.800")
    assert lines[-1] == "and 2 labels more in the record and on the page"


def test_names_steer_no_terminal():
    lines = explain_lines(record(STEERING, STEERING, layer=STEERING, target=STEERING))
    assert all(line.isprintable() for line in lines)
    assert r"\x1b[2J" in "".join(lines)
