"""Workers and driver are killed and stopped at random; what the search finds is what it finds undisturbed."""

from __future__ import annotations

import random
import sys
import uuid

import pytest

from mindgap.testing.chaos import Storm
from mindgap.testing.chaos_promises import broken_promises
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.workflows.search import search


def weather(folder, *, study=None, seed, images, strikes, trials, options=None, **storm):
    """A search nobody disturbs, one in a storm, and every promise that the second did not keep."""
    store = write_tiny_store(folder / "store", n=images)
    config = write_tiny_config(folder, trials=trials, grace_s=1.0, **(options or {}))
    search(store, out=folder / "calm", config=config, workers=2)
    command = [sys.executable, "-m", "mindgap.cli.main", "search", store, "--out", folder / "run", "--config", config]
    command += [] if study is None else ["--study", study]
    struck = Storm([*map(str, command)], folder / "run", seed=seed, strikes=strikes, trials=trials, **storm)
    struck.rage()
    broken = broken_promises(folder / "run", folder / "calm") + struck.broken
    assert broken == [], f"{struck.summary}\n" + "\n".join(broken)
    assert sum(struck.struck.values()) == strikes, f"the search ended first; {struck.summary}"
    return struck


@pytest.mark.slow
def test_a_search_keeps_its_promises_in_a_shower(tmp_path):
    """One strike of each kind; the long storm, drawn anew each time, has its own test."""
    kinds = ("kill worker", "hold worker", "kill driver", "kill worker")
    struck = weather(tmp_path, seed=0, images=600, strikes=len(kinds), trials=8, plan=kinds, workers=(2,))
    assert len(struck.held) == 1, f"nothing was given away; {struck.summary}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "options"),
    [("sqlite", {}), ("postgresql", {}), ("sqlite", {"epochs": 8, "rungs": "1,3,8"})],
    ids=["sqlite", "postgresql", "rungs"],
)
def test_a_search_keeps_its_promises_in_a_storm(tmp_path, request, database, options):
    seed = random.SystemRandom().randrange(10**6)
    study = None
    if database == "postgresql":
        study = request.getfixturevalue("postgres").url("chaos", study=f"storm-{uuid.uuid4().hex}")
    storm = {"images": 2000, "strikes": 40, "trials": 60, "workers": (2, 3, 4)}
    struck = weather(tmp_path, study=study, seed=seed, options=options, **storm)
    assert struck.held, f"nothing was given away; {struck.summary}"
