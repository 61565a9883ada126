"""A model of accuracy and U fitted to trained candidates, which searchers can be compared on without training.

The table has a row per candidate, training seed and stage, with the columns ``tokens`` (JSON), ``seed``,
``stage_epochs``, ``accuracy``, ``unfairness`` and ``macs``; the last stage counts, and seeds are averaged. Features are
one-hot choices by kind and position, and what describes the whole candidate: ratio tokens in order, how often each
block type occurs, mean kernel, channels and head, the logarithms of parameters and multiply-accumulates (which are
counted and not modelled). Of ridge regression, a Gaussian process and gradient boosting each target takes the one of
highest cross-validated Kendall τ.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from sklearn.base import RegressorMixin, clone
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mindgap.core.errors import DataError
from mindgap.core.seed import numpy_generator
from mindgap.search.reward import Reward
from mindgap.search.searcher import Outcome
from mindgap.search.token_walk import Place, choices_of, replay
from mindgap.space.cost import count_cost
from mindgap.space.search_space import SearchSpace
from mindgap.space.space_settings import load_space
from mindgap.testing.figures_game import Figures

MOST_RATIO_TOKENS = 6
BLOCK_TYPES = 5
MEANS = ("kernel", "out_channels", "head_width")
REPEATS, RESAMPLES = 5, 2000
TARGETS = ("accuracy", "unfairness")
SUMMARY = 16  # features of the whole candidate, the last ones; before them are one-hot choices


def _whole(features: NDArray[np.float64]) -> NDArray[np.float64]:
    return features[:, -SUMMARY:]


_KERNEL = ConstantKernel() * RBF(4.0) + ConstantKernel() * DotProduct() + WhiteKernel()
MODELS: dict[str, Any] = {
    "ridge on choices": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11))),
    "ridge on the whole": make_pipeline(FunctionTransformer(_whole), StandardScaler(), RidgeCV(np.logspace(-2, 3, 11))),
    "Gaussian process on the whole": make_pipeline(
        FunctionTransformer(_whole), StandardScaler(), GaussianProcessRegressor(_KERNEL, normalize_y=True)
    ),
    "boosting": GradientBoostingRegressor(
        n_estimators=100, max_depth=2, learning_rate=0.08, subsample=0.7, random_state=0
    ),
}


@dataclass(frozen=True, eq=False)
class Table:
    """Trained candidates.

    Attributes:
        space: the space they were drawn from.
        tokens: of each candidate.
        means: accuracy and U, mean over seeds, float (n, 2).
        noise: standard deviation of both between seeds of a candidate, float (2,); NaN with one seed.
        epochs: of the last stage, on the plateau.
    """

    space: SearchSpace
    tokens: list[tuple[int, ...]]
    means: NDArray[np.float64]
    noise: NDArray[np.float64]
    epochs: int

    def features(self) -> NDArray[np.float64]:
        """One row per candidate."""
        return np.array([features_of(self.space, tokens) for tokens in self.tokens])


def read_table(path: Path, *, max_macs: int) -> Table:
    """Reads the last stage; the number of batch-ratio tokens is the one with which all rows are whole candidates."""
    rows = pd.read_csv(path)
    last = rows[rows["stage_epochs"] == rows["stage_epochs"].max()]
    by_tokens = last.groupby("tokens")[list(TARGETS)]
    means, variances = by_tokens.mean(), by_tokens.var(ddof=1)
    tokens = [tuple(json.loads(text)) for text in means.index]
    noise = np.sqrt(variances.mean(skipna=True).to_numpy(dtype=np.float64))
    return Table(
        _space_of(tokens, max_macs), tokens, means.to_numpy(dtype=np.float64), noise, int(last["stage_epochs"].max())
    )


def _space_of(candidates: Sequence[tuple[int, ...]], max_macs: int) -> SearchSpace:
    name, limits = load_space("default")
    limits = limits.model_copy(update={"max_macs_at_64_px": max_macs})
    for ratio_tokens in range(MOST_RATIO_TOKENS):
        counts = {f"group {k}": 100 * (k + 1) for k in range(ratio_tokens + 1)}  # of different sizes
        space = SearchSpace(name, limits, num_classes=7, input_px=64, group_counts=counts)
        if all(_is_whole(space, tokens) for tokens in candidates):
            return space
    raise DataError(
        f"the first candidate {list(candidates[0])} is none of space {name!r} with {max_macs} MACs; check the table"
    )


def _is_whole(space: SearchSpace, tokens: tuple[int, ...]) -> bool:
    try:
        space.decode(tokens)
    except Exception:  # noqa: BLE001  (a token of another space may be wrong in any way)
        return False
    return True


@lru_cache(maxsize=1)
def _columns(space: SearchSpace) -> dict[tuple[str, int, int], int]:
    places = [("ratio", group) for group in range(space.ratio_tokens)]
    per_position = [kind for kind in space.kinds() if kind not in {"ratio", "head_width"}]
    places += [(kind, position) for position in range(space.settings.positions) for kind in per_position]
    places.append(("head_width", space.settings.positions))
    options = [(*place, option) for place in places for option in range(space.kinds()[place[0]])]
    return {option: column for column, option in enumerate(options)}


def features_of(space: SearchSpace, tokens: tuple[int, ...]) -> NDArray[np.float64]:
    """One-hot choices, then what describes the whole: ratios, block types, mean choices, size; float64 (k,)."""
    columns = _columns(space)
    choices = choices_of(replay(space, tokens))
    hot = np.zeros(len(columns))
    hot[[columns[(*place, choice)] for place, choice in choices.items()]] = 1
    return np.concatenate([hot, _summary(space, tokens, choices)])


def _summary(space: SearchSpace, tokens: tuple[int, ...], choices: Mapping[Place, int]) -> list[float]:
    ratios = [float(choices.get(("ratio", group), 0)) for group in range(MOST_RATIO_TOKENS)]
    types = Counter(choice for (kind, _), choice in choices.items() if kind == "block")
    cost = count_cost(space.decode(tokens).architecture)
    per_kind = {kind: [choice for (own, _), choice in choices.items() if own == kind] for kind in MEANS}
    means = [float(np.mean(values)) if values else 0.0 for values in per_kind.values()]
    counts = [float(types[kind]) for kind in range(BLOCK_TYPES)]
    return [*ratios, *counts, *means, np.log10(cost.params), np.log10(cost.macs)]


@dataclass(frozen=True)
class Fit:
    """A model's cross-validated Kendall τ with its interval over candidates."""

    model: str
    tau: float
    low: float
    high: float


