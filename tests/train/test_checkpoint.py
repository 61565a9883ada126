"""Checkpoints."""

from __future__ import annotations

import pickle
import resource

import pytest
import torch

from mindgap.core.errors import CapacityError, DataError, RunError
from mindgap.train.checkpoint import CHECKPOINT_FILE, load_checkpoint, run_key, save_checkpoint
from mindgap.train.epoch_log import EpochLog


def test_a_state_comes_back(tmp_path):
    state = {"run": "a", "network": {"w": torch.arange(3.0)}, "history": [{"loss": 0.5}], "modes": ["fp32"]}
    save_checkpoint(tmp_path, state)
    back = load_checkpoint(tmp_path, run="a")
    assert torch.equal(back["network"].pop("w"), state["network"].pop("w"))
    assert back == state
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT_FILE]


def test_nothing_there_is_none(tmp_path):
    assert load_checkpoint(tmp_path / "not-there", run="a") is None


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    save_checkpoint(tmp_path, {"run": "a"})
    with pytest.raises(RunError, match="of a run with other data, network or settings; remove it"):
        load_checkpoint(tmp_path, run="b")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"hello, this is text", b"PK\x03\x04cut"])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / CHECKPOINT_FILE).write_bytes(content)
    with pytest.raises(DataError, match="cannot read the checkpoint"):
        load_checkpoint(tmp_path, run="a")


def test_a_file_cannot_run_code(tmp_path):
    class Exploit:
        def __reduce__(self):
            return (print, ("code ran",))

    torch.save({"run": "a", "network": Exploit()}, tmp_path / CHECKPOINT_FILE)
    with pytest.raises(DataError, match="cannot read the checkpoint"):
        load_checkpoint(tmp_path, run="a")
    (tmp_path / CHECKPOINT_FILE).write_bytes(pickle.dumps(Exploit(), protocol=2))
    with pytest.raises(DataError, match="cannot read the checkpoint"):
        load_checkpoint(tmp_path, run="a")


def test_a_key_tells_runs_apart():
    assert run_key("a", "b") == run_key("a", "b")
    assert len({run_key("a", "b"), run_key("b", "a"), run_key("ab"), run_key("a", "b", "")}) == 4


def test_a_full_disk_is_one_line_and_leaves_the_checkpoint_before(tmp_path):
    save_checkpoint(tmp_path, {"run": "a", "epoch": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limits[1]))
    try:
        with pytest.raises(CapacityError, match="cannot write") as error:
            save_checkpoint(tmp_path, {"run": "a", "epoch": 2, "weights": torch.zeros(2**16)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert load_checkpoint(tmp_path, run="a") == {"run": "a", "epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("end", [b'{"epo', b"\xff\xfe", b"[1]"])
def test_a_damaged_log_is_one_line(tmp_path, end):
    (tmp_path / "log.jsonl").write_bytes(b'{"epoch": 1}\n' + end)
    with pytest.raises(DataError, match="is no line of an epoch"):
        EpochLog(tmp_path / "log.jsonl")
