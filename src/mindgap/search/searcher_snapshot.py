"""The searcher's state in a file, so that a worker that starts late need not learn everything again.

The ledger stays the only truth: a snapshot counts if it is of this very search and of exactly the outcomes that the
ledger has, in their order; else, and where it cannot be read or written, all outcomes are told again.
"""

from __future__ import annotations

import hashlib
import io
import logging
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
from mindgap.search.searcher import AbstractSearcher
from mindgap.search.slot import Slot
from mindgap.train.checkpoint import load_checkpoint, run_key, save_checkpoint

log = logging.getLogger(__name__)
SNAPSHOT_FILE = "searcher.pt"
EVERY = 256  # outcomes; the recurrent controller takes about a second to learn so many
LEFT_S = 600.0
_UNUSABLE = (
    MindgapError, AttributeError, KeyError, TypeError, ValueError, RuntimeError, EOFError, OSError,
    pickle.UnpicklingError,
)  # fmt: skip


def search_key(plan: SearchPlan) -> str:
    """A digest of all but the outcomes that decides a searcher's state: the plan, and the versions that compute it."""
    return run_key(plan.model_dump_json(exclude={"store"}), __version__, torch.__version__)


class SearcherSnapshot:
    """The snapshot of a search in its folder; several workers may write it, the last one wins.

    Args:
        folder: of the search.
        search: from ``search_key``.
        every: outcomes between two snapshots.
    """

    def __init__(self, folder: Path, *, search: str, every: int = EVERY) -> None:
        self.folder, self.search, self.every = folder, search, every
        self._looked = False
        self._kept = 0

    def restore(self, searcher: AbstractSearcher, past: Sequence[Slot], *, reward: Reward) -> bool:
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
            searcher.restore(first)
        return searcher.told > 0

    def keep(self, searcher: AbstractSearcher, past: Sequence[Slot], *, reward: Reward) -> None:
        """Writes the state if enough was told since the last time; where that cannot be done, nothing is written.

        Args:
            searcher: that was told exactly these.
            past: settled slots, from 0.
            reward: of candidates that were given up.
        """
        if searcher.told - self._kept < self.every or searcher.told != len(past):
            return
        state = searcher.state()
        self._kept = searcher.told
        if state is None:
            return
        content = io.BytesIO()
        torch.save(state, content)
        whole = torch.frombuffer(bytearray(content.getvalue()), dtype=torch.uint8)
        record = {
            "run": self.search, "told": searcher.told, "outcomes": _digest(past, reward), "state": whole,
            "check": _check(content.getvalue()),
        }  # fmt: skip
        try:
            save_checkpoint(self.folder, record, name=SNAPSHOT_FILE)
            self._tidy()
        except MindgapError as error:
            log.debug("the searcher's snapshot is not written: %s", error)

    def _tidy(self) -> None:
        """Removes what writers left that were killed; nobody takes so long to write."""
        for left in self.folder.glob(f".{SNAPSHOT_FILE}.*.tmp"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > LEFT_S:
                    left.unlink()

    def _read(self, past: Sequence[Slot], reward: Reward) -> Mapping[str, Any] | None:
        """The state of the snapshot; None if there is none, it is damaged, or of other outcomes."""
        record = load_checkpoint(self.folder, run=self.search, name=SNAPSHOT_FILE)
        if record is None or not 0 < record["told"] <= len(past):
            return None
        content = record["state"].numpy().tobytes()
        if record["check"] != _check(content) or record["outcomes"] != _digest(past[: record["told"]], reward):
            return None
        state = torch.load(io.BytesIO(content), weights_only=True)
        return state if state["told"] == record["told"] else None


def _check(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _digest(past: Sequence[Slot], reward: Reward) -> str:
    """Of every outcome in order, to the last bit of its figures."""
    told = hashlib.blake2b(digest_size=16)
    for slot in past:
        told.update(repr(outcome(slot, reward=reward)).encode())
    return told.hexdigest()
