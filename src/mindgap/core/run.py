"""Run folders: what was asked, with what, and whether it is finished."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Required, TypedDict, Unpack, cast

from mindgap.core.config import dump_toml, read_toml
from mindgap.core.errors import CapacityError, DataError, MindgapError, RunError, TrainingFailure
from mindgap.core.files import jsonable, read_json, write_json, write_text
from mindgap.core.folder_lock import LOCK_FILE, folder_lock
from mindgap.core.provenance import now, provenance
from mindgap.core.replacement import CONFIG, PROVENANCE, end_killed_replacement, holds_config, replaced

State = Literal["new", "resumed", "finished"]
_UNFINISHED_FILE = re.compile(r"\.(config\.toml|provenance\.json)\.\d+\.tmp")


class Asked(TypedDict, total=False):
    """What a run's folder is asked for.

    Attributes:
        verb: name of the command.
        options: all resolved options, as plain TOML values; None is left out.
        force: replaces an earlier run of the same verb, with whatever options; of another verb never.
        changeable: options that may differ from the earlier run's, such as the number of workers.
        inputs: folders that the run reads; the run's folder must not be, hold, or lie in one.
    """

    verb: Required[str]
    options: Required[Mapping[str, Any]]
    force: bool
    changeable: frozenset[str]
    inputs: Sequence[Path]


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds one run of one verb.

    Attributes:
        path: the folder.
        state: ``new`` (nothing was there), ``resumed`` (the same run, unfinished) or ``finished`` (the same, done).
        made: whether the folder was made for the run.
    """

    path: Path
    state: State
    made: bool = False

    @classmethod
    @contextmanager
    def hold(cls, path: Path | str, **asked: Unpack[Asked]) -> Generator[RunFolder]:
        """Opens or creates the folder of a run, and keeps other processes out of it while the block lasts.

        Args:
            path: the folder; it may hold an earlier run of the same verb with the same options.
            **asked: see ``Asked``.

        Raises:
            RunError: the folder holds another run, other options, something that is not a run, or another process
                works in it.
            CapacityError: the folder cannot be written.
        """
        with ExitStack() as locks:
            claim = _Claim.of(path, asked)
            claim.end_killed_replacement()
            yield cls(claim.folder, *claim.begin(locks))

    @classmethod
    def check(cls, path: Path | str, **asked: Unpack[Asked]) -> State:
        """What ``hold`` would find, for work that comes before the run; nothing is written.

        Only a replacement that was killed is ended first, so that both find the same.

        Raises:
            RunError: as ``hold``.
        """
        claim = _Claim.of(path, asked)
        claim.end_killed_replacement()
        return claim.state()

    @contextmanager
    def gone_if_nothing_is_written(self) -> Generator[None]:
        """Removes a new run whose block fails before it wrote a file: the same folder may then be asked for otherwise.

        For runs of which nothing lies elsewhere, such as a study on a server, that the folder is the only way to.
        """
        try:
            yield
        except (MindgapError, TrainingFailure):
            if self.state == "new":
                with suppress(OSError):
                    self._remove_first_files()
            raise

    def _remove_first_files(self) -> None:
        """The configuration last: alone it makes a folder free, and killed in between the next call begins anew."""
        place = self.path.resolve()
        begun = [path for path in place.iterdir() if _UNFINISHED_FILE.fullmatch(path.name)]
        known = [*begun, place / PROVENANCE, place / CONFIG]
        if {path.name for path in place.iterdir()} - {path.name for path in known} - {LOCK_FILE}:
            return
        for path in known:
            path.unlink(missing_ok=True)
        if self.made:
            (place / LOCK_FILE).unlink(missing_ok=True)
            place.rmdir()

    def record(self, **extra: object) -> None:
        """Adds entries to ``provenance.json``."""
        write_json(self.path / PROVENANCE, _provenance_of(self.path) | jsonable(extra))

    def finish(self, **extra: object) -> None:
        """Marks the run as finished; call it after everything else is written."""
        self.record(**extra, finished=now())

    def reopen(self) -> None:
        """Marks a finished run as unfinished again, as when a search is given more trials."""
        self.record(finished=None)


def finished_time(folder: Path) -> str | None:
    """When the run in a folder was finished; None if it was not, or if there is none.

    Raises:
        DataError: its ``provenance.json`` is damaged.
    """
    return _provenance_of(folder).get("finished") if (folder / PROVENANCE).is_file() else None


