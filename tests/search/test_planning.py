from __future__ import annotations

import pytest

from mindgap.core.config import dump_toml
from mindgap.core.errors import ConfigError, DataError, MindgapError, UnknownNameError
from mindgap.core.files import write_text
from mindgap.data.image_store import Store
from mindgap.search.options import RewardOptions, merge_options
from mindgap.search.plan import SearchPlan
from mindgap.search.planning import make_target, too_many_workers
from mindgap.search.preset import PRESETS, preset_names
from mindgap.testing.tiny_store import write_tiny_store


def test_presets_are_those_of_the_paper():
    assert (PRESETS["fair"].alpha, PRESETS["fair"].beta) == (0.2, 0.8)
    assert (PRESETS["acc"].alpha, PRESETS["acc"].beta) == (0.8, 0.2)
    paper = PRESETS["paper"]
    assert (paper.training.epochs, paper.training.batch_size, paper.training.schedule) == (500, 32, "paper")
    assert (paper.lag, paper.limits, paper.rejected_reward) == (0, "rejected", -1.0)
    assert (PRESETS["quick"].training.epochs, PRESETS["fair"].training.epochs) == (6, 20)


def test_several_presets_are_read_in_order():
    assert preset_names("fair, acc") == ("fair", "acc")


@pytest.mark.parametrize(("text", "message"), [("fare", "did you mean 'fair'"), ("acc,acc", "name one twice")])
def test_a_wrong_preset_is_one_line(text, message):
    with pytest.raises(ConfigError, match=message):
        preset_names(text)


def test_a_keyword_goes_before_the_file_and_the_file_before_the_default(tmp_path):
    (tmp_path / "f.toml").write_text("seed = 3\nepochs = 4\n[reward]\nbeta = 0.5\n")
    options = merge_options(tmp_path / "f.toml", {"seed": 7, "epochs": None, "workers": 1})
    assert (options.seed, options.epochs, options.workers, options.reward.beta) == (7, 4, 1, 0.5)


def test_the_options_of_a_run_are_a_configuration(tmp_path):
    given = merge_options(None, {"seed": 3}).model_copy(update={"reward": RewardOptions(min_group=5)})
    options = {"store": "/data/store", "fingerprint": "x"} | given.model_dump(mode="json")
    write_text(tmp_path / "config.toml", dump_toml({"verb": "search", "options": options}))
    assert merge_options(tmp_path / "config.toml", {}) == given


def test_a_keyword_at_its_default_goes_before_the_file_and_none_does_not(tmp_path):
    (tmp_path / "f.toml").write_text('seed = 3\nworkers = 4\npreset = "acc"\n')
    options = merge_options(tmp_path / "f.toml", {"seed": 0, "workers": 1, "preset": None})
    assert (options.seed, options.workers, options.preset) == (0, 1, "acc")


def test_keywords_of_an_inner_table_leave_the_rest_of_the_files_table(tmp_path):
    text = "[reward]\nbeta = 0.5\nmin_group = 9\n[training]\nlr = 0.1\n"
    (tmp_path / "f.toml").write_text(text + '[training.mitigation_options]\nshares = "data"\nreduction = "sum"\n')
    options = merge_options(tmp_path / "f.toml", {"min_group": 4, "mitigation_options": {"reduction": "mean"}})
    assert (options.reward.min_group, options.reward.beta) == (4, 0.5)
    assert options.training == {"lr": 0.1, "mitigation_options": {"shares": "data", "reduction": "mean"}}
    options = merge_options(tmp_path / "f.toml", {"min_group": None, "mitigation_options": None})
    assert options.reward.min_group == 9
    assert options.training["mitigation_options"] == {"shares": "data", "reduction": "sum"}
    assert merge_options(None, {"min_group": 4}).reward.min_group == 4
    (tmp_path / "f.toml").write_text("reward = 3")
    with pytest.raises(ConfigError, match="reward is 3"):
        merge_options(tmp_path / "f.toml", {"min_group": 4})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trails = 3", "unknown key 'trails'; did you mean 'trials'"),
        ("[reward]\nbetta = 1", "did you mean 'beta'"),
        ("trials = 0", "trials is 0"),
    ],
)
def test_a_wrong_configuration_is_one_line(tmp_path, text, message):
    (tmp_path / "f.toml").write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        merge_options(tmp_path / "f.toml", {})
    assert "\n" not in str(error.value)


def test_the_plan_survives_the_ledger(store, plan_of):
    plan = plan_of(store)
    assert SearchPlan.model_validate(plan.model_dump(mode="json")) == plan


