"""What is timed before slot 0 and then never again, so that no candidate depends on the machine's load.

A search keeps what was timed in its ledger. Searches with the same question on the same machine also share it through a
cache file, so that the same seed finds the same candidates in all of them.
"""

from __future__ import annotations

from mindgap.core.seed import numpy_generator
from mindgap.search.cost_model import CostModel, fit
from mindgap.space.architecture import Architecture
from mindgap.space.latency_measurement import measure_latency_table
from mindgap.space.latency_table import BlockLatencyTable
from mindgap.space.search_space import SearchSpace
from mindgap.train.precision import PrecisionPlan, make_plan, plan_for_architectures, question_of_modes
from mindgap.train.remembered import one_thread, remembered
from mindgap.train.settings import TrainSettings

SAMPLE = 48


def precision_plan(space: SearchSpace, training: TrainSettings) -> PrecisionPlan:
    """How each part of a candidate is computed: timed on a sample of the space, or as the settings fix it."""
    sample = sample_architectures(space)
    if training.precision != "auto" or training.device != "cpu":
        # Of a GPU nothing is timed, so the driver's machine need not have one.
        return make_plan(training.precision, sample[0], batch_size=training.batch_size, device=training.device)
    question = "\n".join(
        [*question_of_modes(training.batch_size), *(architecture.to_json() for architecture in sample)]
    )
    with one_thread():
        return remembered(
            "precision",
            question,
            PrecisionPlan,
            measure=lambda: plan_for_architectures(sample, batch_size=training.batch_size),
        )


def cost_model(
    space: SearchSpace, training: TrainSettings, plan: PrecisionPlan, *, rows: int, timed: bool
) -> CostModel:
    """What predicts how long candidates train, from the parts that the precision plan timed.

    Args:
        space: what is searched.
        training: how candidates are trained.
        plan: their precision.
        rows: training images.
        timed: also times parts if the plan holds no timings of a processor; else the weights are typical ones.
    """
    images = -(-rows // training.batch_size) * training.batch_size
    timings = plan
    if timed and not plan.timings and training.device == "cpu":
        timings = precision_plan(space, training.model_copy(update={"precision": "auto"}))
    return fit(plan, timings, images_per_epoch=images)


def latency_table(space: SearchSpace) -> BlockLatencyTable:
    """Milliseconds of every part of the space for one image."""
    fixed = "" if space.fixed_network is None else space.fixed_network.to_json()
    question = f"{space.describe()}\n{space.input_px}\n{space.num_classes}\n{fixed}"
    with one_thread():
        return remembered("latency", question, BlockLatencyTable, measure=lambda: measure_latency_table(space))


def sample_architectures(space: SearchSpace) -> list[Architecture]:
    """Architectures drawn at random from a space, the same ones every time."""
    sample = []
    for number in range(SAMPLE):
        generator, episode = numpy_generator("sample", number), space.start()
        while episode.decision is not None:
            valid = episode.mask().nonzero()[0]
            episode.choose(int(generator.choice(valid)))
        sample.append(episode.candidate().architecture)
    return sample
