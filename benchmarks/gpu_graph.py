"""Our training loop with a step's forward and backward pass in one CUDA graph: small networks wait for launches."""

from __future__ import annotations

import torch
from torch import Tensor

from mindgap.train.schedule import set_lr
from mindgap.train.training_run import TrainingRun

_WARM_UP = 3


class GraphedRun(TrainingRun):
    """As the loop, for mitigations that change neither loss nor network; augmentation and optimiser stay outside."""

    graph: torch.cuda.CUDAGraph | None = None

    def _step(self, positions: Tensor, rows: Tensor, draws: Tensor, *, epoch: int, step: int) -> Tensor:  # noqa: ARG002
        set_lr(self.optimizer, self.lr * self.schedule.rate(step, self.length))
        images, labels = self.batch_images(rows, draws), self.labels[positions]
        if self.graph is None:
            self._capture(images, labels)
        assert self.graph is not None
        self._images.copy_(images)
        self._labels.copy_(labels)
        self.graph.replay()
        self.optimizer.step()
        return self._figures.clone()

    def _capture(self, images: Tensor, labels: Tensor) -> None:
        self._images, self._labels = images.clone(), labels.clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # cuDNN chooses its kernels before they are recorded
            for _ in range(_WARM_UP):
                self._figures = self._passes()
        torch.cuda.current_stream().wait_stream(side)
        self.optimizer.zero_grad(set_to_none=True)  # so that the graph's own backward makes the gradients' memory
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self._figures = self._passes()

    def _passes(self) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.network(self._images).float()
        loss = self.loss(logits, self._labels).mean()
        loss.backward()
        right = (logits.argmax(dim=1) == self._labels).float().mean()
        return torch.stack([loss.detach(), loss.detach(), right])
