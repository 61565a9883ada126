"""Every block of code on the pages is carried out, in its order, with numbers so small that it takes seconds.

A block is of commands (no language), Python, TOML, or text that something printed. What cannot be carried out here says
why in a comment before it: ``<!-- not executed: needs a cluster -->``. The pages of results say how figures were made,
by commands of hours, and the guide of plug-ins and the pages of metrics have tests of their own.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from typer.main import get_command

from mindgap.cli.main import build_app, run

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
OWN_TEST = {"adding_a_plugin.md"}
OTHERS = [ROOT / "README.md", *sorted({*DOCS.glob("*.md"), *(DOCS / "concepts").glob("*.md")} - {TUTORIAL})]
WITH_CODE = [page for page in OTHERS if page.name not in OWN_TEST and "```" in page.read_text(encoding="utf-8")]
PAGES = [TUTORIAL, *(pytest.param(page, marks=pytest.mark.slow) for page in WITH_CODE)]
REASONS = ("needs a server of PostgreSQL", "needs a cluster", "needs a GPU", "needs timm", "serves until it is stopped")

QUICK = {"--bootstrap": "30", "--permutations": "30"}
SMALL: Mapping[str, Mapping[str, str]] = {
    "synth": {"--n": "360", "--size": "24"},
    "prepare": {"--size": "24", "--split": ".4,.3,.3", "--workers": "1"},
    "train": {"--epochs": "1", **QUICK},
    "search": {"--epochs": "1", "--trials": "2", "--min-group": "5", **QUICK},
    "compare": QUICK,
    "compare methods": {"--epochs": "1", "--trials": "1", "--seeds": "2", "--min-group": "5", **QUICK},
    "audit": QUICK,
    "prune": {"--epochs": "1", "--iterations": "1", "--weight-steps": "1", **QUICK},
    "tune": {"--budget": "100", "--min-rows": "3", **QUICK},
    "explain": QUICK,
    "export": QUICK,
    "reproduce": QUICK,
}
OF_RECIPES = {"seeds": 2, "epochs": 1, "trials": 1, "budget": 100, "iterations": 1, "folds": 2}


class Block(NamedTuple):
    """A block of code: its language, its text, and why it is not carried out, if it is not."""

    language: str
    text: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    fence = re.compile(r"(?:^<!-- not executed: ([^\n]+) -->\n+)?^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    found = fence.findall(page.read_text(encoding="utf-8"))
    return [Block(language, text, reason or None) for reason, language, text in found if language[:1] != "{"]


def lines(block: Block) -> Iterator[list[str]]:
    """The words of each command, lines joined at a backslash, comments off."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def shrunk(words: list[str]) -> list[str]:
    """The command with its numbers small; options that it has not are added, where its verb knows them."""
    verb, rest = words[0], list(words[1:])
    if (verb == "search" and "--status" in rest) or (verb == "audit" and (Path(rest[0]) / "store.json").exists()):
        return words
    if "--rungs" in rest and rest[rest.index("--rungs") + 1] != "none":
        rest[rest.index("--rungs") + 1] = "1,2"
    small = dict(SMALL.get("compare methods" if "--methods" in rest else verb, {}))
    if "--rungs" in rest:
        small["--epochs"] = "2"
    if "tpe" in rest:
        small["--trials"] = "5"  # it learns from four
    if "--pick" in rest:
        rest[rest.index("--pick") + 1] = rest[rest.index("--pick") + 1].partition("=")[0] + "=0"
    if "--budget-hours" in rest:
        del small["--trials"]
        small["--budget-hours"] = "0.002"
    for option, value in small.items():
        if option in rest:
            at = rest.index(option) + 1
            rest[at] = str(min(int(value), int(rest[at]))) if value.isdigit() else value
        else:
            rest += [option, value]
    if "--workers" in rest:
        rest[rest.index("--workers") + 1] = "1"
    return [verb, *rest]


def small_recipe(name: str, folder: Path) -> str:
    """The recipe of a name with numbers as small, as a file."""
    published = ROOT / "src" / "mindgap" / "workflows" / "recipes" / f"{name}.toml"
    if not published.is_file():
        return name
    text = published.read_text(encoding="utf-8")
    for option, value in OF_RECIPES.items():
        text = re.sub(rf"\b{option} = \d+", f"{option} = {value}", text)
    text = re.sub(r"\bnetwork = \"resnet\d+\"", 'network = "mobilenet_v2"', text)
    (folder / f"small_{name}.toml").write_text(text, encoding="utf-8")
    return f"small_{name}.toml"


def carry_out(words: list[str], folder: Path, world: Any) -> None:
    made = {words[at + 1] for at, word in enumerate(words[:-1]) if word in {"--out", "--json", "--html"}}
    for name in ",".join(words).replace("/,", ",").split(","):
        if name in world and name not in made:
            world.put(name, folder)
    if words[0] == "reproduce":
        words = [words[0], small_recipe(words[1], folder), *words[2:]]
    assert run(shrunk(words)) == 0, " ".join(words)


