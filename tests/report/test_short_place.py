"""A page names a file by its last folder, whatever lies above."""

from __future__ import annotations

import pytest

from mindgap.report.short_place import short_place


@pytest.mark.parametrize(
    ("path", "short"),
    [
        ("/home/jane/clinic/p.csv", "clinic/p.csv"),
        ("clinic/p.csv", "clinic/p.csv"),
        ("p.csv", "p.csv"),
        ("./p.csv", "p.csv"),
        ("/p.csv", "p.csv"),
        ("../../p.csv", "p.csv"),
    ],
)
def test_a_file_keeps_its_name_and_its_last_folder(path: str, short: str):
    assert short_place(path) == short
