"""The verb writes one page per run and refuses what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from mindgap.core.errors import ConfigError, RunError
from mindgap.core.files import write_json, write_text
from mindgap.workflows.report import report


def test_no_run_is_refused() -> None:
    with pytest.raises(ConfigError, match="name at least one folder"):
        report([])


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no config\.toml"):
        report([tmp_path])


def test_a_search_with_several_presets_asks_for_the_page_of_each(tmp_path: Path) -> None:
    write_text(tmp_path / "config.toml", 'verb = "search"\n')
    write_json(tmp_path / "search.json", {"presets": {"fair": {}, "acc": {}}})
    with pytest.raises(RunError, match=r"fair: holds no mindgap run"):
        report([tmp_path])