def check_other_command(words: list[str]) -> None:
    """What is no verb: targets of make, scripts with their options, extras of pip."""
    program, rest = words[0], words[1:]
    if program == "make":
        assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for target in rest)
    elif program == "python":
        script = (ROOT / rest[0]).read_text(encoding="utf-8")
        assert [word for word in rest if word.startswith("--") and f'"{word}"' not in script] == []
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert set(re.findall(r"mindgap\[(\w+)\]", " ".join(rest))) <= set(extras)
    else:
        assert program in {"git", "cd", ".", "source"}, program


def carry_out_python(text: str, names: dict[str, Any], folder: Path, world: Any) -> None:
    for name in re.findall(r'"([^"\s]+)"', text):
        if name in world and f'out="{name}"' not in text:
            world.put(name, folder)
    if re.search(r"\bsearch\(|\bcompare\(.*methods=|\btrain\(", text):
        text = re.sub(r"\b(trials|seeds)=\d+", lambda found: f"{found[1]}={'12'[found[1] == 'seeds']}", text)
        text = re.sub(r"workers=\d+", "workers=1", text)
        text = re.sub(r"\bout=", "epochs=1, bootstrap=30, permutations=30, min_group=5, out=", text)
    exec(compile(text, "page", "exec"), names)  # noqa: S102 the documentation is ours
    for name in re.findall(r'to_csv\("([^"]+)"', text):
        assert len(pd.read_csv(folder / name)), f"{name} has no row"


def carry_out_toml(text: str, folder: Path, world: Any) -> None:
    """A search with the configuration, or with the space, that the table describes."""
    table = tomllib.loads(text)
    world.put("store", folder)
    is_space = {"augment", "loss"} & set(table.get("training", {}))
    place = folder / ("space.toml" if is_space else "search.toml")
    place.write_text(text, encoding="utf-8")
    option = "--space" if is_space else "--config"
    words = ["search", "store", option, place.name, "--out", f"runs/of_{place.stem}", "--force"]
    assert run(shrunk(words)) == 0


class Files(torch.utils.data.Dataset[torch.Tensor]):
    """As torchvision's folder of images by class, with its ``samples``."""

    samples = [(f"photos/i{row}.jpg", row % 2) for row in range(60)]  # noqa: RUF012 as in torchvision

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return torch.full((3, 4, 4), float(row % 7)), self.samples[row][1]


def names_of(page: Path) -> dict[str, Any]:
    """What the reader of a page has: a model, and data."""
    if page.name != "auditing.md":
        return {}
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(0)
    data = pd.DataFrame(generator.normal(size=(80, 3)), index=[f"i{row}" for row in range(80)])
    answers = pd.Series(np.where(data[0] + generator.normal(size=80) > 0, "mel", "nv"), index=data.index)
    people = pd.DataFrame({"sex": np.array(["f", "m"])[np.arange(80) % 2]}, index=data.index)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2))
    return {
        "model": SwitchedModel(LogisticRegression().fit(data.to_numpy(), answers), network), "X_test": data,
        "y_test": answers, "people": people, "pd": pd, "torch": torch, "Path": Path, "classes": ["nv", "mel"],
        "loader": torch.utils.data.DataLoader(Files(), batch_size=16),
    }  # fmt: skip


class SwitchedModel:
    """One name for the model of scikit-learn and the one of PyTorch."""

    def __init__(self, of_sklearn: Any, of_torch: torch.nn.Module) -> None:
        self.predict_proba = lambda data: of_sklearn.predict_proba(data.to_numpy())
        self.classes_ = of_sklearn.classes_
        self._network = of_torch

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return self._network(images)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_a_page_can_be_carried_out(page: Path, page_folder: Path, world: Any) -> None:
    names, verbs = names_of(page), get_command(build_app()).commands
    if page == TUTORIAL:
        world = frozenset()  # it makes all that it uses
    for block in blocks(page):
        if block.reason is not None:
            assert block.reason.startswith(REASONS), block.reason
        elif block.language == "":
            for words in lines(block):
                if words[0] == "mindgap":
                    assert words[1] in verbs
                    carry_out(words[1:], page_folder, world)
                else:
                    check_other_command(words)
        elif block.language == "python":
            carry_out_python(block.text, names, page_folder, world)
        elif block.language == "toml":
            carry_out_toml(block.text, page_folder, world)
        else:
            assert block.language == "text", block.language


@pytest.mark.parametrize("page", [TUTORIAL, *WITH_CODE], ids=lambda page: page.name)
def test_no_block_of_a_page_is_overlooked(page: Path) -> None:
    fences = re.findall(r"^\s*```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(blocks(page)) == sum(not opened.startswith("{") for opened in fences[::2])
