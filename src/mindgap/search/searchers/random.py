"""Random search: every valid option of a decision is equally likely."""

from __future__ import annotations

from mindgap.core.seed import numpy_generator
from mindgap.search.searcher import SEARCHERS, AbstractSearcher, Outcome
from mindgap.search.token_walk import draw_uniform


@SEARCHERS.register("random")
class RandomSearcher(AbstractSearcher):
    """Uniform choices among the valid options; learns nothing."""

    def visible(self, slot: int) -> int:  # noqa: ARG002  (no slot waits for another)
        """No outcome matters."""
        return 0

    def _propose(self, slot: int) -> tuple[int, ...]:
        return draw_uniform(self.space, numpy_generator(self.seed, "random", slot))

    def _learn(self, outcome: Outcome) -> None:
        pass
