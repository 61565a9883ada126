"""Every registered importance keeps the contract."""

from __future__ import annotations

import pytest

from mindgap.core.errors import UnknownNameError
from mindgap.prune.importance import IMPORTANCES, make_importance
from mindgap.testing import ImportanceConformance


@pytest.mark.parametrize("name", IMPORTANCES.names())
class TestEveryImportance(ImportanceConformance):
    pass


def test_the_registered_names_are_those_of_the_literature() -> None:
    assert {"snnl", "magnitude", "taylor", "fairprune"} <= set(IMPORTANCES.names())


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'snnl'"):
        make_importance("snl")
