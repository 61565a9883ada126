"""What a candidate took: every pass of a network, whatever the mitigation, and none twice where a rung goes on."""

from __future__ import annotations

import pytest

from mindgap.core.errors import TrainingFailure
from mindgap.search.forecast import Forecast
from mindgap.search.ledger import Claim
from mindgap.search.slot import Attempt, Slot
from mindgap.search.trial import StoreCandidates
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation

TOKENS = (4, 0, 0, 0, 0, 2, 0)
EPOCH = 192  # 180 training images in batches of 32
RUNGS = {"epochs": 8, "rungs": "2,8", "promotion": {"factor": 2}}  # 2 epochs and a decay of 1; then 6 more


class Twice(AbstractMitigation):
    """Passes every image twice."""

    passes_per_image = 2.0


class Taught(Twice):
    """Has a teacher besides."""

    needs_teacher = True


class Fails(Twice):
    """Gives up in the third epoch."""

    def objective(self, losses, batch, features):
        if batch.epoch == 2:
            raise TrainingFailure("nothing is learnt")
        return losses.mean()


class FailsTaught(Fails):
    needs_teacher = True


KINDS = {"twice": Twice, "taught": Taught, "fails": Fails, "fails taught": FailsTaught}


class StoppedError(Exception):
    pass


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    for name, kind in KINDS.items():
        monkeypatch.setitem(MITIGATIONS._entries, name, kind)


@pytest.fixture
def candidates_of(store, plan_of, tmp_path):
    def candidates_of(mitigation, *, lr=0.01, **options):
        training = {"precision": "fp32", "batch_size": 32, "lr": lr}
        plan = plan_of(store, training=training, mitigation=mitigation, **options)
        return StoreCandidates(tmp_path / "run", plan)

    return candidates_of


def nothing(*_, **__):
    pass


def claim(rung=0, attempt=1, *, first=1):
    return Claim(row=0, slot=3, attempt=attempt, tokens=TOKENS, rung=rung, first=first)


def took(candidates, claim):
    """Epochs, and passes of the training images through a network."""
    record = candidates.train(claim, epoch_done=nothing, between=nothing).record
    candidates.settle(claim)
    return record["epochs"], record["image_passes"] / EPOCH


@pytest.mark.parametrize(("mitigation", "per_epoch"), [("erm", 1), ("twice", 2), ("taught", 3)])
def test_all_passes_of_a_mitigation_count(candidates_of, mitigation, per_epoch):
    assert took(candidates_of(mitigation), claim()) == (2, 2 * per_epoch)


@pytest.mark.parametrize(
    ("mitigation", "first", "second"),
    [("erm", 3, 6), ("twice", 6, 12), ("taught", 9, 24)],  # whose longer run has another teacher and begins anew
)
def test_a_rung_counts_what_it_trained_itself(candidates_of, mitigation, first, second):
    candidates = candidates_of(mitigation, **RUNGS)
    assert took(candidates, claim()) == (3, first)
    assert took(candidates, claim(1, 2, first=2)) == (8, second)


def test_a_rung_that_finds_no_stem_counts_all_that_it_trained(candidates_of):
    candidates = candidates_of("erm", **RUNGS)
    took(candidates, claim())
    (candidates.folder(claim()) / "stem.pt").unlink()
    assert took(candidates, claim(1, 2, first=2)) == (8, 8)


def test_a_rung_that_was_stopped_counts_every_epoch_once(candidates_of):
    candidates = candidates_of("twice", **RUNGS)
    took(candidates, claim())
    epochs = []

    def stop():
        if len(epochs) == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        candidates.train(claim(1, 2, first=2), epoch_done=epochs.append, between=stop)
    assert epochs == [3, 4]
    assert took(candidates, claim(1, 3, first=2)) == (8, 12)


def test_a_stem_of_the_rungs_own_stopped_attempt_is_its_own(candidates_of):
    """As after a worker that died between the stem and the checkpoint of the same epoch, its first."""
    candidates = candidates_of("erm", **RUNGS | {"epochs": 4, "rungs": "1,4"})  # 1 epoch and a decay of 1; then 3
    epochs = []

    def stop():
        if epochs:
            raise StoppedError

    with pytest.raises(StoppedError):
        candidates.train(claim(), epoch_done=epochs.append, between=stop)
    (candidates.folder(claim()) / "checkpoint.pt").unlink()
    assert (candidates.folder(claim()) / "stem.pt").exists()
    seen = []
    record = candidates.train(claim(attempt=2), epoch_done=seen.append, between=nothing).record
    assert seen == [2]
    assert record["image_passes"] == 2 * EPOCH
    candidates.settle(claim(attempt=2))
    assert took(candidates, claim(1, 3, first=3)) == (4, 3)


def test_a_teachers_epochs_are_told_of_as_such_and_one_that_was_stopped_goes_on(candidates_of):
    candidates, told = candidates_of("taught", epochs=3), []

    def epoch_done(epoch, *, of_teacher=False):
        told.append((epoch, of_teacher))
        if len(told) == 3:  # in the teacher's last epoch, which is not saved yet
            raise StoppedError

    with pytest.raises(StoppedError):
        candidates.train(claim(), epoch_done=epoch_done, between=nothing)
    record = candidates.train(claim(attempt=2), epoch_done=epoch_done, between=nothing).record
    teacher, own = [(1, True), (2, True), (3, True)], [(1, False), (2, False), (3, False)]
    assert told == [*teacher, (3, True), *own]
    assert record["image_passes"] == 9 * EPOCH


@pytest.mark.parametrize(("mitigation", "per_epoch", "of_teacher"), [("fails", 2, 0), ("fails taught", 2, 3)])
def test_a_candidate_that_fails_tells_all_that_it_took(candidates_of, mitigation, per_epoch, of_teacher):
    with pytest.raises(TrainingFailure) as failure:
        candidates_of(mitigation, epochs=3).train(claim(), epoch_done=nothing, between=nothing)
    spent = failure.value.spent
    assert (spent["epochs"], spent["image_passes"] / EPOCH) == (2, 2 * per_epoch + of_teacher)
    assert spent["seconds"] > 0


def test_a_teacher_that_fails_is_what_its_candidate_took(candidates_of):
    with pytest.raises(TrainingFailure) as failure:
        candidates_of("taught", lr=1e6, epochs=3).train(claim(), epoch_done=nothing, between=nothing)
    spent = failure.value.spent
    assert spent["image_passes"] == spent["epochs"] * EPOCH


def test_a_forecast_goes_by_epochs_however_many_passes_they_take(candidates_of):
    forecast = Forecast(candidates_of("taught").plan)

    def slot(passes):
        result = {"state": "complete", "reward": 0.1, "image_passes": passes, "seconds": 60.0}
        attempt = Attempt(
            number=0, slot=0, attempt=1, tokens=TOKENS, finished=True, lease=None, epoch=2, ending=None, detail="",
            result=result, seconds=60.0,
        )  # fmt: skip
        return Slot((attempt,))

    assert forecast.left_seconds([slot(2 * EPOCH)], new=1) == pytest.approx(60)
    assert forecast.left_seconds([slot(6 * EPOCH)], new=1) == pytest.approx(60)
