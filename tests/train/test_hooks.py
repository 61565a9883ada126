"""What the loop gives a mitigation: a teacher, several attributes, images that may steer, and its own way forward."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from mindgap.core.errors import ConfigError
from mindgap.train.loop import TrainSettings, train_network
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, refuse_several_attributes
from mindgap.workflows.train import train

SETTINGS = {"epochs": 2, "batch_size": 32, "precision": "fp32", "lr": 0.01}


@pytest.fixture
def pupil(monkeypatch):
    class Pupil(AbstractMitigation):
        """Keeps what it is given."""

        needs_teacher: ClassVar[bool] = True
        several_attributes: ClassVar[bool] = True
        passes_per_image: ClassVar[float] = 2.0
        seen: ClassVar[dict[str, object]] = {}

        def take_teacher(self, teacher):
            self.seen["teacher"] = teacher

        def forward(self, network, images, groups):
            self.seen["groups"] = groups
            features, logits = super().forward(network, images, groups)
            return features, logits + 1.0

        def objective(self, losses, batch, features):
            self.seen["batch"] = batch
            return losses.mean()

        def finish(self, network, data):
            self.seen["data"] = data

    MITIGATIONS.discover()
    monkeypatch.setitem(MITIGATIONS._entries, "pupil", Pupil)
    return Pupil


def run(store, architecture, *, mitigation="pupil", folder=None, **options):
    network = architecture.build(seed=1)
    result = train_network(
        network,
        store,
        train_rows=store.rows("train"),
        groups=store.groups("sex"),
        settings=TrainSettings(**SETTINGS, mitigation=mitigation),
        architecture=architecture,
        checkpoint_dir=folder,
        **options,
    )
    return network, result


def weights(network):
    return torch.cat([tensor.flatten().double() for tensor in network.state_dict().values()])


def test_the_teacher_is_plain_training_of_the_same_run_and_is_frozen(store, architecture, pupil):
    plain, alone = run(store, architecture, mitigation="erm")
    _, result = run(store, architecture)
    teacher = pupil.seen["teacher"]
    assert torch.equal(weights(teacher), weights(plain))
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert result.image_passes == 3 * alone.image_passes, "one of the teacher's, two per image of the pupil's"


def test_a_run_that_goes_on_does_not_train_its_teacher_again(store, architecture, pupil, tmp_path, monkeypatch):
    straight, _ = run(store, architecture)
    first = []

    def stop(record, _):
        first.append(record.epoch)
        if len(first) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(store, architecture, folder=tmp_path, on_epoch=stop)
    kept = (tmp_path / "teacher" / "checkpoint.pt").stat().st_mtime_ns
    resumed, _ = run(store, architecture, folder=tmp_path)
    assert (tmp_path / "teacher" / "checkpoint.pt").stat().st_mtime_ns == kept
    assert torch.equal(weights(resumed), weights(straight))


def test_wrong_options_are_refused_before_a_teacher_is_trained(store, architecture, tmp_path):
    settings = TrainSettings(**SETTINGS, mitigation="mfd", mitigation_options={"strenght": 1.0})
    with pytest.raises(ConfigError, match="strenght"):
        train_network(
            architecture.build(seed=1), store, train_rows=store.rows("train"), groups=store.groups("sex"),
            settings=settings, architecture=architecture, checkpoint_dir=tmp_path / "run",
        )  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_forward_and_objective_see_the_groups_of_every_attribute(store, architecture, pupil):
    run(store, architecture, more_groups=(store.groups("sex"),))
    batch = pupil.seen["batch"]
    assert torch.equal(batch.groups, pupil.seen["groups"])
    assert len(batch.more_groups) == 1
    assert torch.equal(batch.more_groups[0], batch.groups)


def test_images_that_may_steer_are_the_validation_split_unless_they_are_held_out(store, architecture, pupil):
    run(store, architecture)
    data = pupil.seen["data"]
    assert data.validation.rows.tolist() == store.rows("validation").tolist()
    assert data.validation.labels.tolist() == store.labels[store.rows("validation")].tolist()
    assert data.train.rows.tolist() == store.rows("train").tolist()
    run(store, architecture, may_look=False)
    assert pupil.seen["data"].validation is None


def test_several_attributes_are_for_mitigations_that_take_them(store, architecture, tmp_path, pupil):
    with pytest.raises(ConfigError, match=r"'maxgroup' treats one attribute, got sex,age; .*sex\*age.*or take .*pupil"):
        refuse_several_attributes("maxgroup", ("sex", "age"))
    refuse_several_attributes("maxgroup", ("sex",))
    refuse_several_attributes("pupil", ("sex", "age"))
    with pytest.raises(ConfigError, match="treats one attribute"):
        train(store, network="mobilenet_v2", out=tmp_path / "run", attribute="sex, sex", mitigation="maxgroup")
    assert not (tmp_path / "run").exists()
