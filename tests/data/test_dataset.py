from __future__ import annotations

import pytest

from mindgap.data.dataset import DATASETS
from mindgap.testing import DatasetConformance


class TestEveryDataset(DatasetConformance):
    @pytest.fixture(params=DATASETS.names())
    def name(self, request):
        return request.param


def test_the_presets_of_the_contract_are_there():
    wanted = {"folder", "ham10000", "isic2019", "pad_ufes_20", "utkface", "fitzpatrick17k", "fairface", "celeba"}
    assert wanted <= set(DATASETS.names())
