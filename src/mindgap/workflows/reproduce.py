"""The verb ``reproduce``: a published table on a store of one's own, the paper's figures beside ours, and a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mindgap.core.config import parse
from mindgap.core.errors import ConfigError, DataError, UnknownNameError, near_names
from mindgap.core.files import jsonable, read_json, write_json
from mindgap.core.run import Asked, RunFolder
from mindgap.data.image_store import Store
from mindgap.report.reproduced_page import REPRODUCED_RECORD, write_reproduced_page
from mindgap.workflows.reproduce_options import ReproduceOptions
from mindgap.workflows.reproduce_recipe import Recipe, read_recipe
from mindgap.workflows.reproduce_steps import Steps, check_options
from mindgap.workflows.reproduce_table import Table
from mindgap.workflows.reproduce_tones import tone_table

TONE = "tone"


def reproduce(
    recipe: str,
    *,
    data: Store | Path | str,
    out: Path | str,
    scale: str = "laptop",
    attribute: str | None = None,
    workers: int = 2,
    device: str = "auto",
    seed: int = 0,
    bootstrap: int = 2000,
    permutations: int = 1000,
    force: bool = False,
) -> dict[str, Any]:
    """Makes a published table anew on a store: what the paper printed beside what is measured, and a verdict in words.

    Every step of the recipe has a folder of its own under ``out`` and is a run like any other. Stopped or killed at any
    moment, the same call goes on with what is missing.

    Args:
        recipe: its name, such as ``mg1``; ``mindgap list recipes`` has all.
        data: the store or its folder.
        out: the run folder.
        scale: ``laptop``, ``gpu`` or ``paper``: the budgets of the steps.
        attribute: whose groups the table is about; None is the store's first.
        workers: processes of searches and comparisons.
        device: ``auto``, ``cpu`` or ``cuda``.
        seed: the first one.
        bootstrap: replicates of the intervals.
        permutations: of the noise floors.
        force: replaces the run of this verb that is there.

    Returns:
        The record of ``reproduce.json``.

    Raises:
        MindgapError: the recipe, the store, an option or the folder is wrong; one line says which.
        TrainingFailure: a training diverged or ran out of memory.
    """
    store = data if isinstance(data, Store) else Store.open(data)
    options = parse(
        ReproduceOptions,
        {
            "recipe": recipe, "scale": scale, "attribute": attribute, "workers": workers, "device": device,
            "seed": seed, "bootstrap": bootstrap, "permutations": permutations,
        },
        source="reproduce",
    )  # fmt: skip
    known = read_recipe(recipe)
    about = _checked(known, store, options)
    asked: Asked = {
        "verb": "reproduce",
        "options": {"data": str(store.path.resolve()), "fingerprint": store.fingerprint}
        | options.model_dump(mode="json")
        | {"attribute": about, "recipe": known.name, "recipe_digest": known.digest()},
        "force": force,
        "changeable": frozenset({"workers"}),
        "inputs": (store.path,),
    }
    RunFolder.check(out, **asked)
    with RunFolder.hold(out, **asked) as folder:
        if folder.state != "finished":
            folder.record(fingerprint=store.fingerprint, store_summary=store.info.model_dump(mode="json"))
            _work(known, store, options, about, folder)
        return read_json(folder.path / REPRODUCED_RECORD)


def _checked(recipe: Recipe, store: Store, options: ReproduceOptions) -> str:
    """The attribute that the table is about.

    Raises:
        UnknownNameError: the store has not the one that is named.
        DataError: the store is of another task, or has no test images.
    """
    check_options(recipe, options.scale)
    about = options.attribute or store.info.default_attribute
    if about not in store.attributes:
        raise UnknownNameError(f"{store.path}: no attribute {about!r}; {near_names(about, store.attributes)}")
    if any(step.options_at(options.scale).get("rows") for step in recipe.steps) and store.twins is None:
        raise DataError(f"{store.path}: has no twins of another tone, which two rows need; run mindgap tone first")
    if any(step.verb != TONE for step in recipe.steps):
        if store.task != recipe.task:
            raise DataError(f"{store.path}: is {store.task}; recipe {recipe.name} is for {recipe.task} data")
        test = store.rows("test")
        if not len(test):
            raise DataError(f"{store.path}: has no test images, on which a table is judged; prepare it with some")
        there = np.unique(store.groups(about).ids[test])
        if (there >= 0).sum() < 2:
            raise DataError(f"{store.path}: fewer than two groups of {about!r} have test images; nothing to compare")
    elif store.masks is None:
        raise ConfigError(f"{store.path}: has no lesion masks; prepare it with --masks, or run mindgap tone yourself")
    return about


def _work(recipe: Recipe, store: Store, options: ReproduceOptions, about: str, folder: RunFolder) -> None:
    given = options.model_dump(include={"device", "bootstrap", "permutations"})
    steps = Steps(
        recipe,
        options.scale,
        store.path,
        about,
        folder.path / "steps",
        given,
        options.workers,
        known=tuple(store.attributes),
        seed=options.seed,
    )
    for step in recipe.steps:
        steps.carry_out(step)
    table = Table(
        recipe,
        steps.made,
        store,
        attribute=about,
        bootstrap=options.bootstrap,
        permutations=options.permutations,
        seed=options.seed,
    )
    record = {
        "schema": 1,
        **recipe.model_dump(mode="json", exclude={"steps", "rows", "claims", "by_group", "tones"}),
        "scale": options.scale,
        "attribute": about,
        "store": {
            "n": len(store.ids),
            "test": len(store.rows("test")),
            "size_px": store.size_px,
            "classes": list(store.classes),
            "groups": list(store.groups(about).names),
        },
        "steps": [
            {"name": made.step.name, "verb": made.step.verb, "says": made.step.says, "options": dict(made.options)}
            | {"runs": made.runs(), "failed": {str(seed): why for seed, why in made.failed.items()}, **made.spent()}
            for made in steps.made.values()
        ],
        "rows": table.rows(),
        "claims": table.claims(),
        "by_group": table.by_group(),
        "tones": _tones(recipe, steps, seed=options.seed),
    }
    record = jsonable(record)
    write_json(folder.path / REPRODUCED_RECORD, record)
    write_reproduced_page(folder.path, record)
    folder.finish()


def _tones(recipe: Recipe, steps: Steps, *, seed: int) -> dict[str, Any] | None:
    """How many images are of which tone before and after a step that moved them; None without one."""
    name = next((step.name for step in recipe.steps if step.verb == TONE), None)
    if name is None or recipe.tones is None:
        return None
    return tone_table(Store.open(steps.made[name].folders[0]), recipe.tones, seed=seed)
