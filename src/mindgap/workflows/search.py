"""The verb ``search``: batch composition, fair loss and architecture searched together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mindgap.core.errors import ConfigError
from mindgap.core.files import write_json
from mindgap.core.replacement import CONFIG
from mindgap.core.run import RunFolder
from mindgap.data.image_store import Store
from mindgap.data.store_cache import is_address, local_store
from mindgap.search.artifacts import open_artifacts
from mindgap.search.ledger_address import SQLITE
from mindgap.search.ledger_place import has_ledger, without_password
from mindgap.search.local_disk import refuse_network_disk
from mindgap.search.options import KEYWORDS, merge_options
from mindgap.search.placement import make_placement
from mindgap.search.planning import ratios_warning
from mindgap.search.preset import preset_names
from mindgap.search.status import search_status
from mindgap.workflows.search_run import SearchCall

__all__ = ["search", "status"]

PathLike = str | Path
log = logging.getLogger(__name__)


def search(
    store: PathLike,
    *,
    out: PathLike,
    config: PathLike | None = None,
    attribute: str | None = None,
    preset: str | None = None,
    searcher: str | None = None,
    space: str | None = None,
    unfairness: str | None = None,
    min_group: int | None = None,
    epochs: int | None = None,
    trials: int | None = None,
    budget_hours: float | None = None,
    workers: int | None = None,
    placement: str | None = None,
    placement_options: dict[str, Any] | None = None,
    gpus_per_worker: float | None = None,
    device: str | None = None,
    study: str | None = None,
    artifacts: str | None = None,
    rungs: str | None = None,
    asynchronous: bool | None = None,
    seed: int | None = None,
    ratios: str | None = None,
    mitigation: str | None = None,
    mitigation_options: dict[str, Any] | None = None,
    blend: bool | None = None,
    network: str | None = None,
    warm_start: PathLike | None = None,
    max_latency_ms: float | None = None,
    force: bool = False,
    bootstrap: int | None = None,
    permutations: int | None = None,
) -> dict[str, Any]:
    """Searches, and returns the contents of the run's ``search.json``.

    Stopped or killed at any moment, the same call goes on: no candidate is lost, and the candidates are those of an
    undisturbed search with the same seed, whatever the number of workers. A finished search goes on when ``trials``
    is raised. Several presets run one after the other in sub-folders of ``out`` named after them; ``presets`` of the
    record then holds each one's own record, and a budget is shared equally.

    Args:
        store: folder written by ``prepare``, or its address, such as ``s3://bucket/store``, which is copied once into
            the cache of each machine.
        out: folder of the run.
        config: TOML file with these options and the tables ``reward``, ``searcher_options`` and ``training``; an
            option given here goes before the file's. None is always the file's or the default of ``SearchOptions``.
        attribute: sensitive attribute; None is the store's first.
        preset: ``fair``, ``acc``, ``paper``, ``quick``, or several with commas.
        searcher: name of the search algorithm; None is ``nsga2``, and ``reinforce`` of the preset ``paper``.
        space: search space, ``default``, ``full`` (which decides about loss and augmentation too) or a TOML file.
        unfairness: which U the reward takes, ``plain`` or ``standardized``.
        min_group: smaller groups, in validation images, are left out of the reward.
        epochs: of a candidate that is trained to the end; None is the preset's.
        trials: candidates to train; a rejected one does not count, but at most four slots per trial are used.
        budget_hours: hours of searching, earlier calls included; no candidate but the first is begun that is predicted
            to end later.
        workers: processes of one thread each.
        placement: where workers run: ``local``, ``ray`` (a cluster of this machine alone, for the time of the call),
            ``ray://auto`` (the one this machine is part of), ``ray://HOST:PORT`` or ``slurm``.
        placement_options: of the placement, such as SLURM's ``partition``; each goes before the file's of that name.
        gpus_per_worker: share of one GPU that a worker takes.
        device: of all candidates, ``cpu``, ``cuda`` or ``auto``, a GPU if this machine has one; None is ``cuda`` with
            ``gpus_per_worker``, else ``cpu``. The same seed finds the same candidates on the same kind of device.
        study: address of the ledger on a server, ``postgresql+psycopg://[USER[:PASSWORD]@]HOST/DATABASE?study=NAME``;
            None is a file in the run's folder. The password is remembered nowhere.
        artifacts: address of candidates' files, ``s3://BUCKET/PREFIX`` or ``file:///FOLDER``, for workers that do not
            see the run's folder; None is that folder.
        rungs: epochs that candidates are trained to before the best are chosen to go on, such as ``1,4,16``; ``auto``
            is ``epochs``, a quarter of them, a sixteenth and so on, ``none`` trains all to the end.
        asynchronous: candidates go on as soon as they are among the best so far; not reproducible.
        seed: of everything.
        ratios: fixes the batch composition, ``natural``, ``uniform`` or a share per group.
        mitigation: in-training mitigation of every candidate, ``erm`` is plain; None is ``biasless``, or what the space
            decides.
        mitigation_options: its options; each goes before the file's of that name.
        blend: replaces images by their twins of another tone, which a store has after ``mindgap tone``, for every
            candidate; its numbers are the table ``training.blend``. Without it the space ``full`` decides.
        network: fixes the network, by name or ``architecture.json``.
        warm_start: run folder or ledger of an earlier search in the same space on the same store; the searcher knows
            its candidates from the start. They are copied, so that the earlier search may be deleted.
        max_latency_ms: slower candidates are rejected untrained.
        force: replaces the search that is there.
        bootstrap: replicates of the audits' intervals.
        permutations: permutations of the audits' noise floors.

    Raises:
        MindgapError: an option, the store or the folder is wrong, or no candidate could be trained.
        KeyboardInterrupt: Ctrl-C; what was in work is kept, and the same call goes on.
    """
    given = locals() | {"warm_start": None if warm_start is None else str(warm_start)}
    options = merge_options(config, {name: given[name] for name in KEYWORDS if name in given})
    study, environment = (None, {}) if options.study is None else without_password(options.study)
    if study is not None and study.startswith(SQLITE):
        raise ConfigError(f"study is {study!r}; the file of a ledger is always in --out, so leave --study out")
    options, names = options.model_copy(update={"study": study}), preset_names(options.preset)
    if len(names) == 1:
        options = options.of_preset(names[0])
    if options.artifacts is not None:
        open_artifacts(options.artifacts, run=Path(out))  # refuses an address of another kind
    opened, folder = Store.open(local_store(store)), Path(out)
    place = str(store) if is_address(store) else str(opened.path.resolve())
    if study is None:
        refuse_network_disk(folder)
    warning = ratios_warning(options, opened)
    if warning is not None:
        log.warning("%s", warning)
    with make_placement(options.placement, options.placement_options) as chosen:
        chosen.check(workers=options.workers, on_one_host=study is None)
        call = SearchCall(opened, place, options, chosen, environment, force=force)
        if len(names) > 1:
            return _search_several(call, folder, names)
        return call.work(folder, call.draft(folder))


def status(run: PathLike) -> dict[str, Any]:
    """Progress, rate and time left of a search that runs, was stopped, or is finished.

    Raises:
        RunError: the folder holds no search that has begun.
    """
    folder = Path(run)
    several = sorted(part.parent for part in folder.glob(f"*/{CONFIG}") if has_ledger(part.parent))
    if several and not has_ledger(folder):
        return {one.name: search_status(one) for one in several}
    return search_status(folder)


def _search_several(call: SearchCall, folder: Path, names: Sequence[str]) -> dict[str, Any]:
    RunFolder.check(folder, **call.asked())
    hours = call.options.budget_hours
    shared = None if hours is None else hours / len(names)
    parts = {name: call.of_preset(name, budget_hours=shared) for name in names}
    drafts = {name: part.draft(folder / name, anew=call.force) for name, part in parts.items()}
    with RunFolder.hold(folder, **call.asked()) as run:
        records = {name: part.work(folder / name, drafts[name]) for name, part in parts.items()}
        record = {"seed": call.options.seed, "excluded_groups": [], "trials": [], "front": [], "top": []}
        record |= {"chosen": None, "presets": records}
        write_json(folder / "search.json", record)
        run.finish(fingerprint=call.store.fingerprint)
    return record
