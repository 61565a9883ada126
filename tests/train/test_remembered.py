from __future__ import annotations

import pytest

from mindgap.core.cache import cache_folder
from mindgap.core.config import StrictModel
from mindgap.train import remembered as module
from mindgap.train.remembered import one_thread, remembered


class Answer(StrictModel):
    value: int


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def ask(value, *, question="how fast?"):
    return remembered("test", question, Answer, measure=lambda: Answer(value=value)).value


def test_the_first_answer_stays():
    assert [ask(1), ask(2), ask(3, question="how large?")] == [1, 1, 3]


def test_of_two_that_measure_at_once_both_take_the_answer_that_was_kept_first():
    def while_another_is_faster():
        assert ask(1) == 1
        return Answer(value=2)

    assert remembered("test", "how fast?", Answer, measure=while_another_is_faster).value == 1


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{}", b"no json"])
def test_a_damaged_file_is_measured_anew_and_replaced(content):
    ask(1)
    (file,) = cache_folder().iterdir()
    file.write_bytes(content)
    assert [ask(2), ask(3)] == [2, 2]


def test_without_a_folder_to_write_everything_works(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [ask(1), ask(2)] == [1, 2]


def test_another_way_of_timing_or_number_of_threads_is_another_question(monkeypatch):
    import torch

    with one_thread():
        assert ask(1) == 1
    torch.set_num_threads(2)
    try:
        assert ask(2) == 2
    finally:
        torch.set_num_threads(1)
    monkeypatch.setattr(module, "WAY", 0)
    assert ask(3) == 3
