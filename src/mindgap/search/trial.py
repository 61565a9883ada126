"""One candidate: decoded, trained, judged on validation, and its files written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mindgap.core.errors import TrainingFailure
from mindgap.core.groups import Groups
from mindgap.core.seed import derive_seed
from mindgap.metrics.predictions import write_predictions
from mindgap.metrics.unfairness import group_accuracies
from mindgap.search.artifacts import LOG_FILE, PREDICTIONS_FILE, AbstractArtifacts, SharedFolder
from mindgap.search.attempt_folders import AttemptFolders
from mindgap.search.ledger import Claim
from mindgap.search.plan import SearchPlan, judged_unfairness
from mindgap.search.planned_store import planned_store
from mindgap.search.training_options import candidate_settings
from mindgap.search.worker_loop import EpochDone, Trained
from mindgap.space.architecture import save_network
from mindgap.space.cost import count_cost
from mindgap.space.episode import Candidate
from mindgap.train.epoch_log import EpochLog
from mindgap.train.evaluate import accuracy, predict_probabilities
from mindgap.train.loop import EpochRecord, TrainingRun, TrainResult, train_network
from mindgap.train.store_predictions import to_predictions


class StoreCandidates:
    """The candidates of a plan, trained on its store.

    Args:
        run: folder of the search.
        plan: what their results depend on.
        artifacts: where other machines find what an attempt leaves; None is the run's folder.

    Raises:
        RunError: the store is not the one the search began with.
    """

    def __init__(self, run: Path, plan: SearchPlan, *, artifacts: AbstractArtifacts | None = None) -> None:
        self.run, self.plan = run, plan
        self.artifacts = artifacts or SharedFolder()
        self.folders = AttemptFolders(run, self.artifacts)
        self.store = planned_store(plan.store, fingerprint=plan.fingerprint, what="search")
        self.space = plan.open_space(self.store, run=run)
        self.reward = plan.make_reward()
        self.groups = self.store.groups(plan.attribute)
        self.validation = self.store.rows("validation")

    def folder(self, claim: Claim) -> Path:
        """``trials/<slot>/<attempt>``."""
        return self.folders.folder(claim)

    def rejection(self, tokens: tuple[int, ...]) -> Mapping[str, Any] | None:
        """The record of a candidate over a limit; None if it is within all."""
        candidate = self.space.decode(tokens)
        reason = self.space.rejection(candidate)
        if reason is None:
            return None
        return {"reason": reason, "reward": self.plan.reward.rejected, **describe_candidate(candidate)}

    def train(self, claim: Claim, *, epoch_done: EpochDone, between: Callable[[], None]) -> Trained:
        """Trains and judges a candidate; resumes from the last attempt that left a checkpoint.

        Raises:
            CapacityError: its folder cannot be written.
            TrainingFailure: it cannot be trained.
        """
        folder = self.folders.begin(claim)
        candidate = self.space.decode(claim.tokens)
        spent: Mapping[str, float] = {}
        try:
            result = self._train(claim, candidate, epoch_done=epoch_done, between=between)
            spent = result.spent
            trained = self._judge(claim, candidate, result)
        except TrainingFailure as failure:
            failure.spent = failure.spent or spent
            raise
        self.artifacts.send(folder)
        return trained

    def _train(
        self, claim: Claim, candidate: Candidate, *, epoch_done: EpochDone, between: Callable[[], None]
    ) -> TrainResult:
        folder, seed = self.folder(claim), derive_seed(self.plan.seed, "slot", claim.slot)
        network = candidate.architecture.build(seed=derive_seed(seed, "weights"))
        log = EpochLog(folder / LOG_FILE)

        def on_epoch(record: EpochRecord, _: TrainingRun) -> None:
            epoch_done(record.epoch)
            log.add(record)

        def on_teacher_epoch(epoch: int) -> None:
            epoch_done(epoch, of_teacher=True)

        def before_epoch(_: int) -> None:
            self.artifacts.send(folder)
            between()

        return train_network(
            network,
            self.store,
            train_rows=self.store.rows("train"),
            groups=self.groups,
            settings=candidate_settings(
                self.plan, training=candidate.training, ratios=candidate.ratios, seed=seed, rung=claim.rung
            ),
            architecture=candidate.architecture,
            checkpoint_dir=folder,
            on_epoch=on_epoch,
            on_teacher_epoch=on_teacher_epoch,
            before_epoch=before_epoch,
            precision_plan=self.plan.precision_plan,
            keep_stem=claim.rung < self.plan.rungs.top,
        )

    def _judge(self, claim: Claim, candidate: Candidate, result: TrainResult) -> Trained:
        folder = self.folder(claim)
        probabilities = predict_probabilities(
            result.network,
            self.store.image_tensor(),
            self.validation,
            architecture=candidate.architecture,
            task=self.store.task,
            modes=result.modes,
        )
        reached = accuracy(self.store, self.validation, probabilities)
        labels, groups = self.store.labels[self.validation], self.groups.take(self.validation)
        predicted = (probabilities > 0.5 if labels.ndim == 2 else probabilities.argmax(axis=1)).astype(np.int64)
        gap, reason = judged_unfairness(
            labels, predicted, groups, kind=self.plan.unfairness, exclude=self.plan.excluded_groups
        )
        if reason is not None:
            raise TrainingFailure(f"unfairness is undefined: {reason}")
        reward = self.plan.make_reward(claim.rung)
        record = {
            **describe_candidate(candidate),
            "reason": None,
            "reward": reward(reached, gap),
            "feasible": reward.is_feasible(reached),
            "accuracy": reached,
            "unfairness": gap,
            "groups": accuracies_by_group(labels, predicted, groups),
            **result.spent,
        }
        save_network(folder, candidate.architecture, result.network)
        write_predictions(
            folder / PREDICTIONS_FILE, to_predictions(self.store, self.validation, probabilities), split="validation"
        )
        return Trained(record, (reached, gap, float(record["macs"])))

    def keep_error(self, claim: Claim, text: str) -> None:
        """Writes ``error.txt`` into the attempt's folder, and sends it."""
        self.folders.keep_error(claim, text)

    def settle(self, claim: Claim) -> None:
        """Removes the checkpoints of all attempts, but for the stem a promoted candidate would go on from."""
        self.folders.settle(claim, keep_stem=claim.rung < self.plan.rungs.top)


def describe_candidate(candidate: Candidate) -> dict[str, Any]:
    """What is known of a candidate before it is trained, as in ``search.json``."""
    cost = count_cost(candidate.architecture)
    return {
        "architecture": candidate.architecture.model_dump(mode="json"),
        "ratios": candidate.ratios,
        "loss": candidate.loss,
        "choices": candidate.choices,
        "training": candidate.training,
        "macs": cost.macs,
        "params": cost.params,
    }


def accuracies_by_group(labels: np.ndarray, predicted: np.ndarray, groups: Groups) -> dict[str, float]:
    """Accuracy of every group by name; of several labels (n, L) the mean over labels."""
    if labels.ndim == 1:
        values = group_accuracies(labels.astype(np.int64), predicted, groups)
    else:
        values = np.mean(
            [group_accuracies(labels[:, k].astype(np.int64), predicted[:, k], groups) for k in range(labels.shape[1])],
            axis=0,
        )
    return {name: float(value) for name, value in zip(groups.names, values, strict=True)}
