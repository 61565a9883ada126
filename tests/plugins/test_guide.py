"""The guide of plug-ins has an example of every kind, and each keeps its kind's contract."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mindgap.workflows.plugins import REGISTRIES

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "adding_a_plugin.md"
FILE = re.compile(r"^```python\n# (my_plugins|tests)/(\w+)\.py\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"\.register\(\"([\w-]+)\"\)")


def examples() -> dict[str, str]:
    """The page's files by their names without the ending."""
    return {name: text for _, name, text in FILE.findall(GUIDE.read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the page's package is installed."""
    folder = tmp_path_factory.mktemp("installed")
    package, metadata = folder / "my_plugins", folder / "my_plugins-1.0.dist-info"
    package.mkdir()
    metadata.mkdir()
    (package / "__init__.py").write_text("")
    points = ""
    for kind in REGISTRIES:
        text = examples()[kind]
        (package / f"{kind}.py").write_text(text, encoding="utf-8")
        points += f"[mindgap.{kind}]\n{NAME.findall(text)[0]} = my_plugins.{kind}\n\n"
    (metadata / "entry_points.txt").write_text(points)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugins\nVersion: 1.0\n")
    (folder / "test_my_plugins.py").write_text(examples()["test_my_plugins"], encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "FOLDER": str(folder)}


def test_the_guide_has_a_file_of_every_kind_and_a_test_of_each() -> None:
    found = examples()
    assert set(found) == {*REGISTRIES, "test_my_plugins"}
    for kind in REGISTRIES:
        names = NAME.findall(found[kind])
        assert len(names) == 1
        assert f'named("{names[0]}")' in found["test_my_plugins"], kind


def test_every_kind_lists_the_example(environment: dict[str, str]) -> None:
    lines = [
        "from mindgap.workflows.plugins import REGISTRIES, list_plugins",
        "for kind in REGISTRIES:",
        "    print(kind, *list_plugins(kind))",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, check=True
    )
    listed = {kind: names for kind, *names in map(str.split, done.stdout.splitlines())}
    assert [kind for kind in REGISTRIES if NAME.findall(examples()[kind])[0] not in listed[kind]] == []
    assert done.stderr == ""


@pytest.mark.slow
def test_every_example_keeps_the_contract_of_its_kind(environment: dict[str, str]) -> None:
    call = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "", "test_my_plugins.py"]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False, cwd=environment["FOLDER"])
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    last = done.stdout.splitlines()[-1]
    assert int(re.search(r"(\d+) passed", last)[1]) > 100
    assert "skipped" not in last
