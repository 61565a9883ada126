"""What the pages presuppose: a folder of made images, tables, stores and runs, each made when a page first names it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mindgap.cli.main import run
from mindgap.data.datasets.celeba import LABELS
from mindgap.space.network import resolve_network

QUICK = ("--bootstrap", "30", "--permutations", "30")
TONES = ("white", "black", "asian", "indian")
CELEBA = (*LABELS[:20], "Male", *LABELS[20:])
RECIPE = """
name = "own"
title = "A table of one's own"
paper = "nobody's"
question = "Does it hold up?"
data = "a few images"
suited = "any"
[[steps]]
name = "methods"
verb = "compare"
says = "two methods"
options = { methods = "erm,reweight", network = "mobilenet_v2", trials = 0, seeds = 2, epochs = 1 }
[[figures]]
key = "accuracy"
label = "accuracy"
metric = "accuracy"
[[rows]]
label = "plain"
of = "methods:erm"
[[rows]]
label = "reweighted"
of = "methods:reweight"
[[claims]]
says = "reweighting costs nothing"
row = "reweighted"
than = "plain"
figure = "accuracy"
direction = "larger"
"""


class World:
    """Named files and folders that pages take for granted, in one folder.

    Attributes:
        folder: where they are; made once per session.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._makers: dict[str, Callable[[], None]] = {
            "photos": self._photos, "metadata.csv": self._photos, "other_photos": self._other_photos,
            "by_class": self._by_class, "people.csv": self._by_class, "other_metadata.csv": self._other_photos,
            "chances.csv": self._chances,
            "table.csv": self._table_of_labels, "utkface": self._utkface, "a.jpg": self._one_image,
            "img_align_celeba": self._celeba, "list_attr_celeba.txt": self._celeba, "identity_CelebA.txt": self._celeba,
            "store": lambda: self._store("store"), "STORE": lambda: self._store("STORE"),
            "ham": lambda: self._store("ham"), "stores/ham": lambda: self._store("stores/ham"),
            "store-tone": lambda: self._do("tone", "store", "--out", "store-tone", needs=("store",)),
            "faces": lambda: self._faces("faces"), "utk": lambda: self._faces("utk"), "labels": self._labels,
            "runs/faces": lambda: self._train("runs/faces", store="labels"),
            "runs/plain": lambda: self._train("runs/plain", store="labels"),
            "runs/resnet18": lambda: self._train("runs/resnet18"),
            "runs/mobilenet": lambda: self._train("runs/mobilenet", "--seed", "3"),
            "runs/weighted": lambda: self._train("runs/weighted", "--mitigation", "biasless"),
            "runs/search": lambda: self._search("runs/search"), "runs/ham": lambda: self._search("runs/ham"),
            "predictions.csv": lambda: self._predictions("predictions.csv", seed=0),
            "theirs.csv": lambda: self._predictions("theirs.csv", seed=1),
            "ours.csv": lambda: self._predictions("ours.csv", seed=2), "model.onnx": self._model,
            "mobilenet_v2.pth": self._weights, "own.toml": self._recipe,
        }  # fmt: skip
        for seed in ("0", "1", "2"):
            self._makers[f"runs/resnet18-{seed}"] = self._seed_of("runs/resnet18", seed)
            self._makers[f"runs/weighted-{seed}"] = self._seed_of("runs/weighted", seed, "--mitigation", "biasless")
            self._makers[f"runs/random-{seed}"] = self._search_of("random", seed)
            self._makers[f"runs/nsga2-{seed}"] = self._search_of("nsga2", seed)

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def put(self, name: str, folder: Path) -> None:
        """Copies the named thing into a page's folder, unless it is there.

        Args:
            name: as the pages call it.
            folder: the page's.
        """
        place = folder / name
        if place.exists():
            return
        self.need(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        if (self.folder / name).is_dir():
            shutil.copytree(self.folder / name, place)
        else:
            shutil.copy2(self.folder / name, place)

    def need(self, *names: str) -> None:
        """Makes what is not there yet."""
        for name in names:
            if not (self.folder / name).exists():
                with contextlib.chdir(self.folder):
                    self._makers[name]()

    def _do(self, *words: str, needs: tuple[str, ...] = ()) -> None:
        self.need(*needs)
        assert run(words) == 0, words

    def _photos(self) -> None:
        self._do("synth", "painted", "--n", "360", "--size", "24", "--dark-share", "0.4")
        made = pd.read_csv("painted/metadata.csv").rename(columns={"lesion_id": "patient"})
        made = made.drop(columns=["true_tone", "true_ita_degrees"])
        tested = made["patient"].isin(made["patient"].unique()[::5])
        made = made.assign(dx=made["label"], official=np.where(tested, "test", "train"))
        made.to_csv("metadata.csv", index=False)
        Path("painted/images").rename("photos")

    def _by_class(self) -> None:
        self.need("photos")
        table = pd.read_csv("metadata.csv")
        images = {path.stem: path for path in Path("photos").iterdir()}
        names = (table["label"] + "/" + table["image_id"] + ".png").tolist()
        for image, name in zip(table["image_id"], names, strict=True):
            place = Path("by_class", name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(images[image], place)
        pd.DataFrame({"image_id": names, "sex": table["sex"]}).to_csv("people.csv", index=False)

    def _other_photos(self) -> None:
        self._do("synth", "others", "--n", "30", "--size", "24", "--seed", "9")
        Path("others/images").rename("other_photos")
        Path("others/metadata.csv").rename("other_metadata.csv")

    def _one_image(self) -> None:
        self.need("photos")
        shutil.copy2(min(Path("photos").iterdir()), "a.jpg")

    def _table_of_labels(self) -> None:
        self.need("photos")
        people = pd.read_csv("metadata.csv")
        generator, n = np.random.default_rng(0), len(people)
        columns: dict[str, Any] = {"file": people["image_id"], "gender": people["sex"], "sex": people["sex"]}
        columns |= {name: generator.integers(0, 2, n) for name in ("smiling", "bald", "hat")}
        pd.DataFrame(columns).to_csv("table.csv", index=False)

    def _utkface(self) -> None:
        self.need("photos")
        Path("utkface").mkdir()
        for row, image in enumerate(sorted(Path("photos").iterdir())):
            shutil.copy2(image, f"utkface/{row * 7 % 100}_{row // 5 % 2}_{row % 5}_{row:017d}.jpg")

    def _celeba(self) -> None:
        self.need("photos")
        Path("img_align_celeba").mkdir()
        images = sorted(Path("photos").iterdir())[:120]
        rows, persons = [], []
        for row, image in enumerate(images, start=1):
            shutil.copy2(image, f"img_align_celeba/{row:06d}.jpg")
            rows.append(f"{row:06d}.jpg " + " ".join(str(2 * (row // (k + 1) % 2) - 1) for k in range(len(CELEBA))))
            persons.append(f"{row:06d}.jpg {row // 2}\n")
        Path("list_attr_celeba.txt").write_text("\n".join([str(len(rows)), " ".join(CELEBA), *rows]), encoding="utf-8")
        Path("identity_CelebA.txt").write_text("".join(persons), encoding="utf-8")

    def _store(self, out: str) -> None:
        self._do(
            "prepare", "--images", "photos", "--metadata", "metadata.csv", "--id", "image_id", "--label", "label",
            "--cluster", "patient", "--attributes", "sex,age:bands=0/30/60/120", "--masks", "painted/masks",
            "--size", "24", "--split", ".4,.3,.3", "--out", out, needs=("photos",),
        )  # fmt: skip

    def _faces(self, out: str) -> None:
        self.need("photos")
        people = pd.read_csv("metadata.csv")
        rows = np.arange(len(people))
        people["gender"], people["race"] = np.array(["female", "male"])[rows // 4 % 2], np.array(TONES)[rows % 4]
        people.to_csv("faces.csv", index=False)
        self._do(
            "prepare", "--images", "photos", "--metadata", "faces.csv", "--id", "image_id", "--label", "gender",
            "--attributes", "race", "--size", "24", "--upright", "--split", ".4,.3,.3", "--out", out,
        )  # fmt: skip

    def _labels(self) -> None:
        self._do(
            "prepare", "--images", "photos", "--metadata", "table.csv", "--id", "file", "--labels", "smiling,bald,hat",
            "--attributes", "sex", "--size", "24", "--split", ".4,.3,.3", "--out", "labels",
            needs=("photos", "table.csv"),
        )  # fmt: skip

    def _train(self, out: str, *options: str, store: str = "store") -> None:
        words = ("train", store, "--network", "mobilenet_v2", "--epochs", "1", "--precision", "fp32", *QUICK)
        self._do(*words, "--out", out, *options, needs=(store,))

    def _seed_of(self, name: str, seed: str, *options: str) -> Callable[[], None]:
        return lambda: self._train(f"{name}-{seed}", "--seed", seed, *options)

    def _search(self, out: str, *options: str) -> None:
        words = ("search", "store", "--trials", "2", "--epochs", "1", "--min-group", "5", *QUICK)
        self._do(*words, "--out", out, *options, needs=("store",))

    def _search_of(self, searcher: str, seed: str) -> Callable[[], None]:
        return lambda: self._search(f"runs/{searcher}-{seed}", "--searcher", searcher, "--seed", seed)

    def _predictions(self, name: str, *, seed: int) -> None:
        generator, n = np.random.default_rng(seed), 240
        labels = np.random.default_rng(99).integers(2, size=n)  # the same images in every table
        chance = np.clip(0.5 + 0.3 * (2 * labels - 1) + 0.3 * generator.normal(size=n), 0.01, 0.99).round(6)
        rows = np.arange(n)
        table = pd.DataFrame(
            {
                "id": [f"i{row}" for row in rows], "label": np.array(["nv", "mel"])[labels], "prob_nv": 1 - chance,
                "prob_mel": chance, "sex": np.array(["f", "m"])[rows % 2], "age": rows % 100,
                "patient": [f"p{row // 2}" for row in rows],
            }
        )  # fmt: skip
        table.to_csv(name, index=False)

    def _chances(self) -> None:
        self.need("photos")
        people = pd.read_csv("metadata.csv")
        classes = sorted(set(people["label"]))
        drawn = np.random.default_rng(3).dirichlet(np.ones(len(classes)), len(people))
        table = pd.DataFrame(drawn, columns=[f"prob_{name}" for name in classes])
        table.insert(0, "id", people["image_id"])
        table.to_csv("chances.csv", index=False)

    def _model(self) -> None:
        self._do("export", "runs/resnet18", "--format", "onnx", "--out", "model.onnx", needs=("runs/resnet18",))

    def _weights(self) -> None:
        network = resolve_network("mobilenet_v2", num_classes=5, input_px=24).build(seed=1)
        torch.save(network.state_dict(), "mobilenet_v2.pth")

    def _recipe(self) -> None:
        Path("own.toml").write_text(RECIPE, encoding="utf-8")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The made world of this process's tests."""
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture
def page_folder(tmp_path: Path) -> Generator[Path]:
    """An empty folder, in which the test works."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)
