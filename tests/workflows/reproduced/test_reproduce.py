"""A recipe is carried out: the paper's figures beside ours, every claim judged, and nothing made twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.workflows.reproduced.conftest import QUICK, SEVERAL, SINGLE, write_recipe

from mindgap.api import compare, reproduce, tone
from mindgap.audit.claim import judge_claim, judge_gap
from mindgap.cli.main import run as command
from mindgap.core.config import read_toml
from mindgap.core.errors import MindgapError
from mindgap.core.files import read_json, write_json
from mindgap.metrics.holm import holm
from mindgap.testing.tiny_store import write_tiny_store

COUNTED = {"bootstrap": 60, "permutations": 60, "seed": 0, "attributes": "sex", "cluster": "cluster", "split": "test"}


def test_a_row_is_the_mean_over_the_runs_of_its_step(done: Path) -> None:
    record = read_json(done / "reproduce.json")
    plain = record["rows"][0]
    own = [read_json(done / "steps" / f"plain_{seed}" / "metrics.json")["test"] for seed in (0, 1)]
    assert plain["runs"] == 2
    assert plain["figures"]["accuracy"]["mean"] == pytest.approx(
        sum(audit["overall"]["accuracy"]["value"] for audit in own) / 2
    )
    gaps = [audit["attributes"]["sex"]["gaps"]["unfairness"] for audit in own]
    assert plain["figures"]["u"]["mean"] == pytest.approx(sum(gap["value"] for gap in gaps) / 2)
    assert plain["figures"]["u"]["noise_p95"] == pytest.approx(sum(gap["noise_p95"] for gap in gaps) / 2)
    assert plain["paper"] == {"accuracy": 0.8, "u": 0.1}


def test_a_claims_difference_is_that_of_the_verb_compare(done: Path) -> None:
    claim = read_json(done / "reproduce.json")["claims"][0]
    runs = [done / "steps" / f"{name}" for name in ("plain_0", "plain_1")]
    methods = read_json(done / "steps" / "methods" / "compare.json")["methods"]["reweight"]["runs"]
    theirs = [done / "steps" / "methods" / run["folder"] for run in methods]
    tables = [folder / "predictions.parquet" for folder in (*runs, *theirs)]
    alone = compare(tables[0], tables[2], gap="unfairness", **COUNTED)
    first = alone["attributes"]["sex"]["gaps"]["unfairness"]
    assert claim["published"] == -0.05
    assert claim["difference"]["low"] < claim["difference"]["high"]
    both = [compare(tables[k], tables[k + 2], gap="unfairness", **COUNTED) for k in (0, 1)]
    values = [next(iter(one["attributes"]["sex"]["gaps"]["unfairness"].values()))["value"] for one in both]
    assert claim["difference"]["value"] == pytest.approx(sum(values) / 2)
    assert next(iter(first.values()))["value"] == pytest.approx(values[0])


def test_every_claim_has_a_verdict_and_what_is_missing_says_why(done: Path) -> None:
    record = read_json(done / "reproduce.json")
    by_name = {claim["says"]: claim for claim in record["claims"]}
    for name, claim in by_name.items():
        if claim["difference"] and claim["difference"]["low"] is not None:
            again = judge_claim(
                claim["difference"],
                direction=claim["direction"],
                published=claim["published"] if claim["margin"] is None else None,
                margin=claim["margin"],
                by_seed=claim["seeds"]["by_seed"],
                permutations=60,
            )
            assert claim["difference"]["value"] == pytest.approx(sum(claim["seeds"]["by_seed"]) / 2), name
            assert (claim["verdict"], claim["why"]) == (again.verdict, again.why), name
    tested = [
        c["difference"] for c in by_name.values() if c["margin"] is None and (c["difference"] or {}).get("p_value")
    ]
    adjusted = holm(dict(enumerate(one["p_value"] for one in tested)))
    assert tested
    assert [one["p_holm"] for one in tested] == list(adjusted.values())
    audits = [read_json(done / "steps" / f"plain_{seed}" / "metrics.json")["test"] for seed in (0, 1)]
    chances = [audit["attributes"]["sex"]["gaps"]["unfairness"]["p_value"] for audit in audits]
    assert by_name["there is a gap"]["verdict"] == judge_gap(chances, permutations=60).verdict
    assert by_name["magic helps"]["why"] == "row 'no such method' is missing"
    assert by_name["the moon matters"]["why"] == "the store has no attribute 'moon'"
    assert record["rows"][3]["missing"] == "step methods left no network 'magic'"
    assert record["rows"][0]["figures"]["of_moon"]["reason"] == "the store has no attribute 'moon'"


def test_the_table_by_group_and_what_was_spent_are_there(done: Path) -> None:
    record = read_json(done / "reproduce.json")
    assert set(record["by_group"]["rows"]["plain"]) == {"a", "b"}
    spent = {step["name"]: step["image_passes"] for step in record["steps"]}
    single = read_json(done / "steps" / "plain_0" / "metrics.json")["training"]["image_passes"]
    assert spent["plain"] == 2 * single
    pruned = [read_json(done / "steps" / f"pruned_{seed}" / "metrics.json")["training"] for seed in (0, 1)]
    records = [read_json(done / "steps" / f"pruned_{seed}" / "prune.json") for seed in (0, 1)]
    controls = [one["image_passes"] for record in records for one in record["control"]]
    assert len(controls) == 2
    assert min(controls) > 0
    assert spent["pruned"] == sum(one["image_passes"] for one in pruned) + sum(controls)
    runs = {step["name"]: step["runs"] for step in record["steps"]}
    assert runs == {"plain": 2, "methods": 4, "pruned": 2}


def test_a_pruned_row_says_how_many_iterations_each_seed_kept(done: Path) -> None:
    rows = {row["label"]: row["kept"] for row in read_json(done / "reproduce.json")["rows"]}
    kept = [read_json(done / "steps" / f"pruned_{seed}" / "prune.json")["kept"] for seed in (0, 1)]
    assert kept == [1, 1]
    assert rows == {"plain": None, "reweighted": None, "pruned": kept, "no such method": None}
    said = f"pruned (iterations of pruning kept: {kept[0]} and {kept[1]})"
    assert said in (done / "report.html").read_text(encoding="utf-8")


def test_the_page_is_escaped_and_says_what_held_up(done: Path) -> None:
    page = (done / "report.html").read_text(encoding="utf-8")
    assert "all of it &lt;b&gt;differs&lt;/b&gt;" in page
    assert "Of 5 claims: shown " in page
    assert str(done) not in page


def test_finished_it_is_read_again_and_unfinished_only_what_is_missing_is_made(done: Path, store: Path) -> None:
    recipe = str(done.parent / "own.toml")
    record = read_json(done / "reproduce.json")
    stamp = (done / "steps" / "plain_0" / "weights.safetensors").stat().st_mtime_ns
    assert reproduce(recipe, data=store, attribute="sex", out=done, **QUICK) == record
    provenance = read_json(done / "provenance.json")
    write_json(done / "provenance.json", provenance | {"finished": None})
    (done / "reproduce.json").unlink()
    assert reproduce(recipe, data=store, attribute="sex", out=done, **QUICK) == record
    assert (done / "steps" / "plain_0" / "weights.safetensors").stat().st_mtime_ns == stamp


def test_of_several_labels_each_is_judged(several_store: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, SEVERAL)
    record = reproduce(str(recipe), data=several_store, attribute="sex", out=tmp_path / "run", **QUICK)
    assert set(record["claims"][0]["labels"]) == set(record["claims"][1]["labels"]) == {"red", "even"}
    assert set(record["rows"][1]["figures"]["uei"]["labels"]) == {"red", "even"}
    audit = read_json(tmp_path / "run" / "steps" / "base" / "metrics.json")["test"]["labels"]["red"]
    score = audit["attributes"]["sex"]["per_class"]["1"]["underestimation"]["a"]["value"]
    assert record["by_group"]["rows"]["red"]["a"]["mean"] == pytest.approx(score)
    assert "UEI by label" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_tones_are_counted_before_and_after(toned_store: Path, tmp_path: Path) -> None:
    record = reproduce("wc2", data=toned_store, out=tmp_path / "run", **QUICK)
    tones = record["tones"]
    assert tones["printed"]["before"]["II"] == 6619
    assert sum(tones["measured"]["before"].values()) > 60
    assert tones["claim"]["difference"]["second"] > tones["claim"]["difference"]["first"]
    assert tones["claim"]["verdict"] == "shown"
    assert "Images by tone band" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_the_command_prints_the_verdict(done: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["reproduce", str(done.parent / "own.toml"), "--data", str(store), "--attribute", "sex", "--out", str(done)]
    asked += ["--bootstrap", "60", "--permutations", "60", "--workers", "1"]
    assert command(asked) == 0
    said = capsys.readouterr().out
    assert "0.800 → " in said
    assert "Of 5 claims: " in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (('suited = "any"', 'suited = "any"\nfits = 1'), "unknown key 'fits'"),
        (('of = "pruned"', 'of = "prune"'), "row 'pruned' is of step 'prune'"),
        (('figure = "u"', 'figure = "v"'), "is of a row or figure that is not there"),
        (("paper = { accuracy = 0.8, u = 0.1 }", "paper = { f1 = 1.0 }"), "of which there is no column"),
        (("lr = 0.01", "lrr = 0.01"), "step plain: train has no option 'lrr' here"),
        (('run = "@plain"', 'run = "@plane"'), "step 'pruned': run='@plane' refers to nothing"),
        (('"@plain.network"', '"@plain.weights"'), "network='@plain.weights' refers to nothing"),
        (('run = "@plain"', 'run = "@plain.network"'), "needs run='@NAME', an earlier step that leaves one network"),
        (('run = "@plain"', 'run = "@methods"'), "needs run='@NAME', an earlier step that leaves one network"),
        (('"@plain.network"', '"@plain.ratios"'), "network='@plain.ratios' refers to nothing"),
        (("lr = 0.01", "seed = 3"), "step plain: train has no option 'seed' here"),
        (("lr = 0.01", 'out = "x"'), "step plain: train has no option 'out' here"),
        (('network = "NETWORK", ', ""), "step plain: train needs the option 'network'"),
        (("seeds = 2, epochs = 2", "seeds = 0, epochs = 2"), "seeds=0: give 1 or more"),
        (("seeds = 2, epochs = 2", 'seeds = "two", epochs = 2'), "seeds='two': give 1 or more"),
        (('name = "plain"', 'name = "../plain"'), "name is '../plain'"),
        (('label = "pruned"', 'label = "plain"'), "two rows are called 'plain'"),
        (('metric = "unfairness"', 'metric = "unfair"'), "no metric 'unfair'"),
        (('metric = "accuracy"', 'metric = "uei"'), "uei is a gap and needs an attribute"),
        (('metric = "unfairness"', 'metric = "accuracy"'), "accuracy is of all rows and has no attribute"),
        (('by_group = "accuracy"', 'by_group = "uei"'), "by_group='uei'"),
        (('by_group = "accuracy"', 'by_group = "underestimation"'), "is of labels; give task='multi-label'"),
        (("u = 0.05", "u = 0.5"), "a change to a smaller figure is claimed; mend the sign"),
        (("margin = 0.9", "margin = -0.9"), "give the largest loss, above 0"),
    ],
)
def test_a_recipe_with_a_mistake_is_refused(store: Path, tmp_path: Path, changed: tuple[str, str], said: str) -> None:
    recipe = write_recipe(tmp_path, SINGLE.replace(*changed))
    with pytest.raises(MindgapError, match=said):
        reproduce(str(recipe), data=store, attribute="sex", out=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"recipe": "mg2"}, "no recipe 'mg2'; did you mean 'mg1'"),
        ({"recipe": "bc4"}, "is single-label; recipe bc4 is for multi-label data"),
        ({"recipe": "mg1", "attribute": "moon"}, "no attribute 'moon'"),
        ({"recipe": "mg1", "scale": "tiny"}, "scale is 'tiny'"),
        ({"recipe": "wc2"}, "has no lesion masks"),
        ({"recipe": "wc3"}, "has no twins of another tone, which two rows need"),
        ({"recipe": "nowhere.toml"}, "cannot read the file"),
    ],
)
def test_what_cannot_be_made_is_refused(store: Path, tmp_path: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(MindgapError, match=said):
        reproduce(options.pop("recipe"), data=store, out=tmp_path / "run", **QUICK, **options)
    assert not (tmp_path / "run").exists()


def test_a_recipe_that_was_changed_is_another_run(store: Path, done: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, SINGLE.replace("u = 0.05", "u = 0.06"))
    with pytest.raises(MindgapError, match="recipe_digest"):
        reproduce(str(recipe), data=store, attribute="sex", out=done, **QUICK)


def test_the_four_rows_of_a_pruning_with_tones(toned_store: Path, tmp_path: Path) -> None:
    tone(toned_store, out=tmp_path / "toned")
    text = SINGLE.replace("KEPT", "rows = true, control = false").replace('of = "pruned"', 'of = "pruned:both"')
    recipe = write_recipe(tmp_path, text.replace("seeds = 2, epochs = 2", "epochs = 1"))
    record = reproduce(str(recipe), data=tmp_path / "toned", attribute="sex", out=tmp_path / "run", **QUICK)
    both = read_json(tmp_path / "run" / "steps" / "pruned" / "rows" / "both" / "metrics.json")["test"]
    row = next(row for row in record["rows"] if row["label"] == "pruned")
    assert row["figures"]["accuracy"]["mean"] == pytest.approx(both["overall"]["accuracy"]["value"])
    passes = {step["name"]: step["image_passes"] for step in record["steps"]}
    places = [tmp_path / "run" / "steps" / "pruned" / part for part in ("", "rows/tone", "rows/both")]
    assert passes["pruned"] == sum(read_json(place / "metrics.json")["training"]["image_passes"] for place in places)


@pytest.mark.slow
def test_batches_that_a_search_chose_are_trained_with(tmp_path: Path) -> None:
    store = write_tiny_store(tmp_path / "store", n=900)
    text = SINGLE
    search = """
