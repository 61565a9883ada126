"""Random search: every valid option of a decision is equally likely."""

from __future__ import annotations

import numpy as np

from mindgap.core.seed import numpy_generator
from mindgap.search.searcher import SEARCHERS, AbstractSearcher, Outcome


@SEARCHERS.register("random")
class RandomSearcher(AbstractSearcher):
    """Uniform choices among the valid options; learns nothing."""

    def visible(self, slot: int) -> int:  # noqa: ARG002  (no slot waits for another)
        """No outcome matters."""
        return 0

    def _propose(self, slot: int) -> tuple[int, ...]:
        generator = numpy_generator(self.seed, "random", slot)
        episode = self.space.start()
        while episode.decision is not None:
            episode.choose(int(generator.choice(np.flatnonzero(episode.mask()))))
        return episode.tokens

    def _learn(self, outcome: Outcome) -> None:
        pass
