"""P1: the training loop against the better naive loop, 128 px, batches of 64; target 3× (geometric mean).

    python benchmarks/training_vs_naive.py [--rounds 3] [--steps 4] [--threads 1]

The naive loop is a DataLoader over JPEG files already of the right size, PIL augmentation of the same kinds and
strengths, the same batches, float32, torch's default AdamW, and the loss read every step. First every setting of it
(0, 1, 2 workers; NCHW or channels_last) runs one round; the fastest then takes turns with ours. It runs with the
system's allocator settings, and once more with those that our loop sets, as ``naive, our allocator``.
With ``--clock cpu`` it has no workers, whose time this process does not see.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from made_store import make_store, network_of, write_jpegs
from PIL import Image, ImageEnhance
from rounds import arguments, clock, our_allocator, ratio, show, start, stock_allocator, take_turns
from torch.utils.data import DataLoader, Dataset

from mindgap.data.augment import AugmentSettings
from mindgap.data.batches import BatchPlan
from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture
from mindgap.train.precision import make_plan
from mindgap.train.settings import TrainSettings
from mindgap.train.training_run import TrainingRun

BATCH, PX = 64, 128
TARGET = 3.0


class JpegImages(Dataset):
    """One image per item, decoded and augmented by PIL."""

    def __init__(self, paths: list[Path], labels: np.ndarray, architecture: Architecture) -> None:
        self.paths, self.labels, self.chosen = paths, labels, AugmentSettings()
        self.mean, self.std = (np.array(value, dtype=np.float32) for value in (architecture.mean, architecture.std))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        generator, chosen = np.random.default_rng(), self.chosen
        draw = generator.uniform(-1, 1, 8)
        image = Image.open(self.paths[row]).convert("RGB")
        for flip in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM):
            image = image.transpose(flip) if generator.random() < 0.5 else image
        image = image.transpose(Image.Transpose.ROTATE_90) if generator.random() < 0.5 else image
        zoom, side = (1 + chosen.scale) ** draw[0], image.width
        offset = [side * (0.5 - 0.5 / zoom + chosen.shift * draw[k]) for k in (1, 2)]
        matrix = (1 / zoom, 0, offset[0], 0, 1 / zoom, offset[1])
        image = image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)
        image = ImageEnhance.Brightness(image).enhance(1 + chosen.brightness * draw[3])
        image = ImageEnhance.Contrast(image).enhance(1 + chosen.contrast * draw[4])
        image = ImageEnhance.Color(image).enhance(1 + chosen.colour * draw[5])
        pixels = (np.asarray(image, dtype=np.float32) / 255 - self.mean) / self.std
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), int(self.labels[row])


class Naive:
    """The usual loop."""

    def __init__(
        self,
        store: Store,
        paths: list[Path],
        architecture: Architecture,
        *,
        workers: int,
        last: bool,
        now: Callable[[], float],
    ) -> None:
        self.now = now
        self.format = torch.channels_last if last else torch.contiguous_format
        self.network = architecture.build(seed=0).to(memory_format=self.format)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3)
        data = JpegImages(paths, store.labels, architecture)
        plan = BatchPlan(store.groups("sex").ids, None, batch_size=BATCH, seed=0)
        self.batches = [batch.tolist() for epoch in range(200) for batch in plan.epoch(epoch)]
        self.loader = DataLoader(data, batch_sampler=self.batches, num_workers=workers)
        self.stream: Iterator[list[torch.Tensor]] = iter(self.loader)

    def round(self, steps: int) -> float:
        """Images per second over some steps."""
        stock_allocator()
        return self._steps(steps)

    def round_with_our_allocator(self, steps: int) -> float:
        """The same with the allocator settings of our loop."""
        our_allocator()
        return self._steps(steps)

    def _steps(self, steps: int) -> float:
        self.network.train()
        begin = self.now()
        for _ in range(steps):
            images, labels = next(self.stream)
            loss = F.cross_entropy(self.network(images.contiguous(memory_format=self.format)), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            loss.item()
        return steps * BATCH / (self.now() - begin)


def ours(store: Store, architecture: Architecture, *, steps: int, now: Callable[[], float]) -> Callable[[], float]:
    """Images per second of one epoch of our loop over as many images as the naive loop's steps."""
    our_allocator()
    rows = np.arange(steps * BATCH) % store.n
    settings = TrainSettings(epochs=1000, batch_size=BATCH, device="cpu")
    network = architecture.build(seed=0)
    run = TrainingRun(
        network, store, train_rows=rows, groups=store.groups("sex"), settings=settings, architecture=architecture
    )
    run.modes = make_plan("auto", architecture, batch_size=BATCH).modes(architecture)
    print(f"  our modes: {', '.join(run.modes)}")

    def play() -> float:
        our_allocator()
        begin = now()
        run.train_epoch(len(run.history), None)
        return run.history[-1].images / (now() - begin)

    return play


def best_naive(
    store: Store, paths: list[Path], architecture: Architecture, *, steps: int, now: Callable[[], float]
) -> Naive:
    """The fastest setting, by one round each."""
    rates: dict[tuple[int, bool], float] = {}
    for workers in (0,) if now is time.process_time else (0, 1, 2):
        for last in (False, True):
            naive = Naive(store, paths, architecture, workers=workers, last=last, now=now)
            naive.round(1)
            rates[workers, last] = naive.round(steps)
            layout = "channels_last" if last else "NCHW"
            print(f"  naive, {workers} workers, {layout}: {rates[workers, last]:.1f} images/s")
    workers, last = max(rates, key=lambda setting: rates[setting])
    return Naive(store, paths, architecture, workers=workers, last=last, now=now)


def main() -> None:
    parser = arguments(__doc__ or "", rounds=3)
    parser.add_argument("--steps", type=int, default=4, help="steps per round")
    options = parser.parse_args()
    start(options.threads)
    ratios: list[float] = []
    now = clock(options.clock)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        store = make_store(folder, n=512, px=PX)
        paths = write_jpegs(store, folder)
        for kind in ("cb", "mb", "rb"):
            architecture = network_of(kind, px=PX)
            print(f"{kind.upper()}, {PX} px, batches of {BATCH}")
            naive = best_naive(store, paths, architecture, steps=options.steps, now=now)
            play = ours(store, architecture, steps=options.steps, now=now)
            contestants = {
                "naive, best setting": lambda naive=naive: naive.round(options.steps),
                "naive, our allocator": lambda naive=naive: naive.round_with_our_allocator(options.steps),
                "mindgap": play,
            }
            figures = take_turns(contestants, rounds=options.rounds)
            show(f"{kind.upper()} rounds", figures, unit="images/s")
            ratios.append(ratio(figures["mindgap"], figures["naive, best setting"]))
            same = ratio(figures["mindgap"], figures["naive, our allocator"])
            print(f"  ratio {ratios[-1]:.2f} ({same:.2f} over naive with our allocator)")
    total = math.exp(float(np.mean(np.log(ratios))))
    print(f"P1: {' / '.join(f'{value:.2f}' for value in ratios)}, geometric mean {total:.2f} (target {TARGET})")


if __name__ == "__main__":
    main()
