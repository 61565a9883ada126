from __future__ import annotations

import pytest

from mindgap.core.progress import progress


def test_nothing_is_written_when_nobody_looks(capfd: pytest.CaptureFixture[str]):
    with progress(3, "work") as bar:
        bar.advance()
        bar.describe("more")
    assert capfd.readouterr() == ("", "")
