"""P5: share of the processor's bf16 convolution peak that training steps reach, with and without fused batch norms.

    python benchmarks/fused_norm.py [--rounds 5] [--px 128] [--threads 1] [--clock wall|cpu]

A step is forward, backward and AdamW on a fixed batch of 64 images of 128 px; its operations are those of convolutions
and classifier. The peak is the fastest of some 3×3 convolutions of many channels, run in turn with the steps in every
round. Target: 17 % for CB and RB. Then every batch norm with its activation is timed by itself, forward and backward,
against PyTorch's two operators, over the maps that the networks have.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from conv_peak import best_convolution, step_operations
from made_store import BATCH, network_of
from rounds import arguments, clock, geometric_mean, our_allocator, ratio, show, start, take_turns
from torch import nn

from mindgap.train.fused_kernels import compiled_operations
from mindgap.train.fused_norm import fused_norm
from mindgap.train.memory import channels_last
from mindgap.train.modes import Mode, in_modes, is_narrow
from mindgap.train.precision import network_parts

TARGET = 0.17
PEAK = "convolution peak"
MODES: tuple[Mode, ...] = ("fp32", "fp32-fused", "bf16-mended", "bf16-mended-fused")
MAPS = ((16, 64), (24, 32), (48, 16), (96, 64), (96, 32), (96, 8))  # channels and side


def stepper(kind: str, mode: Mode, *, px: int, now: Callable[[], float]) -> Callable[[], float]:
    """Operations per second of a training step in a mode."""
    architecture = network_of(kind, px=px)
    network = channels_last(architecture.build()).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    images = torch.randn(BATCH, 3, px, px).contiguous(memory_format=torch.channels_last)
    images = images.to(torch.bfloat16 if is_narrow(mode) else torch.float32)
    labels = torch.arange(BATCH) % architecture.num_classes
    operations = BATCH * step_operations(architecture)
    modes = (mode,) * len(network_parts(architecture))

    def play() -> float:
        begin = now()
        with in_modes(network, modes):
            loss = nn.functional.cross_entropy(network(images).float(), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return operations / (now() - begin)

    return play


def shares(kind: str, *, px: int, rounds: int, now: Callable[[], float]) -> float:
    """Prints what each mode reaches of the peak; returns the share of bf16 with fused batch norms."""
    players: dict[str, Callable[[], float]] = {mode: stepper(kind, mode, px=px, now=now) for mode in MODES}
    players[PEAK] = best_convolution(torch.device("cpu"), now=now)
    rates = take_turns(players, rounds=rounds)
    billions = {name: [value / 1e9 for value in values] for name, values in rates.items()}
    show(f"{kind.upper()}, {px} px, batches of {BATCH}", billions, unit="GFLOP/s")
    reached = {mode: ratio(rates[mode], rates[PEAK]) for mode in MODES}
    print("  share of the peak:", ", ".join(f"{mode} {share:.1%}" for mode, share in reached.items()))
    print(f"  fused over stock: bf16 {ratio(rates[MODES[3]], rates[MODES[2]]):.2f}×, fp32 ", end="")
    print(f"{ratio(rates[MODES[1]], rates[MODES[0]]):.2f}×")
    return reached["bf16-mended-fused"]


def operator_gain(channels: int, px: int, dtype: torch.dtype, *, rounds: int, now: Callable[[], float]) -> float:
    """PyTorch's time over ours for one batch norm with ReLU, forward and backward."""
    norm, act = nn.BatchNorm2d(channels).train(), nn.ReLU(inplace=True)
    images = torch.randn(BATCH, channels, px, px).contiguous(memory_format=torch.channels_last).to(dtype)
    gradient = torch.randn_like(images)
    images.requires_grad_()

    def timed(forward: Callable[[], torch.Tensor | None]) -> float:
        begin = now()
        output = forward()
        assert output is not None
        torch.autograd.grad(output, (images, norm.weight, norm.bias), gradient)
        return 1000 * (now() - begin)

    players = {
        "stock": lambda: timed(lambda: act(norm(images))),
        "fused": lambda: timed(lambda: fused_norm(norm, images, act="relu")),
    }
    figures = take_turns(players, rounds=rounds)
    show(f"{channels} channels, {px} px, {dtype}", figures, unit="ms")
    return ratio(figures["stock"], figures["fused"])


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--px", type=int, default=128, help="side of the images")
    options = parser.parse_args()
    start(options.threads)
    if compiled_operations() is None:
        raise SystemExit("no fused kernels here: install g++ or clang++")
    our_allocator()
    now = clock(options.clock)
    gains = {
        dtype: [operator_gain(channels, px, dtype, rounds=options.rounds, now=now) for channels, px in MAPS]
        for dtype in (torch.bfloat16, torch.float32)
    }
    for dtype, values in gains.items():
        mean = geometric_mean(values)
        print(f"batch norm + ReLU, {dtype}: {min(values):.2f} to {max(values):.2f}×, geometric mean {mean:.2f}×")
    found = {kind: shares(kind, px=options.px, rounds=options.rounds, now=now) for kind in ("cb", "rb", "mb")}
    wanted = statistics.fmean(found[kind] for kind in ("cb", "rb"))
    print("P5:", ", ".join(f"{kind.upper()} {share:.1%}" for kind, share in found.items()), end="")
    print(f"; CB and RB {wanted:.1%} (target {TARGET:.0%})")


if __name__ == "__main__":
    main()