[[steps]]
name = "search"
verb = "search"
says = "batches"
options = { network = "NETWORK", trials = 2, epochs = 1, preset = "quick" }
"""
    text = text.replace("[[steps]]", search + "[[steps]]", 1)
    text = text.replace('precision = "fp32", lr = 0.01', 'precision = "fp32", ratios = "@search.ratios"')
    recipe = write_recipe(tmp_path, text)
    reproduce(str(recipe), data=store, attribute="sex", out=tmp_path / "run", **QUICK)
    found = read_json(tmp_path / "run" / "steps" / "search" / "search.json")
    chosen = next(trial for trial in found["trials"] if trial["slot"] == found["chosen"])["ratios"]
    asked = read_toml(tmp_path / "run" / "steps" / "plain_0" / "config.toml")["options"]["ratios"]
    given = asked if isinstance(asked, dict) else dict(pair.split("=") for pair in asked.split(","))
    assert {name: float(share) for name, share in given.items()} == pytest.approx(chosen)
    card = (tmp_path / "run" / "steps" / "search" / "model_card.md").read_text(encoding="utf-8")
    assert "not recorded" not in card.split("## ")[0]


def test_a_figure_of_two_classes_is_undefined_of_three(toned_store: Path, tmp_path: Path) -> None:
    text = SINGLE.replace('label = "accuracy"\nmetric = "accuracy"', 'label = "F1"\nmetric = "positive_f1"')
    text = text.replace(
        'metric = "unfairness"\nattribute = "main"', 'metric = "positive_f1_difference"\nattribute = "main"'
    )
    recipe = write_recipe(tmp_path, text.replace("seeds = 2, epochs = 2", "epochs = 1"))
    record = reproduce(str(recipe), data=toned_store, attribute="sex", out=tmp_path / "run", **QUICK)
    reason = "positive_f1 is not defined for this store's classes"
    assert record["rows"][0]["figures"]["accuracy"] == {"mean": None, "low": None, "high": None, "reason": reason}
    why = {claim["figure"]: claim["why"] for claim in record["claims"][:2]}
    assert why == {"u": reason.replace("f1", "f1_difference"), "accuracy": reason}
