"""The verb ``explain``: where a network looks, whether that lies on the lesion, and for whom."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mindgap.core.config import parse
from mindgap.core.errors import CapacityError, ConfigError, RunError
from mindgap.core.files import jsonable, read_json, write_json
from mindgap.core.notes import note
from mindgap.core.run import Asked, RunFolder, finished_time
from mindgap.data.classifier_facts import refuse_other_store
from mindgap.data.image_store import Store
from mindgap.data.store_attributes import StoreAttribute, store_attributes
from mindgap.explain.explained_network import ExplainedNetwork
from mindgap.explain.explainer import EXPLAINERS
from mindgap.report.explain_page import EXPLAIN_RECORD, write_explain_page
from mindgap.train.device import choose_device, is_out_of_memory, reproducible
from mindgap.train.trained_model import TrainedModel, read_trained_model
from mindgap.workflows.explain_job import ExplainJob, ExplainOptions
from mindgap.workflows.explain_pruned import before_pruning
from mindgap.workflows.explained_form import explained_form

log = logging.getLogger(__name__)
_ONLY_HOW_FAST = frozenset({"batch_size"})


def explain(
    run: Path | str,
    *,
    out: Path | str,
    method: str = "grad-cam",
    store: Path | str | None = None,
    split: str = "test",
    attributes: str | Iterable[str] | None = None,
    layer: str | None = None,
    target: str | None = None,
    examples: int = 0,
    channels: int = 0,
    batch_size: int = 64,
    device: str = "auto",
    seed: int = 0,
    bootstrap: int = 2000,
    permutations: int = 1000,
    min_group: int = 1,
    force: bool = False,
) -> dict[str, Any]:
    """Maps where a network looks on every image of a split, and says how much of that lies outside the lesion.

    The folder holds ``explain.json``, ``focus.parquet`` (the figures of every image) and ``report.html``; on request
    also pictures: ``gallery.png``, and overlays of single channels under ``channels``.

    Args:
        run: folder of a finished run of ``train``, ``search`` or ``prune``; of the last, removed channels are compared
            with kept ones too, in the network from before.
        out: folder to write.
        method: kind of map, ``cam``, ``grad-cam`` or ``guided-grad-cam``.
        store: whose images are explained; None is the run's own.
        split: ``train``, ``validation`` or ``test``.
        attributes: whose groups are compared, in attribute syntax; None is all of the store.
        layer: the module whose maps are explained, such as ``blocks.3``; None is the network's last.
        target: which class each image is explained for: ``predicted`` (the default), ``label``, or the name of a class
            for all images. Of several labels every label by itself, or those named, with commas between.
        examples: so many images beside their maps, from every group's right and wrong cases in turn. They are pictures
            of people: they lie in the folder and on the page.
        channels: so many channels of the layer over each of these examples, a file each.
        batch_size: images at a time.
        device: ``cpu``, ``cuda``, or ``auto``, a GPU if there is one.
        seed: of resamples, permutations and the draw of examples.
        bootstrap: resamples behind the intervals; 0 leaves them out.
        permutations: permutations behind the noise floors; 0 leaves them out.
        min_group: images under which a group is left out of every gap; its own figures stay.
        force: replaces an earlier explanation that is there.

    Returns:
        What ``explain.json`` holds.

    Raises:
        MindgapError: the run, the store, an option or the disk is wrong; one line says which.
    """
    options = parse(
        ExplainOptions,
        {
            "method": method, "split": split, "layer": layer, "target": target, "examples": examples,
            "channels": channels, "batch_size": batch_size, "device": device, "seed": seed, "bootstrap": bootstrap,
            "permutations": permutations, "min_group": min_group,
        },
        source="explain",
    )  # fmt: skip
    explainer = EXPLAINERS.get(method)(layer=layer)
    model = _read_run(Path(run))
    opened = model.open_store() if store is None else Store.open(store)
    refuse_other_store(model.facts, opened)
    groups, form = store_attributes(opened, attributes), explained_form(model)
    explained = ExplainedNetwork.of(
        form.network, explainer, facts=model.facts, classes=opened.classes, device=choose_device(device)
    )
    job = ExplainJob.of(opened, explained, options, attributes=groups, before=before_pruning(model))
    asked = _asked(model, opened, options, groups=groups, force=force)
    says = {"run": str(model.path), "store": str(opened.path), "note": form.says}
    with reproducible(explained.device.type):
        if RunFolder.check(out, **asked) != "finished":
            job.try_one()
            if form.says:
                note(log, form.says)
        with RunFolder.hold(out, **asked) as folder:
            if folder.state != "finished":
                _write(folder, job, says)
            return read_json(folder.path / EXPLAIN_RECORD)


def _write(folder: RunFolder, job: ExplainJob, says: Mapping[str, Any]) -> None:
    folder.record(store_summary=job.store.info.model_dump(mode="json"))
    try:
        record = job.write(folder.path)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        smaller = max(1, job.options.batch_size // 4)
        raise CapacityError(
            f"memory ran out on batches of {job.options.batch_size} images; try --batch-size {smaller}"
        ) from None
    write_json(folder.path / EXPLAIN_RECORD, jsonable(dict(says) | record))
    write_explain_page(folder.path)
    folder.finish()


def _read_run(run: Path) -> TrainedModel:
    if run.is_file():
        raise ConfigError(
            f"{run}: is a file, and an exported network gives no gradients to explain it by; give the run's folder"
        )
    if not run.exists():
        raise RunError(f"{run}: no such run; give the folder named by --out of train or search")
    return read_trained_model(run)


def _asked(
    model: TrainedModel,
    store: Store,
    options: ExplainOptions,
    *,
    groups: Mapping[str, StoreAttribute],
    force: bool,
) -> Asked:
    """What the folder is asked for; an explanation of a network that was trained again since is another one."""
    return {
        "verb": "explain",
        "options": {
            "run": str(model.path.resolve()),
            "run_finished": finished_time(model.path),
            "store": str(store.path.resolve()),
            "fingerprint": store.fingerprint,
            "attributes": [of.spec for of in groups.values()],
        }
        | options.model_dump(mode="json"),
        "force": force,
        "changeable": _ONLY_HOW_FAST,
        "inputs": (model.path, store.path),
    }
