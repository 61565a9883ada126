"""The options of a search: keywords over a TOML file over defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from mindgap.core.config import StrictModel, parse, read_toml
from mindgap.core.errors import ConfigError
from mindgap.search.plan import UnfairnessKind
from mindgap.search.preset import PRESETS
from mindgap.search.rungs import Promotion

CHANGEABLE = frozenset({"trials", "workers", "budget_hours", "placement", "placement_options", "grace_s"})
INNER_KEYWORDS = {
    "min_group": "reward",
    "mitigation_options": "training",
    "blend": "training",
    "asynchronous": "promotion",
    "gpus_per_worker": "placement_options",
    "device": "training",
}  # keywords of their own, and their tables


class RewardOptions(StrictModel):
    """What may be set of eq. 2; None is the preset's, or the default of ``make_plan``.

    Attributes:
        alpha: weight of the accuracy.
        beta: weight of the unfairness.
        accuracy_floor: AC, in 0..1.
        min_group: fewest validation images of a group that counts in U.
    """

    alpha: float | None = Field(default=None, ge=0)
    beta: float | None = Field(default=None, ge=0)
    accuracy_floor: float | None = Field(default=None, ge=0, le=1)
    min_group: int = Field(default=30, ge=1)


class SearchOptions(StrictModel):
    """All options of a search but the store and the folder; a TOML file given as ``--config`` has these keys.

    Attributes:
        attribute: sensitive attribute; None is the store's first.
        preset: ``fair``, ``acc``, ``paper`` or ``quick``; several with commas run one after the other.
        searcher: name of the search algorithm; None is the preset's.
        space: name of the search space, ``default`` or ``full``, or a TOML file.
        unfairness: which U the reward takes.
        epochs: per candidate; None is the preset's.
        trials: candidates to train.
        budget_hours: no candidate is begun that is predicted to end later; with ``trials`` too, whichever comes first.
        workers: processes of one thread each.
        placement: where they run: ``local``, ``ray``, ``ray://ADDRESS`` or ``slurm``.
        placement_options: options of the placement, such as ``gpus_per_worker`` or SLURM's ``partition``.
        study: address of the ledger on a server; None is a file in the run's folder.
        artifacts: address of candidates' files; None is the run's folder.
        grace_s: after so many seconds of silence a worker that is stopped, or on another machine, is given up.
        seed: of everything.
        ratios: fixes the batch composition.
        mitigation: in-training mitigation, ``erm`` is plain; None is ``biasless``, or what the space decides.
        network: fixes the network.
        warm_start: folder or ledger of an earlier search, whose candidates the searcher knows from the start.
        max_latency_ms: slower candidates are rejected untrained.
        bootstrap: replicates of the final audit.
        permutations: permutations of the final audit.
        reward: numbers of eq. 2.
        rungs: epochs that candidates are trained to before some are chosen to go on, such as ``1,4,16``; ``auto`` is
            ``epochs``, a quarter of them, a sixteenth and so on, ``none`` trains all to the end; None is the preset's.
        promotion: how they are chosen.
        searcher_options: options of the search algorithm, such as ``learning_rate``.
        training: options of ``mindgap train`` for every candidate, such as ``batch_size`` or ``augment``.
    """

    attribute: str | None = None
    preset: str = "fair"
    searcher: str | None = None
    space: str = "default"
    unfairness: UnfairnessKind = "plain"
    epochs: int | None = Field(default=None, ge=1)
    trials: int | None = Field(default=None, ge=1)
    budget_hours: float | None = Field(default=None, gt=0)
    workers: int = Field(default=1, ge=1)
    placement: str = "local"
    placement_options: dict[str, Any] = Field(default_factory=dict)
    study: str | None = None
    artifacts: str | None = None
    grace_s: float = Field(default=60.0, ge=1)
    seed: int = 0
    ratios: str | None = None
    mitigation: str | None = None
    network: str | None = None
    warm_start: str | None = None
    max_latency_ms: float | None = Field(default=None, gt=0)
    bootstrap: int = Field(default=2000, ge=0)
    permutations: int = Field(default=1000, ge=0)
    reward: RewardOptions = RewardOptions()
    rungs: str | None = None
    promotion: Promotion = Promotion()
    searcher_options: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)

    def of_preset(self, name: str) -> SearchOptions:
        """The options for one preset, with its search algorithm if none is named, so that the run's records say it."""
        return self.model_copy(update={"preset": name, "searcher": self.searcher or PRESETS[name].searcher})


KEYWORDS = (*SearchOptions.model_fields, *INNER_KEYWORDS)


def merge_options(config: Path | str | None, keywords: Mapping[str, Any]) -> SearchOptions:
    """Takes the file's values, and over them every keyword that was given, which is one that is not None.

    A keyword of ``INNER_KEYWORDS`` goes into its table and leaves the rest of it; a mapping goes there key by key.
    The ``config.toml`` of a search's folder is such a file too: its options, without the store they were for.

    Raises:
        ConfigError: the file or a value is wrong.
    """
    values = {} if config is None else _of_run(read_toml(config))
    for name, value in keywords.items():
        if value is None:
            continue
        table = INNER_KEYWORDS.get(name)
        if value is True and isinstance(values.get(table or "", {}).get(name), Mapping):
            continue  # it is asked for already, with numbers
        if name == "blend" and value is False:
            raise ConfigError("blend=False: leave it out; what the space decides is in its file, as blend = [false]")
        if table is not None:
            values |= {table: _over(values.get(table, {}), {name: value})}
        else:
            values |= {name: _over(values.get(name, {}), value) if isinstance(value, Mapping) else value}
    return parse(SearchOptions, values, source="search" if config is None else str(config))


def _of_run(values: dict[str, Any]) -> dict[str, Any]:
    """The options of a run's ``config.toml``; of any other file all that it holds."""
    if set(values) != {"verb", "options"}:
        return values
    return {name: value for name, value in values["options"].items() if name not in {"store", "fingerprint"}}


def _over(earlier: Any, given: Mapping[str, Any]) -> Any:
    """A table with some keys given anew, the tables in it likewise; what is no table is left, to be refused."""
    if not isinstance(earlier, Mapping):
        return earlier
    table = cast("Mapping[str, Any]", earlier)
    inner = {name: _over(table.get(name, {}), value) for name, value in given.items() if isinstance(value, Mapping)}
    return {**table, **given, **inner}
