"""What attempts at a slot leave in their folders, and what of it a later attempt goes on from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mindgap.core.errors import CapacityError
from mindgap.core.files import atomic_path, write_text
from mindgap.search.artifacts import ERROR_FILE, LOG_FILE, TEACHER_FILE, UNFINISHED, AbstractArtifacts
from mindgap.search.claim import Claim
from mindgap.train.checkpoint import CHECKPOINT_FILE, STEM_FILE, is_checkpoint


class AttemptFolders:
    """The folders ``trials/<slot>/<attempt>`` of a run.

    Args:
        run: folder of the run.
        artifacts: where other machines find what an attempt leaves.
    """

    def __init__(self, run: Path, artifacts: AbstractArtifacts) -> None:
        self.run, self.artifacts = run, artifacts

    def folder(self, claim: Claim) -> Path:
        """``trials/<slot>/<attempt>``."""
        return self.run / "trials" / str(claim.slot) / str(claim.attempt)

    def begin(self, claim: Claim) -> Path:
        """Makes the folder of an attempt, with what the newest earlier one left to go on from.

        A damaged checkpoint costs its epochs and not the candidate.

        Raises:
            CapacityError: it cannot be written.
        """
        folder = self.folder(claim)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # not the candidate's fault
            raise CapacityError(f"{folder}: cannot write ({error.strerror}); free space or mend the folder") from error
        for attempt in range(claim.attempt - 1, 0, -1):
            left = folder.parent / str(attempt)
            self.artifacts.fetch(left)
            if names := _usable(left, of_this_rung=attempt >= claim.first):
                for name in (LOG_FILE, *names):
                    if (left / name).exists():
                        (folder / name).parent.mkdir(exist_ok=True)
                        with atomic_path(folder / name) as whole:  # half a checkpoint would be the newest for good
                            shutil.copyfile(left / name, whole)
                break
        return folder

    def keep_error(self, claim: Claim, text: str) -> None:
        """Writes ``error.txt`` into the attempt's folder, and sends it."""
        write_text(self.folder(claim) / ERROR_FILE, text)
        self.artifacts.send(self.folder(claim))

    def settle(self, claim: Claim, *, keep_stem: bool = False) -> None:
        """Removes the checkpoints of all attempts, but for the stem a promoted candidate would go on from."""
        keep = self.folder(claim) / STEM_FILE if keep_stem else None
        remove_checkpoints(self.folder(claim).parent, keep=keep, newest=claim.attempt)
        self.artifacts.send(self.folder(claim))
        for attempt in range(1, claim.attempt):
            self.artifacts.tidy(self.folder(claim).parent / str(attempt))


def _usable(left: Path, *, of_this_rung: bool) -> list[str]:
    """The files that an attempt can go on from; none where it could not go on from any of them."""
    own = [CHECKPOINT_FILE] if of_this_rung and is_checkpoint(left / CHECKPOINT_FILE) else []
    teacher = [TEACHER_FILE] if of_this_rung and is_checkpoint(left / TEACHER_FILE) else []
    return [*own, STEM_FILE, *teacher] if own or teacher or is_checkpoint(left / STEM_FILE) else []


def remove_checkpoints(slot: Path, *, keep: Path | None = None, newest: int | None = None) -> None:
    """Removes what only an unfinished candidate needs from the folders of its attempts.

    Args:
        slot: folder of the attempts.
        keep: one file that stays.
        newest: number of the last attempt whose files go; a later one may be at work already. None is all.
    """
    for checkpoint in _checkpoints(slot):
        attempt = checkpoint.relative_to(slot).parts[0]
        if checkpoint != keep and (newest is None or int(attempt) <= newest):
            _remove(checkpoint)
    for folder in slot.glob(f"*/{Path(TEACHER_FILE).parent}"):
        with suppress(OSError):  # it holds something: a later attempt is at work
            folder.rmdir()


def remove_unfinished(run: Path) -> None:
    """Removes what killed workers were writing from a run at which nobody works any more."""
    for left in run.rglob(".*.tmp"):
        _remove(left)


def _checkpoints(slot: Path) -> Iterator[Path]:
    for name in sorted(UNFINISHED):
        yield from slot.glob(f"*/{name}")


def _remove(path: Path) -> None:
    with suppress(OSError):  # it is only in the way
        path.unlink()
