"""Resident memory beyond the image map while training on 25,000 images of 128 px; target under 2 GiB.

    python benchmarks/training_memory.py [--n 25000] [--seconds 60] [--network mobilenet_v2]

Every page of the map is read first, so that its resident part does not change. The figure is the kernel's own
high-water mark (Linux) of the resident set while a network is planned and trained, minus the map's part. It holds all
else: tensors, weights, gradients, what the allocator keeps of freed memory, and the .3 GiB of Python and PyTorch.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from made_store import CLASSES, make_store, network_of
from rounds import arguments, start

from mindgap.space.network import resolve_network
from mindgap.train.loop import EpochRecord, TrainingRun, TrainSettings, train_network

PX, BATCH, STEPS = 128, 64, 8
TARGET_GIB = 2.0
_KIB_PER_GIB = 2**20


def resident_gib(path: Path) -> tuple[float, float]:
    """Resident set and the part of it that maps a file, in GiB."""
    inside, mapped, total = False, 0, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            inside = line.endswith(str(path))
        elif line.startswith("Rss:"):
            size = int(line.split()[1])
            total += size
            mapped += size * inside
    return total / _KIB_PER_GIB, mapped / _KIB_PER_GIB


def forget_peak() -> None:
    """Has the kernel count the process's largest resident set anew, from what it is now."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_gib() -> float:
    """The largest resident set since then, in GiB, however short it lasted."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / _KIB_PER_GIB


def main() -> None:
    parser = arguments(__doc__ or "", rounds=1)
    parser.add_argument("--n", type=int, default=25_000)
    parser.add_argument("--seconds", type=float, default=60, help="how long each network trains")
    parser.add_argument("--network", default="mobilenet_v2")
    options = parser.parse_args()
    start(options.threads)
    with tempfile.TemporaryDirectory() as place:
        store = make_store(Path(place).resolve(), n=options.n, px=PX)
        file = store.path / "images.bin"
        # Every eighth row of a 128 px image: at least one byte of every page.
        int(store.images[:, ::8, ::8].sum())
        before, mapped = resident_gib(file)
        print(f"store of {options.n} images, {file.stat().st_size / 2**30:.2f} GiB")
        print(f"before training {before - mapped:.2f} GiB beyond the map")
        named = resolve_network(options.network, num_classes=len(CLASSES), input_px=PX)
        for architecture in (named, network_of("rb", px=PX)):
            forget_peak()
            end = time.perf_counter() + options.seconds

            def stop(record: EpochRecord, _: TrainingRun, end: float = end) -> None:
                if time.perf_counter() > end:
                    raise StopIteration(record.epoch)

            generator = np.random.default_rng(0)
            rows = np.sort(generator.choice(options.n, STEPS * BATCH, replace=False))
            try:
                train_network(
                    architecture.build(seed=0),
                    store,
                    train_rows=rows,
                    groups=store.groups("sex"),
                    settings=TrainSettings(epochs=1000, batch_size=BATCH, device="cpu"),
                    architecture=architecture,
                    on_epoch=stop,
                )
            except StopIteration as stopped:
                print(f"{architecture.name}: {stopped} epochs of {STEPS} steps")
            peak, mapped = peak_gib(), resident_gib(file)[1]
            print(f"  peak {peak - mapped:.2f} GiB beyond the map, {mapped:.2f} GiB of the map (target {TARGET_GIB})")


if __name__ == "__main__":
    main()
