"""One run of a comparison of methods: trained, judged on validation, and, if it is to be compared, its files kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import TrainingFailure
from mindgap.core.seed import derive_seed
from mindgap.metrics.predictions import write_predictions
from mindgap.search.artifacts import LOG_FILE, PREDICTIONS_FILE, AbstractArtifacts, SharedFolder
from mindgap.search.attempt_folders import AttemptFolders
from mindgap.search.ledger import Claim
from mindgap.search.method_plan import MethodPlan, MethodRun
from mindgap.search.plan import judged_unfairness
from mindgap.search.planned_store import planned_store
from mindgap.search.reward import Reward
from mindgap.search.trial import accuracies_by_group
from mindgap.search.worker_loop import EpochDone, Trained
from mindgap.space.architecture import save_network
from mindgap.space.cost import count_cost
from mindgap.train.epoch_log import EpochLog
from mindgap.train.evaluate import accuracy, predict_probabilities
from mindgap.train.kept_mitigation import keep_mitigation
from mindgap.train.loop import EpochRecord, TrainingRun, TrainResult, train_network
from mindgap.train.own_figure import figure_records
from mindgap.train.store_predictions import to_predictions

NO_OPTIONS = "none of its tuning runs was trained to the end, so no options could be chosen"
JUDGED_SPLITS = ("validation", "test")


class MethodRuns:
    """The runs of a plan, trained on its store.

    Args:
        run: folder of the comparison.
        plan: what their results depend on.
        artifacts: where other machines find what an attempt leaves; None is the run's folder.

    Raises:
        RunError: the store is not the one the comparison began with.
    """

    reward = Reward(alpha=0.0, beta=0.0, accuracy_floor=0.0)

    def __init__(self, run: Path, plan: MethodPlan, *, artifacts: AbstractArtifacts | None = None) -> None:
        self.plan = plan
        self.folders = AttemptFolders(run, artifacts or SharedFolder())
        self.store = planned_store(plan.store, fingerprint=plan.fingerprint, what="comparison")
        self.groups = self.store.groups(plan.attribute)

    def rejection(self, tokens: tuple[int, ...]) -> Mapping[str, Any] | None:  # noqa: ARG002  (all are trained)
        """None: every run is begun."""
        return None

    def train(self, claim: Claim, *, epoch_done: EpochDone, between: Callable[[], None]) -> Trained:
        """Trains and judges a run; resumes from the last attempt that left a checkpoint.

        Raises:
            CapacityError: its folder cannot be written.
            TrainingFailure: it cannot be trained, or its method has no options to be trained with.
        """
        run = MethodRun.of(claim.tokens)
        if run.trial < 0:
            raise TrainingFailure(NO_OPTIONS)
        folder = self.folders.begin(claim)
        spent: Mapping[str, float] = {}
        try:
            result = self._train(folder, run, epoch_done=epoch_done, between=between)
            spent = result.spent
            trained = self._judge(folder, run, result)
        except TrainingFailure as failure:
            failure.spent = failure.spent or spent
            raise
        self.folders.artifacts.send(folder)
        return trained

    def keep_error(self, claim: Claim, text: str) -> None:
        """Writes ``error.txt`` into the attempt's folder."""
        self.folders.keep_error(claim, text)

    def settle(self, claim: Claim) -> None:
        """Removes the checkpoints of all attempts."""
        self.folders.settle(claim)

    def _train(
        self, folder: Path, run: MethodRun, *, epoch_done: EpochDone, between: Callable[[], None]
    ) -> TrainResult:
        plan, settings, log = self.plan, self.plan.settings(run), EpochLog(folder / LOG_FILE)

        def on_epoch(record: EpochRecord, _: TrainingRun) -> None:
            epoch_done(record.epoch)
            log.add(record)

        def on_teacher_epoch(epoch: int) -> None:
            epoch_done(epoch, of_teacher=True)

        def before_epoch(_: int) -> None:
            self.folders.artifacts.send(folder)
            between()

        return train_network(
            plan.architecture.build(seed=derive_seed(settings.seed, "weights")),
            self.store,
            train_rows=self.store.rows("train"),
            groups=self.groups,
            settings=settings,
            architecture=plan.architecture,
            checkpoint_dir=folder,
            on_epoch=on_epoch,
            on_teacher_epoch=on_teacher_epoch,
            before_epoch=before_epoch,
            precision_plan=plan.precision_plan,
        )

    def _judge(self, folder: Path, run: MethodRun, result: TrainResult) -> Trained:
        store, rows = self.store, self.store.rows("validation")
        chances = self._probabilities(result, rows)
        reached, labels, groups = accuracy(store, rows, chances), store.labels[rows], self.groups.take(rows)
        predicted = (chances > 0.5 if labels.ndim == 2 else chances.argmax(axis=1)).astype(np.int64)
        gap, reason = judged_unfairness(labels, predicted, groups, kind="plain", exclude=self.plan.excluded_groups)
        if reason is not None:
            raise TrainingFailure(f"unfairness is undefined: {reason}")
        by_group = accuracies_by_group(labels, predicted, groups)
        worst = min(value for name, value in by_group.items() if name not in self.plan.excluded_groups)
        record = {
            "reason": None,
            "reward": worst,
            "accuracy": reached,
            "unfairness": gap,
            "groups": by_group,
            **result.spent,
            "modes": list(result.modes),
            "mitigation_figures": figure_records(result.mitigation.own_figures()),
        }
        if run.seed >= 0:
            self._keep(folder, result, chances, name=self.plan.methods[run.method])
        return Trained(record, (reached, gap, float(count_cost(self.plan.architecture).macs)))

    def _keep(self, folder: Path, result: TrainResult, of_validation: NDArray[np.float64], *, name: str) -> None:
        """Writes the network, what of its method it needs, and predictions of both splits, which the end looks at."""
        parts = [self.store.rows(split) for split in JUDGED_SPLITS]
        chances = np.concatenate([of_validation, self._probabilities(result, parts[1])])
        splits = np.repeat(list(JUDGED_SPLITS), [len(part) for part in parts]).tolist()
        save_network(folder, self.plan.architecture, result.network)
        keep_mitigation(
            folder,
            result.mitigation,
            result.network,
            architecture=self.plan.architecture,
            name=name,
            attributes=(self.plan.attribute,),
        )
        predictions = to_predictions(self.store, np.concatenate(parts), chances)
        write_predictions(folder / PREDICTIONS_FILE, predictions, split=splits)

    def _probabilities(self, result: TrainResult, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return predict_probabilities(
            result.network,
            self.store.image_tensor(),
            rows,
            architecture=self.plan.architecture,
            task=self.store.task,
            modes=result.modes,
            mitigation=result.mitigation,
            groups=self.groups,
        )
