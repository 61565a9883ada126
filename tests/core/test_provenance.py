from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mindgap.core.provenance import git_state, provenance


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git(tmp_path, "init")
    (tmp_path / "code.py").write_text("")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-m", "code")
    return tmp_path


def test_the_repository_that_tracks_the_code_is_recorded(repository: Path):
    state = git_state(repository / "code.py")
    assert state is not None
    assert len(state["commit"]) == 40
    assert state["changed"] is False
    (repository / "code.py").write_text("changed")
    assert git_state(repository / "code.py") == {"commit": state["commit"], "changed": True}


def test_a_repository_that_only_surrounds_the_installed_code_is_not(repository: Path):
    """As in a project whose virtual environment lies in its own checkout."""
    installed = repository / ".venv" / "site-packages" / "code.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("")
    assert git_state(installed) is None


def test_outside_a_repository_there_is_nothing(tmp_path: Path):
    assert git_state(tmp_path / "code.py") is None
    assert git_state(tmp_path / "nowhere" / "code.py") is None


def test_provenance_holds_seed_and_fingerprint():
    record = provenance(seed=3, fingerprint="abc")
    assert (record["seed"], record["fingerprint"]) == (3, "abc")
