"""The search space: what may be decided, in which order, within which limits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import ConfigError
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.choice_table import ChoiceTable, choice_table
from mindgap.space.cost import block_cost, count_cost, head_cost, stem_cost, stem_px
from mindgap.space.episode import BLOCK_KIND, HEAD_KIND, RATIO_KIND, Candidate, Episode
from mindgap.space.latency_table import BlockLatencyTable
from mindgap.space.layers import Cost
from mindgap.space.network import resolve_network
from mindgap.space.ratio_tokens import RATIO_STEPS, ratio_tiers, ratio_token_count, ratios_from_tokens
from mindgap.space.space_settings import SpaceBlock, SpaceSettings, load_space, resolve_blocks
from mindgap.space.training_tokens import TrainingOption, TrainingOptions, chosen_options, open_kinds

LIMIT_PX = 64
LARGE_PX = 224


class SpaceOptions(TypedDict, total=False):
    """What a search knows beside the space itself.

    Attributes:
        num_classes: number of logits.
        input_px: side of the input image, pixels.
        group_counts: training images per group; None for natural batches without ratio tokens.
        fixed_ratios: batch share per group, ``natural`` or ``uniform``; drops the ratio tokens.
        fixed_network: an architecture, a registered name or a file; drops the architecture tokens.
        max_latency_ms: candidates over it by ``latency_table`` are rejected.
        latency_table: what ``measure_latency_table`` returned, once per study.
        mask_limits: False rejects candidates over a limit instead of masking choices (preset ``paper``).
        training: by kind, what may be decided about training; needed if the space's file has the table ``training``.
    """

    num_classes: Required[int]
    input_px: Required[int]
    group_counts: Mapping[str, int] | None
    fixed_ratios: Mapping[str, float] | str | None
    fixed_network: Architecture | str | Path | None
    max_latency_ms: float | None
    latency_table: BlockLatencyTable | None
    mask_limits: bool
    training: TrainingOptions | None


class SearchSpace:
    """Data, algorithm and architecture searched together (Sheng et al. 2024, §3.2 ②), as a sequence of tokens.

    Order: batch-ratio tokens; training tokens; per position the block's type, then its choices (K, CH2, CH3); the
    head's width.

    Attributes:
        name: the space's name.
        settings: what its TOML file says.
        blocks: its block types with their options.
        num_classes: number of logits.
        input_px: side of the input image, pixels.
        limit: the most parameters and MACs a candidate may have.
        ratio_tokens: number of ratio tokens; 0 when there are no groups or the ratios are fixed.
        training: by kind, the options about training; a kind with one option has no token.
        training_kinds: names of the options of every training token, in order.
        fixed_network: the architecture of every candidate, when it is not searched.
        max_latency_ms: the most milliseconds a candidate may take by ``latency_table``.
    """

    def __init__(
        self,
        name: str,
        settings: SpaceSettings,
        *,
        num_classes: int,
        input_px: int,
        group_counts: Mapping[str, int] | None = None,
        fixed_ratios: Mapping[str, float] | str | None = None,
        fixed_network: Architecture | str | Path | None = None,
        max_latency_ms: float | None = None,
        latency_table: BlockLatencyTable | None = None,
        mask_limits: bool = True,
        training: TrainingOptions | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.blocks = resolve_blocks(settings)
        self.num_classes = num_classes
        self.input_px = input_px
        self.limit = Cost(settings.max_params, round(settings.max_macs_at_64_px * (input_px / LIMIT_PX) ** 2))
        self.mask_limits = mask_limits
        self.max_latency_ms = max_latency_ms
        self.latency_table = latency_table
        self.fixed_network = self._network(fixed_network)
        self._counts = dict(group_counts) if group_counts is not None else None
        self._fixed_ratios = self._ratios(fixed_ratios)
        searched = self._counts is not None and self._fixed_ratios is None
        self.ratio_tokens = ratio_token_count(self._counts) if searched and self._counts else 0
        self.training = {kind: tuple(options) for kind, options in (training or {}).items()}
        self.training_kinds = {kind: tuple(o.name for o in self.training[kind]) for kind in open_kinds(self.training)}
        self._tables: dict[tuple[str, int, int], ChoiceTable] = {}
        self._check(training)

    @classmethod
    def load(cls, name_or_path: str | Path = "default", **options: Unpack[SpaceOptions]) -> SearchSpace:
        """The shipped space of that name (``default``), or the one a ``.toml`` file describes.

        Raises:
            UnknownNameError: the space, a block or the network is not known.
            ConfigError: the file or an option is wrong.
        """
        name, settings = load_space(name_or_path)
        return cls(name, settings, **options)

    def start(self) -> Episode:
        """A new episode."""
        return Episode(self)

    def decode(self, tokens: Sequence[int]) -> Candidate:
        """The candidate a whole token sequence stands for.

        Raises:
            ConfigError: the tokens are too few, too many, or not open in this space.
        """
        episode = self.start()
        for token in tokens:
            episode.choose(token)
        return episode.candidate()

    def kinds(self) -> dict[str, int]:
        """Number of options of every token kind that can occur."""
        kinds = {RATIO_KIND: len(RATIO_STEPS)} if self.ratio_tokens else {}
        kinds |= {kind: len(names) for kind, names in self.training_kinds.items()}
        if self.fixed_network is not None:
            return kinds
        kinds[BLOCK_KIND] = len(self.blocks)
        for block in self.blocks:
            kinds |= {kind: len(options) for kind, options in zip(block.kinds, block.choices.values(), strict=True)}
        return kinds | {HEAD_KIND: len(self.settings.head_widths)}

    def rejection(self, candidate: Candidate) -> str | None:
        """Why a candidate is rejected untrained, such as ``latency 12.1 ms > 10 ms``; None if it is within all limits.

        A fixed network is exempt from the limits on parameters and MACs: they describe the searched space.
        """
        if self.fixed_network is None:
            cost = count_cost(candidate.architecture)
            if cost.params > self.limit.params:
                return f"parameters {cost.params} > {self.limit.params}"
            if cost.macs > self.limit.macs:
                return f"MACs {cost.macs} > {self.limit.macs}"
        if self.max_latency_ms is not None and self.latency_table is not None:
            latency = self.latency_table.latency_ms(candidate.architecture)
            if latency > self.max_latency_ms:
                return f"latency {latency:.3g} ms > {self.max_latency_ms:g} ms"
        return None

    def describe(self) -> dict[str, Any]:
        """The space as plain values, for a run's records: whatever its TOML file can change is in here.

        ``ratio_groups`` are the groups of each ratio token, and the rest; None without such tokens.
        """
        return {
            "name": self.name,
            "ratio_groups": [list(tier) for tier in ratio_tiers(self._counts or {})] if self.ratio_tokens else None,
            "training": {
                kind: [option.model_dump(mode="json") for option in options] for kind, options in self.training.items()
            },
            "positions": self.settings.positions,
            "stem": self.stem().model_dump(mode="json"),
            "blocks": {
                block.type: {name: list(options) for name, options in block.choices.items()} for block in self.blocks
            },
            "head_widths": list(self.settings.head_widths),
            "dropout": self.settings.dropout,
            "keep_map_px": self.settings.keep_map_px,
            "max_params": self.limit.params,
            "max_macs": self.limit.macs,
            "max_latency_ms": self.max_latency_ms,
            "limits": "masked" if self.mask_limits else "rejected",
        }

    # What an episode asks for.

    def stem(self) -> Stem:
        """The stem of every searched candidate."""
        large = self.input_px >= LARGE_PX
        return Stem(channels=self.settings.stem.channels_from_224_px if large else self.settings.stem.channels)

    def stem_state(self) -> tuple[Cost, int, int]:
        """Cost, channels and map side after the stem."""
        stem = self.stem()
        return stem_cost(stem, self.input_px), stem.channels, stem_px(stem, self.input_px)

    def block_cost(self, spec: BlockSpec, in_channels: int, px: int) -> Cost:
        """Cost of one chosen block."""
        return block_cost(spec, in_channels, px)

    def open_choices(self, block: SpaceBlock, used: Cost, channels: int, px: int) -> NDArray[np.bool_]:
        """Which combinations of a block's choices are open here; one axis per choice of the block."""
        shape = tuple(len(options) for options in block.choices.values())
        if block.stride > 1 and px <= self.settings.keep_map_px:
            return np.zeros(shape, dtype=np.bool_)
        if not self.mask_limits:
            return np.ones(shape, dtype=np.bool_)
        key = (block.type, channels, px)
        if key not in self._tables:
            width = min(self.settings.head_widths)
            self._tables[key] = choice_table(block, channels, px, head_width=width, num_classes=self.num_classes)
        return self._tables[key].feasible(used, self.limit)

    def head_fits(self, width: int, used: Cost, channels: int, px: int) -> bool:
        """Whether a head of that width stays within the limits."""
        total = used + head_cost(Head(width=width), channels, px, num_classes=self.num_classes)
        return not self.mask_limits or (total.params <= self.limit.params and total.macs <= self.limit.macs)

    def ratios(self, tokens: Sequence[int]) -> dict[str, float] | None:
        """Batch shares of a token sequence; None where there are no groups."""
        if self._fixed_ratios is not None or self._counts is None:
            return None if self._fixed_ratios is None else dict(self._fixed_ratios)
        return ratios_from_tokens(tokens[: self.ratio_tokens], self._counts)

    def training_chosen(self, tokens: Sequence[int]) -> dict[str, TrainingOption]:
        """The option of a token sequence for every kind of decision about training."""
        first = self.ratio_tokens
        return chosen_options(self.training, tokens[first : first + len(self.training_kinds)])

    def architecture(self, blocks: tuple[BlockSpec, ...], head: Head, tokens: Sequence[int]) -> Architecture:
        """The child network of these blocks; its name tells architectures apart, however they are trained."""
        own = ",".join(str(token) for token in tokens[self.ratio_tokens + len(self.training_kinds) :])
        digest = hashlib.blake2b(own.encode(), digest_size=4).hexdigest()
        return Architecture(
            name=f"{self.name}-{digest}",
            input_px=self.input_px,
            num_classes=self.num_classes,
            stem=self.stem(),
            blocks=blocks,
            head=head,
            dropout=self.settings.dropout,
        )

    def _network(self, network: Architecture | str | Path | None) -> Architecture | None:
        if network is None:
            return None
        if isinstance(network, Architecture):
            return network.for_task(num_classes=self.num_classes, input_px=self.input_px)
        return resolve_network(network, num_classes=self.num_classes, input_px=self.input_px)

    def _ratios(self, given: Mapping[str, float] | str | None) -> dict[str, float] | None:
        if given is None:
            return None
        if isinstance(given, Mapping):
            return dict(given)
        if self._counts is None:
            return None
        if given not in ("natural", "uniform"):
            raise ConfigError(f"ratios is {given!r}; give natural, uniform, or a share for every group")
        token = 0 if given == "natural" else len(RATIO_STEPS) - 1
        return ratios_from_tokens([token] * ratio_token_count(self._counts), self._counts)

    def _check(self, training: TrainingOptions | None) -> None:
        if training is None and not self.settings.training.is_empty:
            raise ConfigError(
                f"space {self.name!r} decides about training, which needs options; "
                "give training=training_options(table, store, base)"
            )
        if self.max_latency_ms is not None and self.latency_table is None:
            raise ConfigError(f"max_latency_ms is {self.max_latency_ms:g} without a latency table; measure one first")
        if self.fixed_network is not None or not self.mask_limits:
            return
        if not any(block.type == "skip" for block in self.blocks):
            raise ConfigError(f"space {self.name!r} has no 'skip' block, so limits cannot be kept; add it to blocks")
        used, channels, px = self.stem_state()
        if not self.head_fits(min(self.settings.head_widths), used, channels, px):
            raise ConfigError(
                f"space {self.name!r}: even a network of skips is over {self.limit.params} parameters or "
                f"{self.limit.macs} MACs; raise max_params or max_macs_at_64_px"
            )
