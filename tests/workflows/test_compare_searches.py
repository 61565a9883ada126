"""``compare`` on runs of ``search``."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from mindgap.api import compare
from mindgap.cli.compare_lines import compare_lines

FEW = {"bootstrap": 20, "permutations": 20}


@pytest.fixture
def search_of(tmp_path, made):
    """Writes a folder as a finished search leaves it; candidates are (accuracy, U)."""

    def write(name, *candidates, searcher="random", seed=0, attribute="sex"):
        folder = tmp_path / name
        folder.mkdir()
        table = {k: v for k, v in made().items() if k not in {"patient", "age"}}
        pd.DataFrame(table | {"split": "test"}).to_parquet(folder / "predictions.parquet")
        options = {"fingerprint": "abc", "searcher": searcher, "attribute": attribute, "seed": seed}
        lines = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
        (folder / "config.toml").write_text("\n".join(['verb = "search"', "[options]", *lines]))
        trials = [
            {
                "slot": k,
                "state": "complete",
                "accuracy": a,
                "unfairness": u,
                "macs": 5 + k,
                "image_passes": 100,
                "epochs": 4,
            }
            for k, (a, u) in enumerate(candidates)
        ]
        own = {"unfairness": "plain", "excluded_groups": [], "reward": {"accuracy_floor": 0.5}, "trials": trials}
        (folder / "search.json").write_text(json.dumps({**options, **own}))
        return folder

    return write


def test_seeds_of_a_search_are_one_search_with_an_interval(search_of, tmp_path):
    runs = [search_of(f"random-{k}", (0.6, 0.3), (0.7 + 0.01 * k, 0.2), seed=k) for k in range(3)]
    runs += [search_of(f"evolution-{k}", (0.9, 0.1 + 0.01 * k), searcher="evolution", seed=k) for k in range(2)]
    record = compare(*runs, json=tmp_path / "c.json", html=tmp_path / "c.html", **FEW)
    searches = record["searches"]
    assert searches["reference"] == pytest.approx({"accuracy": 0.5, "unfairness": 0.33, "macs": 6.6})
    assert searches["equal_passes"] == 100
    random, evolution = searches["searches"]
    assert (random["name"], random["searcher"], random["seeds"]) == ("random", "random", [0, 1, 2])
    assert random["final"]["low"] < random["final"]["value"] < random["final"]["high"]
    assert evolution["difference_at_equal_passes"]["n"] == 5
    assert json.loads((tmp_path / "c.json").read_text())["searches"] == searches
    lines = "\n".join(compare_lines(record))
    assert "searches: share of the box from accuracy 50.0 %, U 0.330 and 7 MACs" in lines
    assert f"{evolution['final']['value']:.3f} [" in lines
    page = (tmp_path / "c.html").read_text()
    assert "What each search reached" in page
    assert "Hypervolume over image passes: random ends at" in page
    assert page.count('class="curve series-1"') > 2


def test_one_seed_each_says_that_it_has_no_interval(search_of):
    runs = [search_of("a", (0.7, 0.2), (0.6, 0.3)), search_of("b", (0.8, 0.1), searcher="tpe")]
    record = compare(*runs, **FEW)
    assert [one["final"]["low"] for one in record["searches"]["searches"]] == [None, None]
    assert "no interval: one seed" in "\n".join(compare_lines(record))


def test_searches_over_different_attributes_are_models_only_and_the_reason_is_said(search_of, tmp_path):
    runs = [search_of("a", (0.7, 0.2)), search_of("b", (0.8, 0.1), attribute="age")]
    record = compare(*runs, html=tmp_path / "c.html", **FEW)
    assert record["searches"]["reason"] == "the searches have different attributes (a: sex; b: age)"
    assert "searches: not compared, the searches have different attributes (a: sex; b: age)" in compare_lines(record)
    assert "not compared: the searches have different attributes" in (tmp_path / "c.html").read_text()


def test_a_search_beside_a_trained_run_is_a_model_only(search_of):
    search, run = search_of("a", (0.7, 0.2)), search_of("b", (0.8, 0.1))
    (run / "search.json").unlink()
    assert "searches" not in compare(search, run, **FEW)
