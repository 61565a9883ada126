"""What one budget of image passes makes in the experiment on fronts: runs of a rival, or a search with its parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from half_width import half_width
from numpy.typing import NDArray

from mindgap.api import prune, search, train, tune
from mindgap.core.errors import TrainingFailure
from mindgap.core.files import write_text
from mindgap.core.seed import numpy_generator
from mindgap.data.image_store import Store
from mindgap.search.chosen import kept_probabilities
from mindgap.search.ledger import Ledger
from mindgap.search.ledger_place import ledger_url
from mindgap.search.method_plan import LR_ABOVE, LR_BELOW
from mindgap.search.plan import read_plan
from mindgap.space.architecture import ARCHITECTURE_FILE, WEIGHTS_FILE, read_architecture
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.mitigation import MITIGATIONS
from mindgap.train.modes import Mode
from mindgap.train.schedule import SCHEDULES
from mindgap.train.tuning_range import Range

RIVALS = ("erm", "resample", "reweight", "groupdro", "maxgroup", "domainindep")
EVERYTHING = "everything"
FIRST = "erm"
FEW: dict[str, Any] = {"bootstrap": 0, "permutations": 0}


@dataclass(frozen=True)
class Budget:
    """What an arm may spend; the numbers of the docstring unless a test makes them smaller.

    Attributes:
        runs: trainings of a rival.
        epochs: of each.
        trials: candidates of a search, all compared with each other.
        rungs: epochs at which they are judged. A candidate that is stopped at the first has cost an epoch more, which
            the copy that was judged decays for; so ten of them and three to the end are 48 epochs.
    """

    runs: int = 6
    epochs: int = 8
    trials: int = 10
    rungs: str = "2,8"


@dataclass(frozen=True)
class Candidate:
    """A trained network of an arm.

    Attributes:
        folder: of its files.
        modes: of its layers, as it was trained, where it is a candidate of a search, which keeps no test predictions;
            None for a run, which does.
    """

    folder: Path
    modes: tuple[Mode, ...] | None = None

    def probabilities(self, store: Store, split: str) -> NDArray[np.float64]:
        """(n, C) of a split: those its run has kept, else its network's."""
        if self.modes is None or split == "validation":
            return kept_probabilities(store, self.folder, split)
        from safetensors.torch import load_file

        architecture = read_architecture(self.folder / ARCHITECTURE_FILE)
        network = architecture.build(seed=0)
        network.load_state_dict(load_file(self.folder / WEIGHTS_FILE))
        return predict_probabilities(
            network, store.image_tensor(), store.rows(split), architecture=architecture, modes=self.modes
        )


@dataclass(frozen=True)
class Spent:
    """What an arm has made, and what all of it took.

    Attributes:
        candidates: trained to the end.
        passes: images passed through a network in training, those of candidates stopped early or diverged included.
        seconds: of that.
        added: made from a candidate by a choice on the validation images, so that those cannot say again whether it
            is on the front; it is counted to it, beside the candidates'.
    """

    candidates: list[Candidate]
    passes: int
    seconds: float
    added: tuple[Candidate, ...] = ()

    def took(self, passes: float, seconds: float) -> Spent:
        """With more spent."""
        return replace(self, passes=self.passes + int(passes), seconds=self.seconds + seconds)


