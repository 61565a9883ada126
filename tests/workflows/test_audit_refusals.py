"""What ``audit`` refuses, and that it writes whole files or none."""

from __future__ import annotations

import json
import os

import pytest

from mindgap.api import audit
from mindgap.core.errors import CapacityError, ConfigError, MindgapError

FEW = {"bootstrap": 20, "permutations": 20}


def refusal(path, *, kind=MindgapError, **options):
    with pytest.raises(kind) as caught:
        audit(path, **{"attributes": "sex"} | FEW | options)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path}", "FILE").replace(f"{path.parent}/", "")


def strict(path):
    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.mark.parametrize("option", ["json", "html"])
def test_what_is_read_is_never_written(table, tmp_path, option, made):
    path = table()
    before = path.read_bytes()
    (tmp_path / "link.json").symlink_to(path)
    os.link(path, tmp_path / "hard.json")
    for place in (path, tmp_path / "link.json", tmp_path / "hard.json", tmp_path / "sub" / ".." / "predictions.csv"):
        with pytest.raises(ConfigError, match="that file is an input and would be lost"):
            audit(path, attributes="sex", **{option: place}, **FEW)
    metadata = table({"id": made()["id"], "site": ["x", "y"] * 120}, name="metadata.csv")
    with pytest.raises(ConfigError, match="that file is an input"):
        audit(path, attributes="site", table=metadata, **{option: metadata}, **FEW)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_refused_before_the_work(table, tmp_path):
    path = table()
    (tmp_path / "file").write_text("")
    for place, kind in (
        (tmp_path, ConfigError),
        ("/dev/null", ConfigError),
        (tmp_path / "file" / "a.json", CapacityError),
    ):
        with pytest.raises(kind):
            audit(path, attributes="sex", json=place, bootstrap=10**6)
    with pytest.raises(ConfigError, match="--json and --html are both"):
        audit(path, attributes="sex", json=tmp_path / "a", html=tmp_path / "a", bootstrap=10**6)


def test_a_file_that_is_there_is_replaced_and_a_link_stays_one(table, tmp_path):
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "link.json").symlink_to(tmp_path / "old.json")
    record = audit(table(), attributes="sex", json=tmp_path / "link.json", **FEW)
    assert (tmp_path / "link.json").is_symlink()
    assert strict(tmp_path / "old.json") == record