@dataclass(frozen=True)
class _Claim:
    """A folder and what is asked of it; see ``Asked``."""

    folder: Path
    verb: str
    options: dict[str, Any]
    force: bool = False
    changeable: frozenset[str] = frozenset()
    inputs: Sequence[Path] = ()

    @classmethod
    def of(cls, path: Path | str, asked: Asked) -> _Claim:
        """The claim, with its options as they read after they were written."""
        fields: dict[str, Any] = dict(asked)
        fields["options"] = tomllib.loads(dump_toml(jsonable(dict(asked["options"]))))
        return cls(Path(path), **fields)

    def state(self) -> State:
        """What is there, or why it must not be used."""
        for source in self.inputs:
            ours, theirs = self.folder.resolve(), source.resolve()
            if ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
                raise RunError(
                    f"{self.folder}: is, holds or lies in {source}, which is read; choose an --out apart from it"
                )
        if _is_free(self.folder):
            return "new"
        earlier = _earlier(self.folder)
        if earlier.get("verb") != self.verb:
            raise RunError(f"{self.folder}: holds a run of {earlier.get('verb')!r}; choose another folder")
        if self.force:
            if Path.cwd().is_relative_to(self.folder.resolve()):
                raise RunError(f"{self.folder}: is where this command runs, so it cannot be replaced; run it elsewhere")
            return "new"
        self._compare(earlier)
        return "finished" if finished_time(self.folder) else "resumed"

    def _compare(self, earlier: Mapping[str, Any]) -> None:
        """Refuses other options; a run from before the fingerprint was one is judged by its provenance."""
        old = {"fingerprint": _provenance_of(self.folder).get("fingerprint")} | earlier["options"]
        new = {"fingerprint": old["fingerprint"]} | self.options
        for key in sorted(set(old) | set(new)):
            if key in self.changeable or old.get(key) == new.get(key):
                continue
            seen = f"was run with {key}={old.get(key)!r}, now {new.get(key)!r}"
            if key == "fingerprint":
                seen = f"the store changed since: its fingerprint was {old[key]!r}, now {new[key]!r}"
            raise RunError(f"{self.folder}: {seen}; choose another folder, or --force to replace it")

    def end_killed_replacement(self) -> None:
        """Brings back the run that a killed call had set aside without putting another there."""
        end_killed_replacement(self.folder.resolve(), is_free=_is_free)

    def begin(self, locks: ExitStack) -> tuple[State, bool]:
        """Locks the folder and writes its first files; a run that is replaced is deleted when the new one stands.

        Returns:
            What was there, and whether the folder was made.
        """
        place = self.folder.resolve()  # a link to the folder stays one
        replaces = self.state() == "new" and not _is_free(place)
        known = {name: self.options.get(name) for name in ("seed", "fingerprint")}
        record = provenance(**known) | {"finished": None}
        with replaced(place, is_free=_is_free) if replaces else nullcontext():
            return self._begin_in(place, record, locks)

    def _begin_in(self, place: Path, record: Mapping[str, Any], locks: ExitStack) -> tuple[State, bool]:
        is_ours = _make(place)
        try:
            locks.enter_context(folder_lock(self.folder))
            state = self.state()
            write_text(self.folder / CONFIG, dump_toml({"verb": self.verb, "options": self.options}))
            if state == "new":
                write_json(self.folder / PROVENANCE, record)
        except CapacityError:
            if is_ours:  # the lock is still held
                shutil.rmtree(place, ignore_errors=True)
            raise
        return state, is_ours


def _is_free(folder: Path) -> bool:
    """Whether nothing is there but what a run of ours, killed in its first moment, leaves."""
    if not folder.exists():
        return True
    if not folder.is_dir():
        raise RunError(f"{folder}: is a file, not a folder; choose another folder")
    names = {path.name for path in folder.iterdir()} - {LOCK_FILE}
    begun = {name for name in names if _UNFINISHED_FILE.fullmatch(name)}
    return names == begun or (names == begun | {CONFIG} and holds_config(folder))


def _earlier(folder: Path) -> dict[str, Any]:
    if not (folder / CONFIG).exists() or not (folder / PROVENANCE).exists():
        raise RunError(f"{folder}: is not empty and holds no mindgap run; choose another folder")
    earlier = read_toml(folder / CONFIG)
    if not isinstance(earlier.get("verb"), str) or not isinstance(earlier.get("options"), dict):
        raise RunError(f"{folder}: its {CONFIG} is damaged; mend the file or choose another folder")
    return earlier


def _provenance_of(folder: Path) -> dict[str, Any]:
    record: object = read_json(folder / PROVENANCE)
    if not isinstance(record, dict):
        raise DataError(f"{folder / PROVENANCE}: holds no record; mend the file, or --force to replace the run")
    return cast("dict[str, Any]", record)


def _make(folder: Path) -> bool:
    """Makes the folder where it is not there; whether it did."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise CapacityError(f"{folder}: cannot create the folder ({error.strerror}); choose another folder") from None
    return True
