"""A search space as its TOML file says it, and the blocks it resolves to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from mindgap.core.config import StrictModel, load_toml
from mindgap.core.errors import ConfigError, UnknownNameError, near_names
from mindgap.space.architecture import Choice
from mindgap.space.block import BLOCKS, AbstractBlock
from mindgap.space.training_tokens import TrainingTable

OUT_CHANNELS = "out_channels"
SPACES_FOLDER = Path(__file__).parent / "spaces"


class StemSettings(StrictModel):
    """Width of the 3×3 stem; wider from 224 px on."""

    channels: int = Field(default=16, gt=0)
    channels_from_224_px: int = Field(default=32, gt=0)


class BlockSettings(StrictModel):
    """One block type of the space; choices left out keep the block's own options."""

    type: str
    choices: dict[str, tuple[Choice, ...]] = Field(default_factory=dict)


class SpaceSettings(StrictModel):
    """What a space TOML file holds; ``spaces/default.toml`` and ``spaces/full.toml`` explain every key."""

    positions: int = Field(default=8, ge=1)
    max_macs_at_64_px: int = Field(default=60_000_000, gt=0)
    max_params: int = Field(default=1_500_000, gt=0)
    keep_map_px: int = Field(default=4, ge=1)
    head_widths: tuple[int, ...] = Field(default=(64, 128, 256, 512), min_length=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    plugins: bool = True
    stem: StemSettings = StemSettings()
    training: TrainingTable = TrainingTable()
    blocks: tuple[BlockSettings, ...] = ()


@dataclass(frozen=True)
class SpaceBlock:
    """A block type inside a space.

    Attributes:
        type: registered name.
        stride: stride it has in the search.
        choices: options by choice, in the order of decision.
        kinds: token kind of each choice, in the same order.
    """

    type: str
    stride: int
    choices: Mapping[str, tuple[Choice, ...]]
    kinds: tuple[str, ...]


def load_space(name_or_path: str | Path) -> tuple[str, SpaceSettings]:
    """Name and settings of a shipped space or of a TOML file.

    Raises:
        UnknownNameError: no shipped space has the name.
        ConfigError: the file is missing or wrong.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        shipped = {file.stem: file for file in sorted(SPACES_FOLDER.glob("*.toml"))}
        if str(name_or_path) not in shipped:
            raise UnknownNameError(
                f"no search space {str(name_or_path)!r}; {near_names(str(name_or_path), shipped)}; or give a .toml file"
            )
        path = shipped[str(name_or_path)]
    return path.stem, load_toml(path, SpaceSettings)


def resolve_blocks(settings: SpaceSettings) -> tuple[SpaceBlock, ...]:
    """The blocks the file names, then the searchable plug-ins it does not name, with their options and token kinds.

    A choice's token kind is its name; where another block gives the same choice other options, ``<block>.<choice>``.

    Raises:
        ConfigError: a choice is not the block's, has no options, or an option does not fit.
        UnknownNameError: a block is not registered.
    """
    named = {block.type: block.choices for block in settings.blocks}
    if len(named) != len(settings.blocks):
        raise ConfigError(
            f"blocks: a type is listed twice in {[block.type for block in settings.blocks]}; name it once"
        )
    if settings.plugins:
        own = [name for name in BLOCKS.names() if BLOCKS.get(name).searchable and name not in named]
        named |= {name: {} for name in own}
    options_by_kind: dict[str, tuple[Choice, ...]] = {}
    resolved = []
    for name, given in named.items():
        block = BLOCKS.get(name)()
        choices = _options(name, block, given)
        kinds = tuple(_kind(name, choice, choices[choice], options_by_kind) for choice in choices)
        resolved.append(SpaceBlock(name, block.search_stride, choices, kinds))
    return tuple(resolved)


def _options(name: str, block: AbstractBlock, given: Mapping[str, tuple[Choice, ...]]) -> dict[str, tuple[Choice, ...]]:
    own = block.choices()
    odd = sorted(set(given) - set(own))
    if odd:
        raise ConfigError(f"block {name!r} has no choice {odd[0]!r}; {near_names(odd[0], own)}")
    choices = {choice: tuple(given.get(choice, own[choice])) for choice in own}
    for choice, options in choices.items():
        if not options or len(set(options)) != len(options):
            raise ConfigError(f"block {name!r}: {choice} is {list(options)}; give at least one option, each once")
    widths = choices.get(OUT_CHANNELS, ())
    if not all(isinstance(width, int) and width > 0 for width in widths):
        raise ConfigError(f"block {name!r}: out_channels is {list(widths)}; give numbers of channels above 0")
    block.check(**{choice: options[0] for choice, options in choices.items() if choice != OUT_CHANNELS})
    return choices


def _kind(name: str, choice: str, options: tuple[Choice, ...], options_by_kind: dict[str, tuple[Choice, ...]]) -> str:
    kind = choice if options_by_kind.setdefault(choice, options) == options else f"{name}.{choice}"
    options_by_kind[kind] = options
    return kind