def test_the_default_floor_is_a_little_over_the_majority(store, plan_of):
    plan = plan_of(store, reward={"min_group": 5})
    assert plan.reward.accuracy_floor == pytest.approx(0.55, abs=0.02)
    assert plan.reward.infeasible == -1.0


def test_small_groups_are_excluded_and_one_group_left_is_refused(tmp_path, plan_of):
    small = Store.open(write_tiny_store(tmp_path / "small", minority=0.1))
    with pytest.raises(DataError, match="sex: fewer than two groups have 30 validation images"):
        plan_of(small, reward={})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"attribute": "sexx"}, UnknownNameError, "sex"),
        ({"searcher": "reinforced"}, UnknownNameError, "did you mean 'reinforce'"),
        ({"mitigation": "bias"}, UnknownNameError, "biasless"),
        ({"network": "resnet81"}, UnknownNameError, "did you mean 'resnet18'"),
        ({"space": "nowhere.toml"}, ConfigError, "no such search space file"),
        ({"ratios": "a=.9,b=.9"}, ConfigError, "sum to 1.8"),
        ({"training": {"epochs": 3}}, ConfigError, "a search sets it"),
        ({"training": {"batchsize": 3}}, ConfigError, "did you mean 'batch_size'"),
        ({"training": {"mitigation_options": {"share": "data"}}}, ConfigError, "did you mean 'shares'"),
        ({"training": {"mitigation_options": {"shares": "date"}}}, ConfigError, "shares is 'date'"),
        ({"training": {"loss": "bce"}}, ConfigError, "is for multi-label data"),
        ({"searcher_options": {"lagg": 3}}, ConfigError, "did you mean 'lag'"),
    ],
)
def test_an_option_that_does_not_fit_is_one_line(store, plan_of, options, error, message):
    with pytest.raises(error, match=message) as caught:
        plan_of(store, **options)
    assert isinstance(caught.value, MindgapError)
    assert "\n" not in str(caught.value)


def test_the_paper_preset_looks_back_without_lag_and_rejects(store, plan_of):
    plan = plan_of(store, preset="paper")
    assert plan.searcher_settings["lag"] == 0
    assert not plan.mask_limits
    assert plan.reward.rejected == -1.0


def test_ablations_fix_ratios_network_and_loss(store, plan_of, tmp_path):
    plan = plan_of(store, ratios="a=.5,b=.5", network="mobilenet_v2", mitigation="erm")
    assert plan.ratios == {"a": 0.5, "b": 0.5}
    space = plan.open_space(store, run=tmp_path / "run")
    assert space.kinds() == {}
    candidate = space.decode(())
    assert (candidate.architecture.name, candidate.ratios) == ("mobilenet_v2", {"a": 0.5, "b": 0.5})
    assert plan.training.mitigation == "erm"


def test_the_space_is_kept_with_the_run_and_a_changed_one_is_refused(store, plan_of, tmp_path):
    plan = plan_of(store)
    kept = tmp_path / "run" / "tiny.toml"
    assert kept.exists()
    kept.write_text(kept.read_text().replace("positions = 2", "positions = 3"))
    with pytest.raises(DataError, match="is not what it was"):
        plan.open_space(store, run=tmp_path / "run")


def test_a_budget_counts_the_time_already_spent():
    import time

    options = merge_options(None, {"budget_hours": 1.0})
    target = make_target(options, spent_s=600.0)
    assert target.trials is None
    assert target.deadline == pytest.approx(time.time() + 3000, abs=5)


def test_without_a_number_or_a_budget_the_preset_says_how_many():
    assert make_target(merge_options(None, {"preset": "quick"}), spent_s=0).trials == 16


def test_more_workers_than_open_candidates_is_said(store, plan_of):
    plan = plan_of(store)
    assert too_many_workers(8, plan) is None
    assert "at most 8 find work" in too_many_workers(9, plan)


@pytest.mark.parametrize(("preset", "searcher"), [("fair", "nsga2"), ("quick", "nsga2"), ("paper", "reinforce")])
def test_a_preset_has_its_searcher_unless_one_is_named(preset, searcher, store, plan_of):
    assert plan_of(store, preset=preset).searcher == searcher
    assert plan_of(store, preset=preset, searcher="random").searcher == "random"


def test_a_blend_keeps_the_numbers_of_the_file(tmp_path):
    (tmp_path / "a.toml").write_text('[training.blend]\nreading = "original"\nevery = 2\n')
    merged = merge_options(tmp_path / "a.toml", {"blend": True})
    assert merged.training == {"blend": {"reading": "original", "every": 2}}
    assert merge_options(None, {"blend": True}).training == {"blend": True}
    with pytest.raises(ConfigError, match="blend=False: leave it out"):
        merge_options(None, {"blend": False})
