"""P9: training on a GPU against the usual loop there; targets 10× and 30 % of the measured convolution peak.

    python benchmarks/gpu_training.py [--rounds 3] [--steps 20] [--px 128] [--images 4096] [--processes 1,2,4,8]

The usual loop is a DataLoader over JPEG files with changes by Pillow and numpy, float32 (convolutions in TF32 where
torch does so by itself), with the fastest of some numbers of workers and layouts. Ours keeps the images on the device
and computes in bfloat16; it takes turns with the same loop whose step is one CUDA graph, and with several processes
that share the GPU, each with its own network. The peak is that of bf16 3×3 convolutions of many channels in the same
rounds. ``--device cpu`` only tries the script out: it leaves out the graph and says nothing on a GPU.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from conv_peak import best_convolution, clock_of, step_operations
from gpu_graph import GraphedRun
from made_store import BATCH, Slices, make_store, network_of, write_jpegs
from naive_loop import JpegImages, NaiveLoop
from our_loop import OurLoop, Together
from rounds import arguments, geometric_mean, ratio, show, start, take_turns

from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture

TARGET, SHARE = 10.0, 0.3
NAIVE, OURS, GRAPH, PEAK = "usual loop, best settings", "mindgap", "mindgap, step in a graph", "convolution peak"


def best_naive(
    store: Store, paths: list[Path], architecture: Architecture, *, steps: int, device: torch.device, workers: list[int]
) -> Callable[[], float]:
    """The usual loop in the settings that were fastest in one round after a warm-up."""
    loops: dict[str, NaiveLoop] = {}
    for count in workers:
        for last in (False, True):
            data = JpegImages(paths, store.labels, architecture, last=last)
            name, slices = f"{count} workers, {'channels_last' if last else 'NCHW'}", Slices(store, steps=steps)
            loops[name] = NaiveLoop(data, slices, architecture, workers=count, now=clock_of(device), device=device)
    rates = take_turns({name: loop.round for name, loop in loops.items()}, rounds=1)
    show("  settings of the usual loop", rates, unit="images/s")
    return loops[max(rates, key=lambda name: statistics.median(rates[name]))].round


def measure(kind: str, store: Store, paths: list[Path], options: object, *, workers: list[int]) -> dict[str, float]:
    """Prints all rounds of a network of one kind; returns the best gain and the best share of the peak."""
    device, architecture = torch.device(options.device), network_of(kind, px=options.px)
    steps, gpu = options.steps, options.device == "cuda"
    naive = best_naive(store, paths, architecture, steps=steps, device=device, workers=workers)
    kinds = {OURS: {}} | ({GRAPH: {"kind": GraphedRun}} if gpu else {})
    players = {NAIVE: naive}
    for name, chosen in kinds.items():
        players[name] = OurLoop(store, architecture, steps=steps, device=options.device, **chosen).round
    together = {
        f"{count} processes": Together(
            count, store.path, kind, steps=steps, device=options.device, threads=1, graphed=gpu
        )
        for count in options.processes
    }
    players |= {name: group.round for name, group in together.items()}
    players[PEAK] = best_convolution(device, now=clock_of(device))
    figures = take_turns(players, rounds=options.rounds)
    for group in together.values():
        group.close()
    peak = [value / 1e12 for value in figures.pop(PEAK)]
    show(f"{kind.upper()}, {options.px} px, batches of {BATCH}", figures, unit="images/s")
    show("  peak", {PEAK: peak}, unit="TFLOP/s")
    needed = step_operations(architecture) / 1e12
    gains = {name: ratio(values, figures[NAIVE]) for name, values in figures.items() if name != NAIVE}
    shares = {name: ratio([rate * needed for rate in figures[name]], peak) for name in gains}
    for name, gain in gains.items():
        print(f"  {name}: {gain:.2f}× the usual loop, {shares[name]:.1%} of the peak")
    single = max(gains[name] for name in kinds)
    return {"alone": single, "together": max(gains.values()), "share": max(shares.values())}


def main() -> int:
    parser = arguments(__doc__ or "", rounds=3)
    parser.add_argument("--steps", type=int, default=20, help="steps per round")
    parser.add_argument("--px", type=int, default=128, help="side of the images")
    parser.add_argument("--images", type=int, default=4096, help="images of the store")
    parser.add_argument("--processes", default="1,2,4,8", help="how many share the GPU, with commas")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.stderr.write("error: torch sees no GPU here; run this where there is one, or try it out by --device cpu\n")
        return 2
    options.processes = [int(count) for count in options.processes.split(",")]
    start(options.threads)
    where = torch.cuda.get_device_name() if options.device == "cuda" else "a CPU: figures say nothing on a GPU"
    print(f"on {where}")
    cores = os.cpu_count() or 1
    workers = [0] if options.device == "cpu" else sorted({0, *(min(cores, count) for count in (2, 4, 8, 16))})
    with tempfile.TemporaryDirectory() as place:
        store = make_store(Path(place), n=options.images, px=options.px)
        paths = write_jpegs(store, Path(place))
        found = [measure(kind, store, paths, options, workers=workers) for kind in ("cb", "mb", "rb")]
    alone, together = (geometric_mean(each[key] for each in found) for key in ("alone", "together"))
    listed = " / ".join(f"{each['share']:.1%}" for each in found)
    print(f"P9: {alone:.1f}× one run against one, {together:.1f}× with the GPU shared (target {TARGET:.0f}×); ", end="")
    print(f"share of the peak {listed} (target {SHARE:.0%})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
