"""Adversarial mitigations in whole runs: the groups cannot be told afterwards, and nothing breaks where groups lack."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from mindgap.core.errors import TrainingFailure
from mindgap.core.groups import Groups
from mindgap.data.augment import AugmentSettings, normalize
from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.testing.tiny_store import SIZE_PX, write_tiny_store
from mindgap.train.domain_heads import DomainHeads, HeadOptions
from mindgap.train.loop import TrainSettings, train_network
from mindgap.train.loss import LOSSES
from mindgap.train.mitigation import Batch, TrainingFacts
from mindgap.train.precision import PartTiming, PrecisionPlan, network_parts

ADVERSARIES = ("advconf", "advrev")
ARCHITECTURE = Architecture(
    name="tiny",
    input_px=SIZE_PX,
    num_classes=2,
    stem=Stem(channels=8),
    blocks=(BlockSpec(type="cb", out_channels=8, stride=2, choices={"kernel": 3, "hidden_channels": 8}),),
    head=Head(width=16),
    dropout=0.1,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """1,000 images: red tells the class a little, green the group clearly; four in five of a class are of one group."""
    folder = write_tiny_store(tmp_path_factory.mktemp("store") / "visible", n=1000)
    generator = np.random.default_rng(0)
    labels = np.arange(1000) // 2 % 2
    groups = np.where(generator.random(1000) < 0.8, labels, 1 - labels)
    images = generator.integers(0, 120, (1000, SIZE_PX, SIZE_PX, 3)).astype(float)
    images[..., 0] += (15 * labels + generator.normal(0, 15, 1000))[:, None, None]
    images[..., 1] += 60 * groups[:, None, None]
    images.clip(0, 255).astype(np.uint8).tofile(folder / "images.bin")
    sex = np.array(["a", "b"], dtype=object)[groups]
    sex[::15] = None
    pd.read_parquet(folder / "table.parquet").assign(sex=sex).to_parquet(folder / "table.parquet")
    return Store.open(folder)


def run(store, *, mitigation, groups=None, rows=None, more_groups=(), folder=None, on_epoch=None, plan=None, **options):
    settings = {"epochs": 2, "batch_size": 64, "precision": "fp32", "lr": 0.003, "augment": AugmentSettings.none()}
    network = ARCHITECTURE.build(seed=1)
    result = train_network(
        network,
        store,
        train_rows=store.rows("train") if rows is None else rows,
        groups=store.groups("sex") if groups is None else groups,
        settings=TrainSettings(**settings | options, mitigation=mitigation),
        architecture=ARCHITECTURE,
        checkpoint_dir=folder,
        on_epoch=on_epoch,
        more_groups=more_groups,
        precision_plan=plan,
    )
    return network, result


def computed(network, store):
    """What a trained network, now fixed, computes of all images: features (N, F) and probabilities (N, C)."""
    images = normalize(store.image_tensor(), mean=ARCHITECTURE.mean, std=ARCHITECTURE.std, dtype=torch.float32)
    network.eval()
    with torch.no_grad():
        features = network.features(images)
        return features, network.classifier(features).softmax(dim=1)


def told(heads, inputs, store):
    """Share of the held-out rows whose group the heads tell rightly."""
    rows = np.concatenate([store.rows("validation"), store.rows("test")])
    groups = torch.from_numpy(store.groups("sex").ids[rows])
    guess = heads.logits(inputs[rows])[0].argmax(dim=1)
    return float((guess == groups)[groups >= 0].float().mean())


def told_by_another(inputs, store):
    """The same of a head trained alone, from other first weights, on what a fixed network computes."""
    groups, rows = store.groups("sex"), store.rows("train")
    facts = TrainingFacts(groups.names, groups.counts(), 2, loss=LOSSES.get("ce")(), seed=7)
    heads = DomainHeads(facts, HeadOptions(head_lr=0.01, head_steps=100))
    of = torch.from_numpy(groups.ids[rows])
    heads.train(inputs[rows], Batch(of, of, of, of, of, step=0, epoch=0))
    return told(heads, inputs, store)


@pytest.fixture(scope="module")
def plain(store):
    """Features and probabilities after plain training."""
    return computed(run(store, mitigation="erm", epochs=15)[0], store)


def test_after_plain_training_a_head_trained_alone_tells_the_groups(store, plain):
    features, probabilities = plain
    assert told_by_another(features, store) > 0.95
    assert told_by_another(probabilities, store) > 0.75


def test_after_uniform_confusion_neither_its_head_nor_another_tells_the_groups(store):
    network, result = run(store, mitigation="advconf", epochs=15)
    features, _ = computed(network, store)
    assert told(result.mitigation.heads, features, store) < 0.65
    assert told_by_another(features, store) < 0.65


def test_with_alpha_0_the_head_of_uniform_confusion_tells_the_groups(store):
    network, result = run(store, mitigation="advconf", epochs=15, mitigation_options={"alpha": 0})
    assert told(result.mitigation.heads, computed(network, store)[0], store) > 0.95


def test_after_the_projected_adversary_neither_it_nor_another_tells_the_groups(store):
    network, result = run(store, mitigation="advrev", epochs=15)
    _, probabilities = computed(network, store)
    assert told(result.mitigation.heads, probabilities, store) < 0.6
    assert told_by_another(probabilities, store) < 0.6


def test_with_the_label_the_projected_adversary_narrows_the_gap_within_a_class_and_still_tells_them(store, plain):
    def gap(probabilities):
        """Mean over classes of the difference between groups in mean probability."""
        labels, groups = torch.from_numpy(store.labels), torch.from_numpy(store.groups("sex").ids)
        cells = [[probabilities[(labels == k) & (groups == g), 1].mean() for g in (0, 1)] for k in (0, 1)]
        return float(np.mean([abs(float(one - other)) for one, other in cells]))

    options = {"sees": "prediction_and_label"}
    _, probabilities = computed(run(store, mitigation="advrev", epochs=15, mitigation_options=options)[0], store)
    assert gap(probabilities) < 0.4 * gap(plain[1])
    labels = torch.from_numpy(store.labels)
    assert float((probabilities.argmax(dim=1) == labels).float().mean()) > 0.63


@pytest.mark.parametrize("name", ADVERSARIES)
def test_a_resumed_run_equals_an_undisturbed_one_heads_included(store, tmp_path, name):
    class StoppedError(Exception):
        pass

    def stop(record, _):
        if record.epoch > 2:
            raise StoppedError

    straight, whole = run(store, mitigation=name, epochs=4, folder=tmp_path / "straight")
    with pytest.raises(StoppedError):
        run(store, mitigation=name, epochs=4, folder=tmp_path / "stopped", on_epoch=stop)
    resumed, rest = run(store, mitigation=name, epochs=4, folder=tmp_path / "stopped")
    assert all(map(torch.equal, straight.state_dict().values(), resumed.state_dict().values()))
    torch.testing.assert_close(rest.mitigation.state_dict(), whole.mitigation.state_dict(), rtol=0, atol=0)
    assert whole.mitigation.state_dict()["heads"]
    _, found = run(store, mitigation=name, epochs=4, folder=tmp_path / "straight")  # which trains nothing any more
    (figure,) = found.mitigation.own_figures()
    assert (figure,) == whole.mitigation.own_figures() == rest.mitigation.own_figures()
    known = store.groups("sex").take(store.rows("train")).counts().sum()
    assert figure.of == "sex"
    assert abs(figure.n - known) <= 64
    assert 0.4 < figure.chance < 0.6


def groups_like(ids, *, count):
    return Groups("age", tuple(f"g{number}" for number in range(count)), np.asarray(ids, dtype=np.int64))


@pytest.mark.parametrize("name", ADVERSARIES)
@pytest.mark.parametrize("case", ["forty", "one sample", "one group", "unknown"])
def test_groups_that_lack_leave_a_run_whole(store, name, case):
    count = store.info.n
    ids = {
        "forty": np.arange(count) % 40,
        "one sample": np.where(np.arange(count) == store.rows("train")[0], 1, 0),
        "one group": np.zeros(count),
        "unknown": np.full(count, -1),
    }[case]
    groups = groups_like(ids, count=40 if case == "forty" else 2)
    _, result = run(store, mitigation=name, groups=groups, rows=store.rows("train")[:128], epochs=1)
    assert math.isfinite(result.history[0].objective)


def test_where_no_group_is_known_the_projected_adversary_is_plain_training(store):
    unknown = groups_like(np.full(store.info.n, -1), count=2)
    plain, other = (run(store, mitigation=name, groups=unknown)[0] for name in ("erm", "advrev"))
    for one, same in zip(plain.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, same)


@pytest.mark.parametrize("name", ADVERSARIES)
def test_every_attribute_has_a_head(store, name):
    more = groups_like(np.arange(store.info.n) % 3, count=3)
    _, result = run(store, mitigation=name, more_groups=(more,), epochs=1)
    outputs = [len(bias) for key, bias in result.mitigation.state_dict()["heads"].items() if key.endswith("2.bias")]
    assert outputs == [2, 3]


@pytest.mark.parametrize(
    ("name", "options"),
    [("advconf", {}), ("advrev", {}), ("advrev", {"sees": "prediction_and_label"}), ("advrev", {"sees": "features"})],
)
@pytest.mark.parametrize("precision", ["fp32", "bf16", "auto"])
def test_multi_label_data_and_every_precision(tmp_path_factory, name, options, precision):
    folder = tmp_path_factory.mktemp("store") / "labels"
    store = Store.open(write_tiny_store(folder, n=160, multi_label=True))
    _, result = run(store, mitigation=name, mitigation_options=options, precision=precision, batch_size=32)
    assert result.history[-1].loss < 2 * math.log(2)


@pytest.mark.parametrize("name", ADVERSARIES)
def test_fused_and_mended_parts_give_what_plain_ones_give(store, name):
    """The projected adversary goes backward twice through the fused batch norms."""
    timings = [PartTiming(part=part, milliseconds={"fp32-mended-fused": 1.0}) for part in network_parts(ARCHITECTURE)]
    rows = store.rows("train")[:128]
    plain, _ = run(store, mitigation=name, rows=rows, epochs=1)
    fused, result = run(store, mitigation=name, rows=rows, epochs=1, plan=PrecisionPlan(timings=tuple(timings)))
    assert set(result.modes) == {"fp32-mended-fused"}
    for one, other in zip(plain.parameters(), fused.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("name", ADVERSARIES)
def test_a_learning_rate_so_high_that_it_diverges_is_a_failure(store, name):
    with pytest.raises(TrainingFailure, match="lower the learning rate"):
        run(store, mitigation=name, lr=1e6, schedule="paper", epochs=3)
