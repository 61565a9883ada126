"""The searcher's state in a file, so that a worker that starts late need not learn everything again.

The ledger stays the only truth: a snapshot counts if it is of this very search and of exactly the outcomes that the
ledger has, in their order; else, and where it cannot be read or written, all outcomes are told again.
"""

from __future__ import annotations

import hashlib
import io
import logging
import math
import pickle
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from mindgap import __version__
from mindgap.core.errors import MindgapError
from mindgap.search.agenda import outcome
from mindgap.search.plan import SearchPlan
from mindgap.search.reward import Reward
from mindgap.search.searcher import AbstractOrder
from mindgap.search.slot import Slot
from mindgap.train.checkpoint import load_checkpoint, run_key, save_checkpoint

log = logging.getLogger(__name__)
SNAPSHOT_FILE = "searcher.pt"
EVERY = 256  # outcomes; the recurrent controller takes about a second to learn so many
REST_S = 60.0  # one that another worker wrote a moment ago is left: hundreds of workers would write the same
KILLED_S = 600.0  # nobody takes so long to write: what is left of a temporary file's writer
_UNUSABLE = (
    MindgapError, AttributeError, LookupError, TypeError, ValueError, RuntimeError, EOFError, OSError,
    pickle.UnpicklingError,
)  # fmt: skip


def search_key(plan: SearchPlan) -> str:
    """A digest of all but the outcomes that decides a searcher's state: the plan, and the versions that compute it."""
    return run_key(plan.model_dump_json(exclude={"store"}), __version__, torch.__version__)


class SearcherSnapshot:
    """The snapshot of a search in its folder; several workers may write it, the last one wins.

    Args:
        folder: of the search.
        key: from ``search_key``.
        every: outcomes between two snapshots.
        rest_s: seconds between two snapshots, whoever writes them.
    """

    def __init__(self, folder: Path, *, key: str, every: int = EVERY, rest_s: float = REST_S) -> None:
        self.folder, self.key, self.every, self.rest_s = folder, key, every, rest_s
        self._looked = False
        self._kept = 0

    def restore(self, searcher: AbstractOrder, past: Sequence[Slot], *, reward: Reward) -> bool:
        """Gives the searcher the state of the snapshot, if it was told nothing yet and the snapshot is of its past.

        Args:
            searcher: in its first state.
            past: the settled slots, from 0, whose outcomes it is about to be told.
            reward: of candidates that were given up.

        Returns:
            Whether it did; if not, the searcher is as it was.
        """
        if self._looked or searcher.told or len(past) < self.every:
            return False
        self._looked = True
        first = searcher.state()
        if first is None:
            return False
        try:
            state = self._read(past, reward)
            if state is not None:
                searcher.restore(state)
                self._kept = searcher.told
        except _UNUSABLE as error:
            log.debug("the searcher's snapshot is not used: %s", error)
            with suppress(NotImplementedError):  # then it was not touched
                searcher.restore(first)
        return searcher.told > 0

    def keep(self, searcher: AbstractOrder, past: Sequence[Slot], *, reward: Reward) -> None:
        """Writes the state if enough was told since the last time; where that cannot be done, nothing is written.

        Args:
            searcher: that was told exactly these.
            past: settled slots, from 0.
            reward: of candidates that were given up.
        """
        if searcher.told - self._kept < self.every or searcher.told != len(past):
            return
        self._kept = searcher.told
        if self._age_s() < self.rest_s or (state := searcher.state()) is None:
            return
        content = io.BytesIO()
        torch.save(state, content)
        whole = torch.frombuffer(bytearray(content.getvalue()), dtype=torch.uint8)
        record = {
            "run": self.key, "told": searcher.told, "outcomes": _digest(past, reward), "state": whole,
            "check": _check(content.getvalue()),
        }  # fmt: skip
        try:
            save_checkpoint(self.folder, record, name=SNAPSHOT_FILE)
            self._tidy()
        except MindgapError as error:
            log.debug("the searcher's snapshot is not written: %s", error)

    def _tidy(self) -> None:
        """Removes what writers left that were killed."""
        with suppress(OSError):
            for left in self.folder.glob(f".{SNAPSHOT_FILE}.*.tmp"):
                if time.time() - left.stat().st_mtime > KILLED_S:
                    left.unlink(missing_ok=True)

    def _age_s(self) -> float:
        try:
            return abs(time.time() - (self.folder / SNAPSHOT_FILE).stat().st_mtime)
        except OSError:
            return math.inf

    def _read(self, past: Sequence[Slot], reward: Reward) -> Mapping[str, Any] | None:
        """The state of the snapshot; None if there is none, it is damaged, or of other outcomes."""
        record = load_checkpoint(self.folder, run=self.key, name=SNAPSHOT_FILE)
        if record is None or not 0 < record["told"] <= len(past):
            return None
        content = record["state"].numpy().tobytes()
        if record["check"] != _check(content) or record["outcomes"] != _digest(past[: record["told"]], reward):
            return None
        state = torch.load(io.BytesIO(content), weights_only=True)
        return state if state["told"] == record["told"] else None


def make_snapshot(plan: SearchPlan, folder: Path) -> SearcherSnapshot | None:
    """The snapshot of a search; None of an asynchronous one, whose ledger does not tell what its searcher was told."""
    return None if plan.rungs.promotion.asynchronous else SearcherSnapshot(folder, key=search_key(plan))


def _check(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _digest(past: Sequence[Slot], reward: Reward) -> str:
    """Of every outcome in order, to the last bit of its figures."""
    told = hashlib.blake2b(digest_size=16)
    for slot in past:
        told.update(repr(outcome(slot, reward=reward)).encode())
    return told.hexdigest()
