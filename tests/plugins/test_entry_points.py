"""Adding a part from another package is one file and one entry point: the tool finds it everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mindgap.testing.tiny_store import write_tiny_store

BLOCK = '''
from torch import nn

from mindgap.space.block import BLOCKS, AbstractBlock


@BLOCKS.register("pointwise")
class PointwiseBlock(AbstractBlock):
    """A 1x1 convolution with ReLU, from another package."""

    searchable = True

    def choices(self):
        return {"out_channels": (8, 16)}

    def build(self, in_channels, out_channels, stride):
        return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.ReLU())
'''

LOSS = '''
from mindgap.train.loss import LOSSES
from mindgap.train.losses.ce import CrossEntropy


@LOSSES.register("halved")
class HalvedCrossEntropy(CrossEntropy):
    """Half the cross-entropy, from another package."""

    def __call__(self, logits, labels):
        return super().__call__(logits, labels) / 2
'''

KITS = """
import pytest

from mindgap.testing import BlockConformance, LossConformance


class TestMyBlock(BlockConformance):
    @pytest.fixture
    def name(self):
        return "pointwise"


class TestMyLoss(LossConformance):
    @pytest.fixture
    def name(self):
        return "halved"
"""

SAMPLE = """
from mindgap.core.seed import numpy_generator
from mindgap.space.search_space import SearchSpace

space = SearchSpace.load("default", num_classes=3, input_px=32, group_counts=None)
generator = numpy_generator(0)
seen = set()
for _ in range(40):
    episode = space.start()
    while episode.decision is not None:
        episode.choose(int(generator.choice(episode.mask().nonzero()[0])))
    seen |= {block.type for block in episode.candidate().architecture.blocks}
assert "pointwise" in seen, seen
"""


TAKEN = """
from mindgap.train.loss import LOSSES


@LOSSES.register("ce")
class Mine:
    pass
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which a package with two plug-ins is installed, and others can be added beside it."""
    package, metadata = tmp_path / "my_plugins", tmp_path / "my_plugins-1.0.dist-info"
    package.mkdir()
    metadata.mkdir()
    (package / "__init__.py").write_text("")
    (package / "block.py").write_text(BLOCK)
    (package / "loss.py").write_text(LOSS)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugins\nVersion: 1.0\n")
    blocks, losses = "pointwise = my_plugins.block", "halved = my_plugins.loss:HalvedCrossEntropy"
    (metadata / "entry_points.txt").write_text(f"[mindgap.blocks]\n{blocks}\n\n[mindgap.losses]\n{losses}\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def python(environment: dict[str, str], *arguments: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_list_shows_the_plug_ins_of_an_installed_package(environment: dict[str, str]):
    blocks = python(environment, "-m", "mindgap.cli.main", "list", "blocks")
    assert any(line.split(maxsplit=1)[0] == "pointwise" and "another package" in line for line in blocks.splitlines())
    assert "halved" in python(environment, "-m", "mindgap.cli.main", "list", "losses")


def test_a_searchable_block_of_another_package_is_sampled(environment: dict[str, str]):
    python(environment, "-c", SAMPLE)


def test_the_conformance_kits_judge_the_plug_ins(environment: dict[str, str], tmp_path: Path):
    (tmp_path / "test_my_plugins.py").write_text(KITS)
    out = python(environment, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_plugins.py", cwd=tmp_path)
    assert " passed" in out
    assert "skipped" not in out


def install_losses(folder: Path, **points: str) -> None:
    """Installs a package ``other`` with these entry points for losses."""
    metadata = folder / "other-2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 2.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (metadata / "entry_points.txt").write_text(f"[mindgap.losses]\n{lines}")


def mindgap(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mindgap.cli.main", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_plug_in_that_cannot_be_imported_is_left_out_with_one_line(environment: dict[str, str], tmp_path: Path):
    install_losses(tmp_path, zz="nonexisting_mod")
    done = mindgap(environment, "list", "losses")
    assert done.returncode == 0, done.stderr
    names = {line.split(maxsplit=1)[0] for line in done.stdout.splitlines()}
    assert {"ce", "halved"} <= names
    assert "zz" not in names
    assert done.stderr == (
        "warning: the plug-in zz = nonexisting_mod in mindgap.losses of other cannot be loaded "
        "(ModuleNotFoundError: No module named 'nonexisting_mod'); it is left out\n"
    )


def test_a_plug_in_that_fails_as_it_may_is_one_line(environment: dict[str, str], tmp_path: Path):
    (tmp_path / "no_python.py").write_text("def half(:\n")
    (tmp_path / "divides.py").write_text("1 / 0\n")
    (tmp_path / "taken.py").write_text(TAKEN)
    install_losses(tmp_path, a="no_python", b="divides", c="taken", d="divides.thing", e="my_plugins.loss:Absent")
    done = mindgap(environment, "list", "losses")
    assert done.returncode == 0, done.stderr
    assert [line.split()[3] for line in done.stderr.splitlines()] == ["a", "b", "c", "d", "e"]
    assert "the name 'ce' is taken by mindgap.train.losses.ce.CrossEntropy" in done.stderr
    assert any(line.startswith("ce ") and "another package" not in line for line in done.stdout.splitlines())


def test_asking_for_a_broken_plug_in_says_why_it_is_not_there(environment: dict[str, str], tmp_path: Path):
    install_losses(tmp_path, zz="nonexisting_mod")
    store, run = write_tiny_store(tmp_path / "store"), tmp_path / "run"
    done = mindgap(environment, "train", str(store), "--network", "resnet18", "--loss", "zz", "--out", str(run))
    why = (
        "the plug-in zz = nonexisting_mod in mindgap.losses of other cannot be loaded "
        "(ModuleNotFoundError: No module named 'nonexisting_mod')"
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"warning: {why}; it is left out",
        f"error: {why}; mend or uninstall that package, or name another",
    ]
    assert not run.exists()