class Arms:
    """The ways to spend the budget on a store, for one seed.

    Args:
        store: prepared images.
        work: folder of the runs.
        attribute: of U.
        seed: of all runs.
        blend: whether the tool blends in twins of other skin tones.
        budget: what an arm may spend.
    """

    def __init__(
        self, store: Path, work: Path, *, attribute: str, seed: int, blend: bool = False, budget: Budget | None = None
    ) -> None:
        self._store, self._work, self._attribute = store, work / f"seed_{seed}", attribute
        self._seed, self._blend, self._budget = seed, blend, budget or Budget()
        self._half = half_width(store, work)

    def makers(self) -> dict[str, Callable[[], Spent]]:
        """Every arm by name, and what it makes; ``everything`` comes before what begins with its network."""
        searches: dict[str, dict[str, Any]] = {
            EVERYTHING: {},
            "without batches": {"ratios": "natural"},
            "without loss": {"mitigation": "erm"},
            "without networks": {"network": str(self._half)},
            "without equal case mix": {"unfairness": "plain"},
        }
        if self._blend:
            searches["without tones"] = {"blend": None}
        arms = {name: self._rival(name) for name in RIVALS} | {f"{FIRST} small": self._rival(FIRST, "mobilenet_v2")}
        arms |= {name: self._search(name, options) for name, options in searches.items()}
        return arms | {f"{EVERYTHING} + pruned": self._pruned, f"{EVERYTHING} + heads": self._heads}

    def _rival(self, method: str, network: str | None = None) -> Callable[[], Spent]:
        def make() -> Spent:
            name, found = f"{method}_{network or 'half'}", Spent([], 0, 0.0)
            for number, (lr, options) in enumerate(self._drawn(method)):
                out = self._work / name / str(number)
                try:
                    record = train(
                        self._store, network=network or self._half, out=out, mitigation=method, lr=lr,
                        mitigation_options=options, attribute=self._attribute, epochs=self._budget.epochs,
                        seed=1000 * self._seed + number, **FEW,
                    )  # fmt: skip
                except TrainingFailure as failure:  # a learning rate that is too high is the rival's own loss
                    print(f"{name}, run {number}: {failure}")
                    training = failure.spent
                else:
                    found.candidates.append(Candidate(out))
                    training = record["training"]
                found = found.took(training.get("image_passes", 0), training.get("seconds", 0.0))
            return found

        return make

    def _drawn(self, method: str) -> Iterator[tuple[float | None, dict[str, Any]]]:
        """Learning rate and options of each run: the defaults first."""
        yield None, {}
        own, ranges = SCHEDULES["onecycle"].lr, MITIGATIONS.get(method).tuned
        lrs, generator = Range(own / LR_BELOW, own * LR_ABOVE), numpy_generator(self._seed)
        for _ in range(self._budget.runs - 1):
            at = generator.random(1 + len(ranges))
            yield (
                lrs.value(at[0]),
                {name: of.value(float(u)) for (name, of), u in zip(ranges.items(), at[1:], strict=True)},
            )

    def _search(self, name: str, options: dict[str, Any]) -> Callable[[], Spent]:
        def make() -> Spent:
            out = self._work / name.replace(" ", "_")
            usual = {"unfairness": "standardized", "blend": self._blend or None} | options
            config = self._work / "search.toml"
            write_text(config, f"[promotion]\nbracket = {self._budget.trials}\ncontrol_share = 0.0\n")
            record = search(
                self._store, out=out, config=config, attribute=self._attribute, preset="fair",
                trials=self._budget.trials, epochs=self._budget.epochs, rungs=self._budget.rungs,
                seed=self._seed, **FEW, **usual,
            )  # fmt: skip
            whole = [trial for trial in record["trials"] if trial["state"] == "complete"]
            folders = [out / "trials" / str(trial["slot"]) / str(trial["attempt"]) for trial in whole]
            passes, seconds = (
                sum(trial[key] or 0 for trial in record["trials"]) for key in ("image_passes", "seconds")
            )
            return Spent([Candidate(folder, self._modes(out, folder)) for folder in folders], passes, seconds)

        return make

    def _modes(self, run: Path, folder: Path) -> tuple[Mode, ...]:
        """How the layers of a search's candidate compute."""
        ledger = Ledger(ledger_url(run), read_only=True)
        try:
            plan = read_plan(ledger.notes())
        finally:
            ledger.close()
        return plan.precision_plan.modes(read_architecture(folder / ARCHITECTURE_FILE))

    def _pruned(self) -> Spent:
        out = self._work / "pruned"

        def make() -> float:
            record = prune(
                self._work / EVERYTHING, out=out, attributes=self._attribute, iterations=2, epochs=2,
                max_accuracy_drop=1.0, min_gap_reduction=-1.0, control=False, seed=self._seed, **FEW,
            )  # fmt: skip
            return sum(step["training"]["image_passes"] for step in record["iterations"] if step.get("training"))

        return self._with_one(out, make)

    def _heads(self) -> Spent:
        out = self._work / "heads"

        def make() -> float:
            tune(
                self._work / EVERYTHING, out=out, attribute=self._attribute, objectives="accuracy,unfairness",
                subspace=32, seed=self._seed, **FEW,
            )  # fmt: skip
            return 0

        return self._with_one(out, make)

    def _with_one(self, out: Path, make: Callable[[], float]) -> Spent:
        """What everything has made, and one network more, timed by the clock."""
        base, begun = self.makers()[EVERYTHING](), time.perf_counter()
        passes = make()
        return replace(base, added=(Candidate(out),)).took(passes, time.perf_counter() - begun)
