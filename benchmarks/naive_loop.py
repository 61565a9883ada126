"""The usual training loop, written well: what ``training_vs_naive.py`` compares with."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from made_store import BATCH, Slices
from PIL import Image
from rounds import our_allocator, stock_allocator
from torch.utils.data import DataLoader, Dataset

from mindgap.data.augment import AugmentSettings
from mindgap.space.architecture import Architecture

_ORIENTATIONS = (None, *Image.Transpose)  # a right angle and two flips make each of these eight equally often


class JpegImages(Dataset):
    """One image per item: decoded, moved by Pillow, coloured and normalised by numpy in one pass.

    The changes are of ``mindgap.data.augment``'s kinds and strengths. Only the outside of the image differs, which
    Pillow leaves black where ours mirrors the image. Draws come from ``random``, which DataLoader seeds in each worker.
    """

    def __init__(self, paths: list[Path], labels: np.ndarray, architecture: Architecture, *, last: bool) -> None:
        self.paths, self.labels, self.last = [str(path) for path in paths], labels.tolist(), last
        self.chosen = AugmentSettings()
        self.mean, self.std = (np.array(value, dtype=np.float32) for value in (architecture.mean, architecture.std))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        pixels = np.asarray(self._moved(Image.open(self.paths[row])))
        side = pixels.shape[0]
        gain, offset = self._colour()
        # Whole rows at a time: numpy is five times slower at an innermost axis of three channels.
        values = pixels.reshape(side, side * 3).astype(np.float32)
        values *= np.tile(gain, side)
        values += np.tile(offset, side)
        image = torch.from_numpy(values).view(side, side, 3)
        return image if self.last else image.permute(2, 0, 1).contiguous(), self.labels[row]

    def _moved(self, image: Image.Image) -> Image.Image:
        chosen, side = self.chosen, image.width
        if (orientation := random.choice(_ORIENTATIONS)) is not None:
            image = image.transpose(orientation)
        seen = side * (1 + chosen.scale) ** -random.uniform(-1, 1)
        left, top = ((side - seen) / 2 + side * chosen.shift * random.uniform(-1, 1) for _ in range(2))
        box = (left, top, left + seen, top + seen)
        return image.transform((side, side), Image.Transform.EXTENT, box, Image.Resampling.NEAREST)

    def _colour(self) -> tuple[np.ndarray, np.ndarray]:
        """Gain and offset of each channel, normalisation included."""
        chosen = self.chosen
        casts = np.array([1 + chosen.colour * random.uniform(-1, 1) for _ in range(3)], dtype=np.float32)
        factor = (1 + chosen.contrast * random.uniform(-1, 1)) * casts
        offset = (chosen.brightness * random.uniform(-1, 1) - self.mean * factor) / self.std
        return factor / (255 * self.std), offset.astype(np.float32)


class NextBatches:
    """A batch sampler that goes on with the next batches at every pass."""

    def __init__(self, slices: Slices) -> None:
        self.slices, self.number = slices, 0

    def __len__(self) -> int:
        return self.slices.steps_per_epoch

    def __iter__(self) -> Iterator[list[int]]:
        self.number += 1
        return iter(self.slices.epoch(self.number - 1).tolist())


class NaiveLoop:
    """DataLoader, float32, a fused AdamW, gradients set to None, the loss read every step."""

    def __init__(
        self,
        data: JpegImages,
        slices: Slices,
        architecture: Architecture,
        *,
        workers: int,
        now: Callable[[], float],
        device: torch.device | str = "cpu",
    ) -> None:
        self.now, self.last, self.device = now, data.last, torch.device(device)
        self.format = torch.channels_last if self.last else torch.contiguous_format
        self.network = architecture.build(seed=0).to(self.device, memory_format=self.format).train()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3, fused=True)
        self.loader = DataLoader(
            data,
            batch_sampler=NextBatches(slices),
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self.device.type == "cuda",
        )

    def round(self) -> float:
        """Images per second over one slice of batches, with the system's allocator settings."""
        stock_allocator()
        return self._rate()

    def round_with_our_allocator(self) -> float:
        """The same with the allocator settings of our loop."""
        our_allocator()
        return self._rate()

    def _rate(self) -> float:
        # The workers wait with nothing prefetched: the pass over the last slice of batches ended with its last batch.
        begin, steps = self.now(), 0
        for batch in self.loader:
            images, labels = (tensor.to(self.device, non_blocking=True) for tensor in batch)
            self._step(images.permute(0, 3, 1, 2) if self.last else images, labels)
            steps += 1
        return steps * BATCH / (self.now() - begin)

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        loss = F.cross_entropy(self.network(images), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.item()
