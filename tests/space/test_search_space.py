"""The search space: every sampled candidate builds, keeps the limits and decodes to itself."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError, MindgapError, UnknownNameError
from mindgap.space.architecture import Architecture, load_network, save_network
from mindgap.space.cost import count_cost
from mindgap.space.latency_table import BlockLatencyTable
from mindgap.space.network import resolve_network
from mindgap.space.search_space import SearchSpace

GROUPS = {"female": 300, "male": 500, "other": 40}


def space(**options) -> SearchSpace:
    name = options.pop("name", "default")
    return SearchSpace.load(name, **({"num_classes": 5, "input_px": 64, "group_counts": GROUPS} | options))


def sample(searched: SearchSpace, seed: int):
    generator = np.random.default_rng(seed)
    episode = searched.start()
    while episode.decision is not None:
        episode.choose(int(generator.choice(np.flatnonzero(episode.mask()))))
    return episode.candidate()


def small_space(tmp_path, text):
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


@given(seed=st.integers(0, 2**32), px=st.sampled_from([32, 48, 64, 96, 128, 224]))
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_sampled_candidate_builds_keeps_the_limits_and_decodes_to_itself(seed, px):
    searched = space(input_px=px)
    candidate = sample(searched, seed)
    architecture = candidate.architecture
    assert searched.rejection(candidate) is None
    assert searched.decode(candidate.tokens) == candidate
    assert Architecture.from_json(architecture.to_json()) == architecture
    network = architecture.build().eval()
    assert network(torch.zeros(1, 3, px, px)).shape == (1, 5)
    cost = count_cost(architecture)
    assert cost.params == sum(parameter.numel() for parameter in network.parameters())
    assert cost.params <= 1_500_000
    assert cost.macs <= 60e6 * (px / 64) ** 2
    assert sum(candidate.ratios.values()) == pytest.approx(1)
    assert candidate.loss is None


@pytest.mark.parametrize("seed", range(4))
def test_a_sampled_network_saves_and_loads_with_identical_logits(tmp_path, seed):
    architecture = sample(space(input_px=32), seed).architecture
    network = architecture.build(seed=seed)
    network.train()(torch.randn(4, 3, 32, 32)).sum().backward()
    save_network(tmp_path, architecture, network)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(load_network(tmp_path)[1].eval()(images), network.eval()(images))


def test_tokens_come_as_ratios_then_type_kernel_ch2_ch3_then_head():
    episode = space().start()
    asked = []
    while episode.decision is not None:
        asked.append((episode.decision.kind, episode.decision.position))
        options = episode.decision.options
        episode.choose(options.index("mb") if episode.decision.kind == "block" else 0)
    one_position = ["block", "kernel", "hidden_channels", "out_channels"]
    expected = [
        ("ratio", 0),
        ("ratio", 1),
        *((kind, at) for at in range(8) for kind in one_position),
        ("head_width", 8),
    ]
    assert asked == expected


def test_a_skip_emits_no_further_token():
    searched = space(group_counts=None)
    skip = [block.type for block in searched.blocks].index("skip")
    candidate = searched.decode([skip] * 8 + [0])
    assert [block.type for block in candidate.architecture.blocks] == ["skip"] * 8
    assert candidate.ratios is None


def test_kinds_are_the_heads_a_controller_needs():
    assert space().kinds() == {
        "ratio": 5,
        "block": 5,
        "kernel": 3,
        "hidden_channels": 6,
        "out_channels": 6,
        "head_width": 4,
    }
    assert "ratio" not in space(group_counts=None).kinds()


def test_every_decision_has_an_open_option_and_its_kinds_size():
    searched = space()
    kinds = searched.kinds()
    generator = np.random.default_rng(0)
    for _ in range(50):
        episode = searched.start()
        while episode.decision is not None:
            mask = episode.mask()
            assert mask.any()
            assert len(mask) == len(episode.decision.options) == kinds[episode.decision.kind]
            # The most expensive open option drives the walk into the limits.
            episode.choose(
                int(np.flatnonzero(mask)[-1] if generator.random() < 0.5 else generator.choice(np.flatnonzero(mask)))
            )


def test_a_choice_is_masked_exactly_when_its_cheapest_completion_breaks_a_limit():
    """Oracle: try every further choice of the block, then skips and the narrowest head, against the limits."""
    searched = space(group_counts=None)
    unmasked = space(group_counts=None, mask_limits=False)
    names = [block.type for block in searched.blocks]
    generator = np.random.default_rng(0)
    mixed = 0
    for _ in range(12):
        episode = searched.start()
        while episode.decision.kind != "block" or not 0 < episode.mask()[:-1].sum() < 4:
            episode.choose(int(generator.choice(np.flatnonzero(episode.mask()))))
            if episode.decision.position == 7:
                break
        if episode.decision.kind != "block" or episode.decision.position == 7:
            continue
        rest = [names.index("skip")] * (7 - episode.decision.position) + [0]
        for index, block in enumerate(searched.blocks):
            if block.type == "db" and not unmasked_mask(unmasked, episode.tokens)[index]:
                continue
            shape = [len(options) for options in block.choices.values()]
            completions = [unmasked.decode([*episode.tokens, index, *own, *rest]) for own in np.ndindex(*shape)]
            fits = any(unmasked.rejection(candidate) is None for candidate in completions)
            assert fits == episode.mask()[index], block.type
        mixed += 1
    assert mixed >= 3


def unmasked_mask(unmasked, tokens):
    episode = unmasked.start()
    for token in tokens:
        episode.choose(token)
    return episode.mask()


def test_the_map_never_shrinks_below_two_pixels():
    searched = space(group_counts=None, input_px=32)
    names = [block.type for block in searched.blocks]
    episode = searched.start()
    halvings = 0
    while episode.decision is not None:
        mask = episode.mask()
        if episode.decision.kind == "block":
            halve = bool(mask[names.index("db")])
            halvings += halve
            episode.choose(names.index("db") if halve else names.index("skip"))
        else:
            episode.choose(0)
    assert halvings == 2  # 32 px → stem 16 → 8 → 4, and there it is masked


def test_an_episode_takes_under_ten_milliseconds_once_warm():
    searched = space()
    for seed in range(60):
        sample(searched, seed)
    started = time.perf_counter()
    for seed in range(60, 90):
        sample(searched, seed)
    assert (time.perf_counter() - started) / 30 < 0.010


def test_without_masks_candidates_over_a_limit_are_rejected_with_the_figures():
    searched = space(mask_limits=False)
    reasons = [searched.rejection(sample(searched, seed)) for seed in range(40)]
    assert any(reason is None for reason in reasons)
    over = [reason for reason in reasons if reason is not None]
    assert over
    assert all(reason.startswith(("MACs ", "parameters ")) and " > " in reason for reason in over)


def test_latency_rejects_and_never_masks(tmp_path):
    free = space()
    from mindgap.space.latency_measurement import measure_latency_table

    path = small_space(tmp_path, 'positions = 1\nplugins = false\nhead_widths = [16]\n[[blocks]]\ntype = "skip"\n')
    table = measure_latency_table(space(name=path), rounds=1)
    table = BlockLatencyTable.model_validate_json(table.model_dump_json())
    quick = space(name=path, max_latency_ms=1e-6, latency_table=table)
    candidate = sample(quick, 0)
    assert quick.rejection(candidate).startswith("latency ")
    assert quick.rejection(candidate).endswith(" ms > 1e-06 ms")
    assert space(name=path, max_latency_ms=1e6, latency_table=table).rejection(candidate) is None
    assert free.kinds()["block"] == 5


def test_a_latency_limit_needs_a_table():
    with pytest.raises(ConfigError, match="latency table"):
        space(max_latency_ms=5.0)


def test_fixed_ratios_drop_their_tokens():
    searched = space(fixed_ratios={"female": 0.4, "male": 0.4, "other": 0.2})
    assert "ratio" not in searched.kinds()
    assert searched.start().decision.kind == "block"
    assert sample(searched, 1).ratios == {"female": 0.4, "male": 0.4, "other": 0.2}


def test_fixed_ratios_go_by_name_too():
    assert sample(space(fixed_ratios="natural"), 1).ratios == {name: size / 840 for name, size in GROUPS.items()}
    assert sample(space(fixed_ratios="uniform"), 1).ratios == dict.fromkeys(GROUPS, 1 / 3)
    with pytest.raises(ConfigError, match="natural"):
        space(fixed_ratios="balanced")


def test_a_fixed_network_leaves_only_ratio_tokens_and_no_limits():
    searched = space(fixed_network="mobilenet_v2")
    assert searched.kinds() == {"ratio": 5}
    candidate = searched.decode([1, 2])
    assert candidate.architecture == resolve_network("mobilenet_v2", num_classes=5, input_px=64)
    assert searched.rejection(candidate) is None


def test_everything_fixed_leaves_an_episode_without_decisions():
    episode = space(fixed_network="resnet18", fixed_ratios="natural").start()
    assert episode.decision is None
    assert episode.tokens == ()
    assert episode.candidate().architecture.name == "resnet18"


def test_the_name_tells_architectures_apart_not_ratios():
    searched = space()
    first = sample(searched, 1)
    other_ratios = searched.decode([(first.tokens[0] + 1) % 5, *first.tokens[1:]])
    assert other_ratios.architecture == first.architecture
    assert sample(searched, 2).architecture.name != first.architecture.name


@pytest.mark.parametrize("tokens", [[], [0], [9], [0, 0, 0, 0, -1], [4] * 80])
def test_tokens_of_another_space_are_refused_in_one_line(tokens):
    with pytest.raises(ConfigError) as refused:
        space().decode(tokens)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("position = 3", "did you mean 'positions'"),
        ("positions = 0", "positions is 0"),
        ("head_widths = []", "head_widths"),
        ('plugins = false\n[[blocks]]\ntype = "mb"', "no 'skip' block"),
        ('[[blocks]]\ntype = "mbb"', "did you mean 'mb'"),
        ('[[blocks]]\ntype = "mb"\n[[blocks]]\ntype = "mb"', "listed twice"),
        ('[[blocks]]\ntype = "mb"\nchoices = {kernels = [3]}', "did you mean 'kernel'"),
        ('[[blocks]]\ntype = "mb"\nchoices = {kernel = []}', "at least one option"),
        ('[[blocks]]\ntype = "mb"\nchoices = {kernel = [3, 3]}', "each once"),
        ('[[blocks]]\ntype = "mb"\nchoices = {out_channels = [0]}', "above 0"),
        ("max_params = 100", "raise max_params"),
    ],
)
def test_a_space_file_that_does_not_work_is_refused_in_one_line(tmp_path, text, said):
    with pytest.raises(MindgapError, match=said) as refused:
        space(name=small_space(tmp_path, text))
    assert "\n" not in str(refused.value)


def test_an_unknown_space_names_the_near_one():
    with pytest.raises(UnknownNameError, match="did you mean 'default'"):
        space(name="defualt")
    with pytest.raises(ConfigError, match="cannot read"):
        space(name="nowhere.toml")


def test_an_empty_file_is_the_default_space(tmp_path):
    empty, default = space(name=small_space(tmp_path, "")), space()
    assert {block.type for block in empty.blocks} == {block.type for block in default.blocks}
    assert empty.kinds() == default.kinds()
    assert empty.settings.model_copy(update={"blocks": ()}) == default.settings.model_copy(update={"blocks": ()})


def test_the_space_describes_itself_as_plain_values():
    described = space().describe()
    assert described["max_macs"] == 60_000_000
    assert described["blocks"]["mb"]["kernel"] == [3, 5, 7]
    assert described["limits"] == "masked"


@pytest.mark.parametrize(
    "change",
    [
        "positions = 3", "keep_map_px = 8", "dropout = 0.5", "head_widths = [64]", "max_params = 900_000",
        "[stem]\nchannels = 8", '[[blocks]]\ntype = "mb"\nchoices = {kernel = [3]}',
    ],
)  # fmt: skip
def test_whatever_a_file_changes_changes_the_description(tmp_path, change):
    """By it a resumed search sees that the file was edited, and the cache of timings that it is another space."""
    described = []
    for text in ("", change):
        (tmp_path / "own.toml").write_text(text)
        described.append(SearchSpace.load(tmp_path / "own.toml", num_classes=3, input_px=64).describe())
    assert described[0] != described[1]
