"""P7: predicting is at least 3.5 times as fast as eager float32, and under 0.5 % of images are predicted otherwise.

    python benchmarks/inference.py [RUN...] [--rounds 5] [--images 512] [--px 64]

From the pixels of a store to probabilities, as after every epoch of training. The other side is the network as it is,
in float32, with the faster of two memory formats and two batch sizes, and our settings of the allocator. Ours is what
``predict`` and validation call, the making of the copy included. Then the same with single images, where
onnxruntime in 8-bit integers takes part. Networks are those of finished runs on images of their validation split; how
many are predicted otherwise is known for these alone. Without a run they are six blocks of one kind, random weights.
"""

from __future__ import annotations

import functools
import math
import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from made_store import make_store, network_of
from rounds import arguments, clock, geometric_mean, our_allocator, ratio, show, start, take_turns

from mindgap.data.augment import normalize
from mindgap.data.classifier_facts import ClassifierFacts
from mindgap.data.image_store import Store
from mindgap.export.agreement import agreement
from mindgap.export.exporter import export_checked
from mindgap.export.exporters.onnx import OnnxExporter
from mindgap.export.image_classifier import ImageClassifier
from mindgap.export.int8 import calibration_batches
from mindgap.export.onnx_model import OnnxModel
from mindgap.space.architecture import Architecture
from mindgap.space.network import Network
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.inference import inference_modes
from mindgap.train.memory import channels_last
from mindgap.train.precision import Precision
from mindgap.train.trained_model import read_trained_model

TARGET, MOST_FLIPS = 3.5, 0.005
EAGER, OURS, FP32 = "eager float32", "ours, auto", "ours, fp32"
ONNX, INT8 = "onnxruntime float32", "onnxruntime int8"
SINGLE = ", one image"
SINGLES = 32
Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Case:
    """A network and the images it is timed on."""

    title: str
    architecture: Architecture
    network: Network
    store: Store
    rows: np.ndarray
    trained: bool


def case_of_run(path: str, *, images: int) -> Case:
    model = read_trained_model(path)
    store = model.open_store()
    return Case(path, model.architecture, model.network, store, store.rows("validation")[:images], trained=True)


def cases_of_blocks(folder: Path, *, px: int, images: int) -> list[Case]:
    store, cases = make_store(folder, n=images, px=px), []
    for kind in ("cb", "mb", "rb"):
        architecture = network_of(kind, px=px)
        cases.append(Case(kind, architecture, architecture.build().eval(), store, store.rows("train"), trained=False))
    return cases


def eager(case: Case, *, last: bool, batch_size: int) -> Predict:
    """The network as it is, in float32."""
    architecture, images = case.architecture, case.store.image_tensor()
    network = architecture.build().eval()
    network.load_state_dict(case.network.state_dict())
    if last:
        channels_last(network)

    def predict(rows: np.ndarray) -> np.ndarray:
        parts = []
        with torch.inference_mode():
            for chunk in torch.from_numpy(rows).split(batch_size):
                batch = normalize(images.index_select(0, chunk), mean=architecture.mean, std=architecture.std)
                parts.append(network(batch if last else batch.contiguous()).softmax(dim=1))
        return torch.cat(parts).double().numpy()

    return predict


def fastest_eager(case: Case, *, now: Callable[[], float]) -> Predict:
    """The eager network in the best of its settings, by two rounds."""
    settings = {
        f"{'channels_last' if last else 'NCHW'}, batches of {size}": eager(case, last=last, batch_size=size)
        for last in (False, True)
        for size in (64, 256)
    }
    figures = take_turns({name: at_once(predict, case, now) for name, predict in settings.items()}, rounds=2)
    show("  settings of eager float32", figures, unit="ms")
    best = min(figures, key=lambda name: statistics.median(figures[name]))
    print(f"  best: {best}")
    return settings[best]


def ours(case: Case, *, precision: Precision) -> Predict:
    """What ``predict`` and validation call."""
    modes, images = inference_modes(case.architecture, precision=precision), case.store.image_tensor()
    print(f"  {precision}: {modes[0]}")
    return lambda rows: predict_probabilities(
        case.network, images, rows, architecture=case.architecture, task=case.store.task, modes=modes
    )