def fits(table: Table, target: int) -> list[Fit]:
    """All models on one target, the best first; τ of five-fold predictions, the mean over five shuffles."""
    features, truth = table.features(), table.means[:, target]
    found = [_fit(name, model, features, truth) for name, model in MODELS.items()]
    return sorted(found, key=lambda fit: -fit.tau)


def _fit(name: str, model: RegressorMixin, features: NDArray[np.float64], truth: NDArray[np.float64]) -> Fit:
    folds = [KFold(5, shuffle=True, random_state=seed) for seed in range(REPEATS)]
    with quiet():
        predicted = [cross_val_predict(clone(model), features, truth, cv=fold) for fold in folds]
    generator = np.random.default_rng(0)
    drawn = [generator.integers(len(truth), size=len(truth)) for _ in range(RESAMPLES)]
    taus = [stats.kendalltau(truth[rows], predicted[k % REPEATS][rows]).statistic for k, rows in enumerate(drawn)]
    low, high = np.nanquantile(taus, [0.025, 0.975])
    return Fit(name, float(np.mean([stats.kendalltau(truth, guess).statistic for guess in predicted])), low, high)


@contextmanager
def quiet() -> Generator[None]:
    """Without the warnings of a Gaussian process whose kernel has a part that the data do not need."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def print_fit(table: Table) -> None:
    print(
        f"{len(table.tokens)} candidates after {table.epochs} epochs on the plateau; "
        f"standard deviation between seeds {table.noise.round(4)}"
    )
    for column, target in enumerate(TARGETS):
        for fit in fits(table, column):
            print(f"{target}: cross-validated τ of {fit.model} {fit.tau:.2f} [{fit.low:.2f}, {fit.high:.2f}]")


class Surrogate:
    """Figures of any candidate of the table's space.

    Args:
        table: trained candidates.
        floor: accuracy floor of the reward, which has α = .2, β = .8.
    """

    def __init__(self, table: Table, *, floor: float) -> None:
        self.space, self.noise = table.space, np.nan_to_num(table.noise)
        self.reward = Reward(alpha=0.2, beta=0.8, accuracy_floor=floor)
        features = table.features()
        chosen = [MODELS[fits(table, column)[0].model] for column in range(len(TARGETS))]
        with quiet():
            self.models = [clone(model).fit(features, table.means[:, column]) for column, model in enumerate(chosen)]
        self.seed = 0
        self._known: dict[tuple[int, ...], Figures] = {}

    def seen_with(self, seed: int) -> Surrogate:
        """The same surrogate with another stream of noise."""
        other = copy(self)
        other.seed = seed
        return other

    def figures(self, tokens: tuple[int, ...]) -> Figures:
        """What the models say of a candidate; its multiply-accumulates are counted."""
        if tokens not in self._known:
            features = features_of(self.space, tokens)[None]
            accuracy, unfairness = (float(model.predict(features)[0]) for model in self.models)
            macs = round(10 ** features[0, -1])
            self._known[tokens] = Figures(min(1.0, max(0.0, accuracy)), max(0.0, unfairness), macs)
        return self._known[tokens]

    def outcome(self, slot: int, tokens: tuple[int, ...]) -> Outcome:
        """With noise as large as between two training seeds."""
        true, noise = self.figures(tokens), self.noise * numpy_generator(self.seed, "surrogate", slot).normal(size=2)
        accuracy = min(1.0, max(0.0, true.accuracy + float(noise[0])))
        unfairness = max(0.0, true.unfairness + float(noise[1]))
        feasible = self.reward.is_feasible(accuracy)
        return Outcome(slot, tokens, self.reward(accuracy, unfairness), accuracy, unfairness, true.macs, feasible)