def test_a_full_disk_leaves_nothing_half_written(table, small_disk, made):
    (small_disk / "fill").write_bytes(b"0" * (200 << 10))
    path = table(made(800) | {"sex": [f"g{k % 100}" for k in range(800)]})
    with pytest.raises(CapacityError, match="No space left on device"):
        audit(path, attributes="sex", json=small_disk / "sub" / "audit.json", bootstrap=5, permutations=5)
    assert os.listdir(small_disk) == ["fill"]


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"attributes": None},
         "FILE: no attribute is named; name columns of groups with --attributes, from: sex, age, patient"),
        ({}, {"attributes": ""}, "FILE: no attribute is named; "),
        ({"sex": None, "age": None, "patient": None}, {"attributes": None},
         ("FILE: no attribute is named; name columns of groups with --attributes, but there is no column for it: add "
         "one; or join it with --table metadata.csv --id COLUMN")),
        ({"sex": None, "age": None, "patient": None, "label": None}, {"attributes": None},
         ("FILE: no attribute is named; name columns of groups with --attributes, but there is no column for it: add "
         "one; or join it with --table metadata.csv --id COLUMN --label COLUMN")),
        ({"label": None}, {},
         ("FILE: no column 'label' for the classes, and no label_<name>; known: age, id, patient, prob_bcc, prob_mel, "
         "prob_nv, sex; name it with --label COLUMN; or join it with --table metadata.csv --id COLUMN --label COLUMN")),
        ({}, {"attributes": "sexe"}, "FILE: no column 'sexe' for the attribute; did you mean 'sex'? known: age, "),
        ({}, {"attributes": "tone"},
         ("FILE: no column 'tone' for the attribute; known: age, id, label, patient, prob_bcc, prob_mel, prob_nv, sex; "
         "or join it with --table metadata.csv --id COLUMN")),
        ({"label": None}, {"attributes": "tone"},
         ("FILE: no column 'tone' for the attribute; known: age, id, patient, prob_bcc, prob_mel, prob_nv, sex; or "
         "join it with --table metadata.csv --id COLUMN --label COLUMN")),
        ({}, {"attributes": "label"}, "FILE: 'label' is no attribute but a column of the predictions; "),
        ({}, {"attributes": "sex*prob_nv"}, "FILE: 'prob_nv' is no attribute but a column of the predictions; "),
        ({}, {"attributes": "sex,sex"}, "attribute 'sex' names 'sex' twice; "),
        ({}, {"attributes": "age:bands=3/1"}, "attribute 'age:bands=3/1': bands="),
        ({}, {"attributes": "age:bands=200/300"},
         "FILE: attribute 'age' is missing in every row (239 values fit no group); "),
        ({}, {"attributes": "id*sex"}, "FILE: 'id' is no attribute"),
        ({"sex": "a"}, {}, "FILE: attribute 'sex' has one group only, 'a'; a gap needs two"),
        ({"sex": ["f", "m", "f "] * 80}, {},
         "FILE: attribute 'sex': 'f' and 'f ' differ by blanks only; clean the column"),
        ({"at, birth": "a"}, {"attributes": "at, birth"},
         ("FILE: no column 'at' for the attribute; rename the column 'at, birth': with a ',' in its name it cannot be "
         "given here; known: age, id, label, patient, prob_bcc, prob_mel, prob_nv, sex; or join")),
        ({"at: birth": "a"}, {"attributes": "at: birth"},
         "attribute 'at: birth': no option ' birth'; known: bands, quantiles; rename a column with a ':' in its name"),
        ({"Sex ": "a", " Sex": "a"}, {"attributes": "Sex "},
         ("FILE: no column 'Sex' for the attribute; rename one of the columns ' Sex' and 'Sex ': they differ by blanks "
         "only; did you mean 'sex'? known: age, id, ")),
        ({"label ": "a"}, {"attributes": "label "}, "FILE: 'label' is no attribute but a column of the predictions; "),
        ({"sex": ""}, {}, "FILE: attribute 'sex' is missing in every row (every cell is empty); "),
        ({"sex": [f"g{k}" for k in range(240)]}, {}, "FILE: attribute 'sex' makes a group of each image, 240 groups "),
        ({}, {"cluster": "patients"}, "FILE: no column 'patients' for the clusters; did you mean 'patient'?"),
        ({}, {"id": "image_id"}, "FILE: no column 'image_id' for the --id"),
        ({}, {"label": "dx"}, "FILE: no column 'dx' for the --label"),
        ({}, {"table": "no.csv"}, "no.csv: cannot read the table (No such file or directory); check the path"),
        ({}, {"interval": "bcs"}, "interval='bcs': did you mean 'bca'? known: bca, percentile"),
        ({}, {"floor": "none"}, "floor='none': known: all-classes, within-class"),
        ({}, {"bootstrap": -1}, "bootstrap=-1: need 0 or more"),
        ({}, {"seed": -1}, "seed=-1: need 0 or more"),
        ({}, {"permutations": 2_000_000}, "permutations=2000000: need 1000000 or less"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(table, changes, options, message):
    assert refusal(table(**changes), **options).startswith(message)


def test_where_a_table_was_joined_no_other_is_suggested(table, made):
    other = table({"id": made()["id"], "site": ["x", "y"] * 120}, name="m.csv")
    assert "metadata.csv" not in refusal(table(), attributes="tone", table=other)
    assert "metadata.csv" not in refusal(table(label=None), attributes="site", table=other)


def test_values_of_a_joined_table_that_differ_by_blanks_only_are_one_line(table, made, tmp_path):
    other = table({"id": made()["id"], "site": ["x", "y", "x "] * 80}, name="m.csv")
    said = refusal(table(), attributes="site", table=other, json=tmp_path / "new" / "audit.json")
    assert said == "FILE: attribute 'site': 'x' and 'x ' differ by blanks only; clean the column"
    assert sorted(os.listdir(tmp_path)) == ["m.csv", "predictions.csv"]


def test_too_many_groups_are_one_line(table, made):
    columns = made(2400) | {"sex": [f"g{k // 2}" for k in range(2400)]}
    assert refusal(table(columns)) == (
        "FILE: attribute 'sex' has 1200 groups, such as 'g0'; an audit takes at most 1000: name another column, "
        "or cut numbers as age:bands=0/30/60"
    )


def test_one_row_is_one_line(table, made):
    assert refusal(table(made(1))) == "FILE: attribute 'sex' has one group only, 'b'; a gap needs two"
