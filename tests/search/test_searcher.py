from __future__ import annotations

import pytest

from mindgap.core.config import parse
from mindgap.core.errors import ConfigError
from mindgap.search.searcher import SEARCHERS, Outcome
from mindgap.testing import SearcherConformance
from mindgap.testing.token_game import SmallSpace


class TestEverySearcher(SearcherConformance):
    @pytest.fixture(params=SEARCHERS.names())
    def name(self, request):
        return request.param


def test_random_and_reinforce_are_registered():
    assert {"random", "reinforce"} <= set(SEARCHERS.names())


@pytest.mark.parametrize(
    ("lag", "slot", "needed"), [(0, 7, 0), (0, 8, 8), (0, 23, 16), (1, 15, 0), (1, 16, 8), (2, 24, 8)]
)
def test_a_slot_depends_on_the_batches_before_its_own_less_the_lag(lag, slot, needed):
    searcher = SEARCHERS.get("reinforce")
    settings = searcher.Settings(lag=lag)
    assert searcher(SmallSpace(), seed=0, settings=settings).visible(slot) == needed


def test_asking_too_early_is_refused():
    searcher = SEARCHERS.get("reinforce")(SmallSpace(), seed=0)
    with pytest.raises(ValueError, match="slot 16 depends on 8 outcomes, 0 were told"):
        searcher.ask(16)


def test_outcomes_out_of_order_are_refused():
    searcher = SEARCHERS.get("reinforce")(SmallSpace(), seed=0)
    with pytest.raises(ValueError, match="next outcome is of slot 0, got slot 1"):
        searcher.tell(Outcome(1, (0,), 0.5))


def test_an_unknown_setting_is_one_line_with_the_near_name():
    with pytest.raises(ConfigError, match="learning_rate"):
        parse(SEARCHERS.get("reinforce").Settings, {"learnin_rate": 1e-2})
