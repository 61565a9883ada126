"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.groups import Groups
from mindgap.metrics.predictions import MultiLabelPredictions, Predictions, predictions_from_arrays
from mindgap.testing.postgres_server import PostgresServer, postgres_binaries

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the repository; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real images are not here: no ../shared/data beside the repository")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Timings of the tests are remembered among themselves and not in the user's cache."""
    base = tmp_path_factory.getbasetemp()
    session = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # shared by the workers of a session
    os.environ["XDG_CACHE_HOME"] = str(session / "cache")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    """A PostgreSQL of the tests' own; what needs it skips where it is not installed."""
    if postgres_binaries() is None:
        pytest.skip("PostgreSQL is not installed: no initdb, and nothing in /usr/lib/postgresql")
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed: psycopg")
    with PostgresServer.start() as server:
        yield server


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A disk of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=False).returncode
    ):
        pytest.skip("mounting a small tmpfs needs root")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.fixture(scope="session")
def make_predictions() -> Callable[..., Predictions]:
    """Invented predictions with a tone and a sex; the last tone is worse, by ``shift`` logits of the true class."""

    def make(
        *,
        n: int = 600,
        tones: tuple[str, ...] = ("I", "II", "III"),
        classes: tuple[str, ...] = ("melanoma", "nevus", "keratosis", "scar"),
        shift: float = 1.5,
        with_probabilities: bool = True,
        seed: int = 0,
    ) -> Predictions:
        generator = np.random.default_rng(seed)
        labels = generator.integers(0, len(classes), n)
        tone, sex = generator.integers(0, len(tones), n), generator.integers(-1, 2, n)
        logits = generator.normal(size=(n, len(classes)))
        logits[np.arange(n), labels] += 2.0 - shift * (tone == len(tones) - 1)
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return predictions_from_arrays(
            labels,
            classes=classes,
            probabilities=chances if with_probabilities else None,
            predicted=chances.argmax(axis=1),
            groups={"tone": Groups("tone", tones, tone), "sex": Groups("sex", ("female", "male"), sex)},
        )

    return make


@pytest.fixture(scope="session")
def make_audit_of() -> Callable[..., dict[str, Any]]:
    """Audits predictions with few resamples."""

    def make(predictions: Predictions | MultiLabelPredictions, *, resamples: int = 40) -> dict[str, Any]:
        return audit_predictions(predictions, bootstrap=resamples, permutations=resamples, seed=0)

    return make


@pytest.fixture
def fake_timm(monkeypatch: pytest.MonkeyPatch) -> Generator[Any]:
    """A package named timm that creates small networks."""
    from mindgap.space import timm_backbone
    from mindgap.testing.made_timm import MadeTimm

    made = MadeTimm()
    monkeypatch.setitem(sys.modules, "timm", made)
    timm_backbone._facts.cache_clear()
    yield made
    timm_backbone._facts.cache_clear()