def onnx_files(case: Case, folder: Path) -> dict[str, Predict]:
    """The exported network in float32 and in 8-bit integers."""
    store, exporter = case.store, OnnxExporter()
    facts = ClassifierFacts(
        architecture=case.architecture.name,
        classes=store.classes,
        task=store.task,
        input_px=store.size_px,
        resize=store.info.resize,
        mean=case.architecture.mean,
        std=case.architecture.std,
    )
    wide, narrow = folder / "float32.onnx", folder / "int8.onnx"
    classifier = ImageClassifier(case.network, facts)
    found, _ = export_checked(exporter, classifier, wide, facts=facts, images=store.images[case.rows[:64]])
    print("  exported:", found)
    exporter.quantize(wide, narrow, calibration_batches(store), facts=facts)
    return {
        name: functools.partial(OnnxModel(file).probabilities, store.images)
        for name, file in ((ONNX, wide), (INT8, narrow))
    }


def at_once(predict: Predict, case: Case, now: Callable[[], float]) -> Callable[[], float]:
    """One round over all images: milliseconds of one."""

    def play() -> float:
        begin = now()
        predict(case.rows)
        return 1000 * (now() - begin) / len(case.rows)

    return play


def one_by_one(predict: Predict, case: Case, now: Callable[[], float]) -> Callable[[], float]:
    """One round over some images, each by itself: milliseconds of one."""
    rows = case.rows[:SINGLES].reshape(-1, 1)

    def play() -> float:
        begin = now()
        for row in rows:
            predict(row)
        return 1000 * (now() - begin) / len(rows)

    return play


def play_case(case: Case, *, rounds: int, now: Callable[[], float]) -> dict[str, float]:
    """Times one network; the figures that the target speaks of."""
    print(f"{case.title}: {case.architecture.name}, {case.store.size_px} px, {len(case.rows)} images")
    base = fastest_eager(case, now=now)
    fast = {OURS: ours(case, precision="auto"), FP32: ours(case, precision="fp32")}
    with tempfile.TemporaryDirectory() as place:
        files = onnx_files(case, Path(place))
        plays = {name: at_once(predict, case, now) for name, predict in ({EAGER: base} | fast | files).items()}
        alone = {EAGER: eager(case, last=True, batch_size=1)} | files
        plays |= {name + SINGLE: one_by_one(predict, case, now) for name, predict in alone.items()}
        figures = take_turns(plays, rounds=rounds)
        show("  rounds, one image", figures, unit="ms")
        ratios = {name: ratio(figures[EAGER + SINGLE * name.endswith(SINGLE)], figures[name]) for name in figures}
        for name, value in ratios.items():
            print(f"  {value:.2f}× {name}")
        flips = math.nan
        if case.trained:
            expected = base(case.rows)
            for name, predict in (fast | files).items():
                found = agreement(expected, predict(case.rows), task=case.store.task)
                flips = found.flipped if name == OURS else flips
                print(f"  against eager float32: {name}: {found}")
    return {"ours": ratios[OURS], "int8": ratios[INT8 + SINGLE], "flips": flips}


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("runs", nargs="*", help="finished runs; without any, blocks with random weights")
    parser.add_argument("--images", type=int, default=512, help="images per round")
    parser.add_argument("--px", type=int, default=64, help="side of the images of random blocks")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # onnxruntime's, too
    start(options.threads)
    our_allocator()
    now = clock(options.clock)
    with tempfile.TemporaryDirectory() as place:
        cases = [case_of_run(path, images=options.images) for path in options.runs]
        cases = cases or cases_of_blocks(Path(place), px=options.px, images=options.images)
        played = [play_case(case, rounds=options.rounds, now=now) for case in cases]
    ours_mean, int8_mean = (geometric_mean(figures[name] for figures in played) for name in ("ours", "int8"))
    flips = [figures["flips"] for figures in played if not math.isnan(figures["flips"])]
    found = f"at most {max(flips):.2%}" if flips else "not measured: give a RUN"
    print(f"P7: validation {ours_mean:.2f} times eager float32 (target {TARGET})")
    print(f"P7: predicted otherwise {found} (target under {MOST_FLIPS:.1%})")
    print(f"P7: onnxruntime int8 of one image {int8_mean:.2f} times eager float32 of one image")


if __name__ == "__main__":
    main()
