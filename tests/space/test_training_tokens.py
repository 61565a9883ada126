"""Training tokens: asked for after the ratios, before the network, which they leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError
from mindgap.space.search_space import SearchSpace
from mindgap.space.space_settings import load_space, resolve_blocks
from mindgap.space.training_tokens import TrainingOption, chosen_options, open_kinds

GROUPS = {"female": 300, "male": 500}
OPTIONS = {
    "loss": tuple(TrainingOption(name=name, changes={"mitigation": name}) for name in ("erm", "biasless", "maxgroup")),
    "augment": tuple(TrainingOption(name=value, changes={"augment": {"shift": value}}) for value in (0.0, 0.5)),
    "blend": (TrainingOption(name=False, changes={}),),
}


def space(**options) -> SearchSpace:
    name = options.pop("name", "full")
    known = {"num_classes": 5, "input_px": 32, "group_counts": GROUPS, "training": OPTIONS}
    return SearchSpace.load(name, **(known | options))


def sample(searched, seed):
    generator = np.random.default_rng(seed)
    episode = searched.start()
    while episode.decision is not None:
        episode.choose(int(generator.choice(np.flatnonzero(episode.mask()))))
    return episode.candidate()


def test_ratios_come_first_then_training_then_the_network():
    episode, asked = space().start(), []
    while episode.decision is not None:
        asked.append((episode.decision.kind, episode.decision.position))
        assert episode.mask().any()
        episode.choose(int(np.flatnonzero(episode.mask())[-1]))
    assert asked[:4] == [("ratio", 0), ("loss", 0), ("augment", 0), ("block", 0)]
    assert asked[-1] == ("head_width", 8)


def test_the_heads_of_a_controller_include_the_open_kinds_alone():
    kinds = space().kinds()
    assert list(kinds)[:4] == ["ratio", "loss", "augment", "block"]
    assert (kinds["loss"], kinds["augment"]) == (3, 2)
    assert "blend" not in kinds
    assert open_kinds(OPTIONS) == ("loss", "augment")


def test_a_sole_option_is_taken_without_a_token():
    chosen = chosen_options(OPTIONS, (2, 1))
    assert {kind: option.name for kind, option in chosen.items()} == {
        "loss": "maxgroup",
        "augment": 0.5,
        "blend": False,
    }


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_sampled_candidate_decodes_to_itself_within_the_limits(seed):
    searched = space()
    candidate = sample(searched, seed)
    assert searched.decode(candidate.tokens) == candidate
    assert searched.rejection(candidate) is None
    assert candidate.loss == OPTIONS["loss"][candidate.tokens[1]].name
    assert candidate.choices["augment"] == (0.0, 0.5)[candidate.tokens[2]]
    assert candidate.training == {
        "mitigation": candidate.loss, "augment": {"shift": candidate.choices["augment"]}
    }  # fmt: skip


def test_the_network_and_its_name_do_not_depend_on_the_training_tokens():
    searched = space()
    first = sample(searched, 3)
    for loss in range(3):
        for strength in range(2):
            other = searched.decode((first.tokens[0], loss, strength, *first.tokens[3:]))
            assert other.architecture == first.architecture
    without = space(training={})
    assert without.decode((first.tokens[0], *first.tokens[3:])).architecture == first.architecture


def test_a_fixed_network_leaves_ratio_and_training_tokens():
    searched = space(fixed_network="mobilenet_v2", fixed_ratios="natural")
    assert searched.kinds() == {"loss": 3, "augment": 2}
    assert searched.decode((1, 0)).loss == "biasless"


def test_a_space_that_decides_about_training_is_not_opened_without_the_options():
    with pytest.raises(ConfigError, match="decides about training"):
        space(training=None)
    assert space(name="default", training=None).kinds()["ratio"] == 5


def test_options_change_the_description_and_groups_do():
    described = space().describe()
    assert described["training"]["loss"][1] == {"name": "biasless", "changes": {"mitigation": "biasless"}}
    assert described["ratio_groups"] == [["female"], ["male"]]
    assert space(training=OPTIONS | {"augment": OPTIONS["augment"][:1]}).describe() != described
    assert space(group_counts={"female": 500, "male": 300}).describe() != described
    assert space(fixed_ratios="uniform").describe()["ratio_groups"] is None


def test_full_is_the_default_space_and_a_table():
    full, default = load_space("full")[1], load_space("default")[1]
    assert resolve_blocks(full) == resolve_blocks(default)
    empty = {"blocks": (), "training": default.training}
    assert full.model_copy(update=empty) == default.model_copy(update=empty)
    assert default.training.is_empty
    assert not full.training.is_empty


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[training.loss]]\nname = "a"\n[[training.loss]]\nname = "a"', "loss offers one option twice"),
        ("[training]\naugment = [1, 1.0]", "augment offers one option twice"),
        ("[training]\naugment = [-1]", "give 0 or more"),
        ("[training]\naugment = [nan]", "training.augment"),
        ("[training]\nblend = [true, true]", "blend offers one option twice"),
        ("[training]\nlosses = []", "did you mean 'loss'"),
        ('[[training.loss]]\nname = "a"\nlabel_smoothing = 1', "less than 1"),
    ],
)
def test_a_training_table_that_does_not_work_is_refused_in_one_line(tmp_path, text, said):
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said) as refused:
        load_space(tmp_path / "own.toml")
    assert "\n" not in str(refused.value)
