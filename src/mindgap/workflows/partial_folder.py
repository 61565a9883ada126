"""The hidden folder beside a place in which a store or a synthetic set grows."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mindgap.core.errors import MindgapError, RunError
from mindgap.core.files import is_occupied
from mindgap.core.run import Asked, RunFolder, State


@contextmanager
def partial_folder(
    place: Path,
    *,
    verb: str,
    options: Mapping[str, Any],
    replace: bool,
    keep: Collection[State] = ("resumed", "finished"),
) -> Generator[RunFolder]:
    """Holds ``.NAME.partial`` beside the place; one that was begun with the same options is gone on with.

    Other processes are kept out of it while the block lasts. It outlasts a failure of the block, so that the same call
    can go on, unless ``removed_by_a_mistake`` removes it.

    Args:
        place: where the folder is to be put.
        verb: name of the command.
        options: what decides the contents.
        replace: whether one that is there is begun anew, such as one of other options.
        keep: of one of the same options, the states in which it is gone on with all the same.

    Raises:
        RunError: it is of other options and may not be replaced, or another process works in it.
        CapacityError: it cannot be written.
    """
    partial = place.with_name(f".{place.name}.partial")
    asked: Asked = {"verb": verb, "options": options}
    if replace:
        asked["force"] = _state(partial, asked) not in keep
    with RunFolder.hold(partial, **asked) as run:
        yield run


def _state(folder: Path, asked: Asked) -> State | None:
    try:
        return RunFolder.check(folder, **asked)
    except MindgapError:
        return None


def is_finished_store(place: Path, *, verb: str, options: Mapping[str, Any], force: bool) -> bool:
    """Whether the store is there already; refuses what else is there, unless it is a store and is to be replaced.

    Raises:
        RunError: it is unfinished, of other options, or of another verb.
    """
    if not is_occupied(place):
        return False
    state = RunFolder.check(place, verb=verb, options=options, force=force)
    if state == "resumed":
        raise RunError(f"{place}: holds an unfinished store; --force replaces it")
    return state == "finished"


@contextmanager
def removed_by_a_mistake(run: RunFolder, *, but: type[MindgapError] | tuple[()] = ()) -> Generator[None]:
    """Removes the folder where the block fails by a mistake, such as a full disk, which it would keep full unseen.

    After a kill or an interrupt it stays.

    Args:
        run: the folder, still held.
        but: a failure after which it stays too.
    """
    try:
        yield
    except but:
        raise
    except MindgapError:
        shutil.rmtree(run.path, ignore_errors=True)
        raise
