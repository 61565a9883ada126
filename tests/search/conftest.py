"""A small store and a small search for the tests of searching."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from mindgap.data.image_store import Store
from mindgap.search.options import merge_options
from mindgap.search.plan import SearchPlan
from mindgap.search.planning import make_draft
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.open(write_tiny_store(tmp_path_factory.mktemp("data") / "store"))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new ledger, on SQLite and on PostgreSQL; all on the server share one database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server = request.getfixturevalue("postgres")
    return server.url("ledgers", study=f"{request.node.name}-{uuid.uuid4().hex}")


@pytest.fixture
def plan_of(tmp_path: Path):
    """Makes the plan of a tiny search with some options changed."""

    def plan(store: Store, *, preset: str = "fair", **options: object) -> SearchPlan:
        config = write_tiny_config(tmp_path, **options)
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        draft = make_draft(merge_options(config, {}), store, preset=preset)
        draft.keep_space(run)
        return draft.plan

    return plan
