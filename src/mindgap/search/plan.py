"""The plan of a search: everything a candidate's result depends on besides its slot and its tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from mindgap.core.config import StrictModel, parse
from mindgap.core.errors import DataError, RunError
from mindgap.core.groups import Groups
from mindgap.data.image_store import Store
from mindgap.metrics.unfairness import unfairness
from mindgap.search.cost_model import CostModel
from mindgap.search.prior import Prior
from mindgap.search.reward import Reward
from mindgap.search.rungs import RungPlan
from mindgap.search.searcher import SEARCHERS, AbstractSearcher
from mindgap.space.architecture import Architecture
from mindgap.space.latency_table import BlockLatencyTable
from mindgap.space.search_space import SearchSpace
from mindgap.space.training_tokens import TrainingOption, TrainingOptions
from mindgap.train.loop import TrainSettings
from mindgap.train.precision import PrecisionPlan

UnfairnessKind = Literal["plain", "standardized"]


class RewardPlan(StrictModel):
    """The numbers of eq. 2, see ``Reward``.

    ``rejected`` is the reward of a candidate over a limit, ``lower_floor`` the accuracy floor below the top rung.
    """

    alpha: float = Field(ge=0)
    beta: float = Field(ge=0)
    accuracy_floor: float = Field(ge=0, le=1)
    lower_floor: float = Field(ge=0, le=1)
    infeasible: float
    rejected: float


class SearchPlan(StrictModel):
    """What workers read from the ledger; it is written once, before slot 0, and never changes.

    Attributes:
        store: folder of the images.
        fingerprint: of the store.
        attribute: the sensitive attribute.
        preset: name of the preset.
        seed: of everything.
        searcher: name of the search algorithm.
        searcher_settings: its options.
        space: name or file of the search space.
        space_summary: the space in full; a plug-in installed meanwhile would change it.
        mask_limits: whether limits mask choices, else candidates over a limit are rejected.
        max_latency_ms: the longest a candidate may take for one image.
        latency_table: measured once, so that load cannot decide.
        ratios: shares of the groups in a batch, if they are fixed.
        network: the architecture, if it is fixed.
        training: how a candidate is trained; seed and ratios are the candidate's, as is what its tokens decide, and
            epochs are the rung's.
        rungs: how far candidates are trained, and which.
        training_options: by kind of training token, what the tokens choose from.
        unfairness: which U the reward takes.
        excluded_groups: groups too small to steer the search.
        reward: the numbers of eq. 2.
        precision_plan: measured once, so that load cannot decide.
        cost: predicts how long candidates train; nothing but the time left and a deadline depends on it.
        prior: what the searcher knows of an earlier search before slot 0.
    """

    store: str
    fingerprint: str
    attribute: str
    preset: str
    seed: int
    searcher: str
    searcher_settings: dict[str, Any]
    space: str
    space_summary: dict[str, Any]
    mask_limits: bool
    max_latency_ms: float | None
    latency_table: BlockLatencyTable | None
    ratios: str | dict[str, float] | None
    network: Architecture | None
    training: TrainSettings
    rungs: RungPlan
    training_options: dict[str, tuple[TrainingOption, ...]]
    unfairness: UnfairnessKind
    excluded_groups: tuple[str, ...]
    reward: RewardPlan
    precision_plan: PrecisionPlan
    cost: CostModel
    prior: Prior | None = None

    def make_reward(self, rung: int | None = None) -> Reward:
        """Eq. 2 with this plan's numbers, at the last rung or another."""
        numbers, below_top = self.reward, rung is not None and rung < self.rungs.top
        return Reward(
            alpha=numbers.alpha,
            beta=numbers.beta,
            accuracy_floor=numbers.lower_floor if below_top else numbers.accuracy_floor,
            infeasible=numbers.infeasible,
        )

    def make_searcher(self, space: SearchSpace) -> AbstractSearcher:
        """The searcher in its first state, which knows of the earlier search if there is one."""
        kind = SEARCHERS.get(self.searcher)
        settings = parse(kind.Settings, self.searcher_settings, source="searcher")
        searcher = kind(space, seed=self.seed, settings=settings)
        if self.prior is not None:
            searcher.warm(self.prior.told())
        return searcher

    def open_space(self, store: Store, *, run: Path) -> SearchSpace:
        """The search space for the store's images and groups; a space's file lies in the run folder.

        Raises:
            DataError: the space is no longer the one that was searched.
        """
        space = load_space_for(
            store,
            self.attribute,
            run=run,
            space=self.space,
            mask_limits=self.mask_limits,
            max_latency_ms=self.max_latency_ms,
            latency_table=self.latency_table,
            ratios=self.ratios,
            network=self.network,
            training=self.training_options,
        )
        if space.describe() != self.space_summary:
            raise DataError(
                f"search space {self.space!r} is not what it was when the search began; "
                "restore the file and the installed plug-ins, or begin a new search"
            )
        return space


def read_plan(notes: Mapping[str, Any]) -> SearchPlan:
    """The plan among the notes of a ledger.

    Raises:
        RunError: there is none, or it is of another version of mindgap.
    """
    if "plan" not in notes:
        raise RunError("the search's ledger holds no plan; run `mindgap search` again, with --force if that refuses")
    try:
        return SearchPlan.model_validate(notes["plan"])
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise RunError(
            f"the search's plan does not fit this version of mindgap (at {place}); go on with the version that began it"
        ) from None


def load_space_for(
    store: Store,
    attribute: str,
    *,
    run: Path,
    space: str,
    mask_limits: bool,
    max_latency_ms: float | None,
    latency_table: BlockLatencyTable | None,
    ratios: str | dict[str, float] | None,
    network: Architecture | None,
    training: TrainingOptions,
) -> SearchSpace:
    """The search space for a store's images and an attribute's groups."""
    groups = store.groups(attribute).take(store.rows("train"))
    counts = {name: int(count) for name, count in zip(groups.names, groups.counts(), strict=True)}
    return SearchSpace.load(
        run / space if space.endswith(".toml") else space,
        num_classes=len(store.classes),
        input_px=store.size_px,
        group_counts=counts,
        fixed_ratios=ratios,
        fixed_network=network,
        max_latency_ms=max_latency_ms,
        latency_table=latency_table,
        mask_limits=mask_limits,
        training=training,
    )


def judged_unfairness(
    labels: np.ndarray, predicted: np.ndarray, groups: Groups, *, kind: UnfairnessKind, exclude: tuple[str, ...]
) -> tuple[float, str | None]:
    """U of eq. 1 on the rows that judge candidates; of several labels (n, L) the mean over labels.

    Returns:
        The value, and None or the reason why it is NaN.
    """
    columns = [(labels, predicted)] if labels.ndim == 1 else list(zip(labels.T, predicted.T, strict=True))
    values, reasons = zip(
        *(
            unfairness(true.astype(np.int64), guess, groups, standardized=kind == "standardized", exclude=exclude)
            for true, guess in columns
        ),
        strict=True,
    )
    return float(np.mean(values)), next((reason for reason in reasons if reason), None)
