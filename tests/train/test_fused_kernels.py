"""Compiling the passes of a fused batch norm, and doing without."""

from __future__ import annotations

import logging
import shutil
import stat
from dataclasses import replace

import pytest

from mindgap.train import fused_kernels
from mindgap.train.fused_kernels import NoKernelsError, compiled_operations, find_or_compile, operations
from mindgap.train.fused_reference import PlainOperations, agree
from mindgap.train.precision import BF16, make_plan, measure_plan, network_parts

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")


@pytest.fixture
def no_compiler(monkeypatch, tmp_path):
    """As on a machine without one; found and remembered anew before and after."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled_operations.cache_clear()
    yield
    compiled_operations.cache_clear()


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def quick(monkeypatch):
    """Compiles in a second; the bits are the same."""
    monkeypatch.setattr(fused_kernels, "_FLAGS", (*fused_kernels._FLAGS, "-O0"))


@needs_compiler
def test_what_is_compiled_is_kept_and_a_damaged_file_is_replaced(tmp_path, quick, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    assert agree(find_or_compile(first), PlainOperations())
    (library,) = first.iterdir()
    second.mkdir()
    (second / library.name).write_bytes(library.read_bytes()[:100])
    assert agree(find_or_compile(second), PlainOperations())
    assert (second / library.name).stat().st_size == library.stat().st_size
    monkeypatch.setattr(fused_kernels, "_compile", None)
    assert agree(find_or_compile(first), PlainOperations())


@needs_compiler
def test_a_folder_that_cannot_be_written_does_not_matter(tmp_path, quick):
    (tmp_path / "file").touch()
    assert agree(find_or_compile(tmp_path / "file"), PlainOperations())


def test_passes_that_compute_something_else_are_seen():
    class Wrong(PlainOperations):
        def backward(self, *args, **options):
            found = super().backward(*args, **options)
            return replace(found, bias=found.bias + 1e-6)

    assert agree(PlainOperations(), PlainOperations())
    assert not agree(Wrong(), PlainOperations())


def test_no_compiler_is_one_line_and_everything_works(no_compiler, caplog, architecture):
    with caplog.at_level(logging.WARNING):
        assert isinstance(operations(), PlainOperations)
        assert compiled_operations() is None
    (record,) = caplog.records
    assert record.getMessage() == (
        "batch norm and activation are not fused here: no C++ compiler (no-such-compiler not found); install one, or "
        "set CXX; everything works, slower"
    )
    assert make_plan("bf16", architecture, batch_size=8) is BF16
    plan = measure_plan(network_parts(architecture.for_task(num_classes=2, input_px=24)), batch_size=2)
    assert not any(mode.endswith("fused") for timing in plan.timings for mode in timing.milliseconds)


@pytest.mark.parametrize(
    ("does", "says"),
    [
        (
            '[ "$1" = --version ] && exit 0; echo "x.cpp:1: error: out of words" >&2; exit 3',
            r"failed with status 3 \(x.cpp:1: error: out of words\)",
        ),
        ("exit 1", r"failed with status 1 \(no message\)"),
    ],
)
def test_a_compiler_that_fails_is_quoted(monkeypatch, tmp_path, does, says):
    monkeypatch.setenv("CXX", script(tmp_path / "cc", does))
    with pytest.raises(NoKernelsError, match=says):
        find_or_compile(tmp_path / "cache")


def test_a_compiler_that_never_ends_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr(fused_kernels, "_SECONDS", 0.2)
    monkeypatch.setenv("CXX", script(tmp_path / "cc", "exec sleep 60"))
    with pytest.raises(NoKernelsError, match=r"cannot be run \(TimeoutExpired\)"):
        find_or_compile(tmp_path / "cache")


def test_a_library_that_cannot_be_loaded_is_not_used(monkeypatch, tmp_path):
    writes = 'for word; do last=$word; done; [ "$1" = --version ] || echo nothing > "$last"'
    monkeypatch.setenv("CXX", script(tmp_path / "cc", writes))
    with pytest.raises(NoKernelsError, match="the compiled library cannot be loaded"):
        find_or_compile(tmp_path / "cache")
