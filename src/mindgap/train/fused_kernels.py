"""The passes of a fused batch norm in C++, compiled where they are first used and kept in the cache folder.

There is nothing of PyTorch in the library: plain arrays come in. So it compiles in seconds and fits every version.
Threads are those of PyTorch's own OpenMP, which is already loaded.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from mindgap.core.errors import CapacityError
from mindgap.core.files import atomic_path
from mindgap.train.fused_reference import (
    Act,
    Affine,
    Cut,
    Gradients,
    Normalised,
    Operations,
    PlainOperations,
    agree,
)
from mindgap.train.remembered import cache_folder

_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-ffp-contract=off", "-Wno-unknown-pragmas")
_MACHINE = {"AVX512": ("-march=x86-64-v4", "-mprefer-vector-width=512"), "AVX2": ("-march=x86-64-v3",)}
_TYPES = {torch.float32: 0, torch.bfloat16: 1}
_ACTS: dict[Act, int] = {"plain": 0, "relu": 1, "relu6": 2}
_SECONDS = 300.0
_INTEGERS = ("size", "channels", "tile", "piece", "type", "act", "threads")
_POINTERS = (
    *("x", "other", "gradient", "out", "before", "weight", "bias", "running_mean", "running_var"),
    *("wide", "narrow", "to_weight", "to_bias", "partial"),
)
log = logging.getLogger(__name__)


class NoKernelsError(Exception):
    """The kernels cannot be compiled or used here; the text is one line."""


class _Call(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in _INTEGERS),
        *((name, ctypes.c_double) for name in ("eps", "momentum")),
        *((name, ctypes.c_void_p) for name in _POINTERS),
    )


class CompiledOperations:
    """The passes of ``Operations`` by the library of a path.

    Raises:
        OSError: it cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        self._forward, self._backward = library["forward"], library["backward"]
        for function in (self._forward, self._backward):
            function.argtypes, function.restype = (ctypes.POINTER(_Call),), None

    def forward(self, x: Tensor, residual: Tensor | None, norm: Affine, *, act: Act, out: Tensor) -> Normalised:
        """See ``Operations``."""
        wide, narrow = torch.empty((4, x.shape[1]), dtype=torch.float64), torch.empty((3, x.shape[1]))
        maps = {"x": x, "other": residual, "out": out}
        vectors = {"weight": norm.weight, "bias": norm.bias, "wide": wide, "narrow": narrow}
        running = {"running_mean": norm.running_mean, "running_var": norm.running_var}
        call = _Call(eps=norm.eps, momentum=norm.momentum, act=_ACTS[act])
        _run_pass(self._forward, call, maps | vectors | running)
        return Normalised(wide, narrow, act)

    def backward(
        self, x: Tensor, gradient: Tensor, output: Tensor | None, norm: Normalised, *, wants_x: bool
    ) -> Gradients:
        """See ``Operations``."""
        before, to_x = None if output is None else torch.empty_like(x), torch.empty_like(x) if wants_x else None
        to_weight, to_bias = torch.empty((2, x.shape[1]))
        maps = {"x": x, "gradient": gradient, "other": output, "before": before, "out": to_x}
        vectors = {"wide": norm.wide, "narrow": norm.narrow, "to_weight": to_weight, "to_bias": to_bias}
        _run_pass(self._backward, _Call(act=_ACTS[norm.act]), maps | vectors)
        return Gradients(to_x, to_weight, to_bias, before)


def _run_pass(function: Callable[[_Call], None], call: _Call, tensors: Mapping[str, Tensor | None]) -> None:
    x = tensors["x"]
    assert x is not None  # noqa: S101
    cut = Cut.of(x)
    partial = torch.empty((cut.pieces, 2, cut.channels))
    call.size, call.channels, call.tile, call.piece = cut.size, cut.channels, cut.tile, cut.piece
    call.type, call.threads, call.partial = _TYPES[x.dtype], torch.get_num_threads(), partial.data_ptr()
    for name, tensor in tensors.items():
        if tensor is not None:
            setattr(call, name, tensor.data_ptr())
    function(call)


@functools.cache
def compiled_operations() -> CompiledOperations | None:
    """The compiled passes, or None where they cannot be had, with one line in the log."""
    try:
        return find_or_compile(cache_folder())
    except NoKernelsError as error:
        log.warning("batch norm and activation are not fused here: %s; everything works, slower", error)
        return None


def operations() -> Operations:
    """The compiled passes, or those in PyTorch, slower and with the same results, where they cannot be had."""
    return compiled_operations() or PlainOperations()


def find_or_compile(folder: Path) -> CompiledOperations:
    """The library of this source, compiler and kind of processor from a folder, compiled if it is not there.

    Of two processes that compile at once both write the same, and the later one's file takes the place of the first's.

    Raises:
        NoKernelsError: there is no compiler, or it fails, or what it made computes something else than it should.
    """
    compiler = _compiler()
    source = files("mindgap.train").joinpath("fused_norm.cpp").read_text(encoding="utf-8")
    reasons: list[str] = []
    for threads in (("-fopenmp",), ("-fopenmp-simd",)) if sys.platform == "linux" else ((),):
        flags = (*_FLAGS, *_MACHINE.get(torch.backends.cpu.get_cpu_capability(), ()), *threads)
        key = "\n".join([platform.machine(), platform.system(), _version(compiler), *flags, source])
        path = folder / f"fused-norm-{hashlib.blake2b(key.encode(), digest_size=12).hexdigest()}.so"
        try:
            return _kept(path) or _compile(compiler, flags, source, path)
        except OSError as error:  # such as another OpenMP than PyTorch's
            reasons.append(f"the compiled library cannot be loaded ({error})")
    raise NoKernelsError(reasons[0])


def _kept(path: Path) -> CompiledOperations | None:
    try:
        return _load(path) if path.exists() else None
    except OSError:  # damaged: it is compiled anew
        return None


def _compiler() -> list[str]:
    named = shlex.split(os.environ.get("CXX", ""))
    for command in [named] if named else [["g++"], ["c++"], ["clang++"]]:
        if shutil.which(command[0]):
            return command
    raise NoKernelsError(f"no C++ compiler ({named[0] if named else 'g++'} not found); install one, or set CXX")


def _compile(compiler: Sequence[str], flags: Sequence[str], source: str, path: Path) -> CompiledOperations:
    with tempfile.TemporaryDirectory() as place:
        text, compiled, library = (Path(place) / name for name in ("fused_norm.cpp", "fused_norm.o", "fused_norm.so"))
        text.write_text(source, encoding="utf-8")
        _run([*compiler, *flags, "-c", str(text), "-o", str(compiled)])
        # Linked without OpenMP: its names are found in the one that PyTorch has loaded for all to see.
        _run([*compiler, "-shared", str(compiled), "-o", str(library)])
        with suppress(CapacityError), atomic_path(path) as temporary:
            shutil.copyfile(library, temporary)
        return _load(library)  # loaded once, a library outlives its file


def _version(compiler: Sequence[str]) -> str:
    return _run([*compiler, "--version"])


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoKernelsError(f"{command[0]} cannot be run ({type(error).__name__})") from None
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), "no message")
        raise NoKernelsError(f"{command[0]} failed with status {done.returncode} ({said[:200]})")
    return done.stdout


def _load(path: Path) -> CompiledOperations:
    found = CompiledOperations(path)
    if not agree(found, PlainOperations()):
        raise NoKernelsError(f"{path}: computes something else than it should; remove it, or use another compiler")
    return found
