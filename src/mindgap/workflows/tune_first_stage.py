"""The hidden head that a tuning starts at, trained once and kept in the run's folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mindgap.core.files import atomic_path
from mindgap.core.progress import Progress
from mindgap.core.seed import derive_seed
from mindgap.tune.first_stage import EPOCHS, LabelledFeatures, train_hidden_head
from mindgap.tune.head import HiddenHead
from mindgap.tune.trained_head import trained_head
from mindgap.tune.tuned_network import hidden_classifier
from mindgap.workflows.tune_job import Part, TuneJob

START = "hidden.npy"


def with_hidden_head(job: TuneJob, folder: Path, tuned_on: Part, bar: Progress) -> TuneJob:
    """The job that starts at a hidden head, where one is asked for; it is trained where the folder has none.

    Args:
        job: what is tuned.
        folder: of the run.
        tuned_on: the rows by whose loss the epoch is chosen.
        bar: is told what is done.
    """
    hidden = job.options.hidden
    if hidden is None:
        return job
    head = HiddenHead(tuned_on.features.shape[1], len(job.store.classes), hidden=hidden)
    path = folder / START
    if not path.is_file():
        bar.describe("computing features of the training images")
        train = job.part("train", job.store.rows("train"), folder=folder)
        trained = train_hidden_head(
            _labelled(job, train),
            _labelled(job, tuned_on),
            hidden=hidden,
            outputs=head.outputs,
            seed=derive_seed(job.options.seed, "hidden"),
            on_epoch=lambda epoch: bar.describe(f"training the hidden head, epoch {epoch} of {EPOCHS}"),
        )
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, trained_head(trained, part="all").vector)
    for features in folder.glob("features-train-*.npy"):  # of no use any more, and as large as all the others
        features.unlink()
    return replace(job, start=hidden_classifier(head, np.load(path)).to(job.device))


def _labelled(job: TuneJob, part: Part) -> LabelledFeatures:
    labels = torch.from_numpy(job.store.labels[part.rows]).to(job.device)
    return LabelledFeatures(part.features, labels.float() if job.is_multi_label else labels.long())
