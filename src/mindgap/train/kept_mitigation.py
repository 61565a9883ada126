"""What a run keeps of a mitigation that its network cannot be used without: as text, never as pickled objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from mindgap.core.config import StrictModel, parse
from mindgap.core.errors import ConfigError, DataError
from mindgap.core.files import read_json, write_json
from mindgap.core.groups import Groups
from mindgap.data.image_store import Store, Task
from mindgap.space.architecture import Architecture
from mindgap.space.network import Network
from mindgap.train.loss import make_loss
from mindgap.train.mitigation import AbstractMitigation, AttributeFacts, TrainingFacts, make_mitigation

MITIGATION_FILE = "mitigation.json"


class KeptAttribute(StrictModel):
    """An attribute of a mitigation: its groups in the order of their numbers, and training images per group."""

    name: str
    groups: tuple[str, ...] = Field(min_length=1)
    counts: tuple[int, ...]

    @model_validator(mode="after")
    def _one_count_per_group(self) -> KeptAttribute:
        if len(self.groups) != len(self.counts):
            raise ValueError(f"{len(self.groups)} groups and {len(self.counts)} counts; there is one per group")
        return self


class _Record(StrictModel):
    version: Literal[1] = 1
    name: str
    options: dict[str, Any]
    attributes: tuple[KeptAttribute, ...] = Field(min_length=1)


@dataclass(frozen=True, eq=False)
class KeptMitigation:
    """A mitigation as a finished run needs it to predict.

    Attributes:
        name: of the mitigation.
        mitigation: made anew with the run's groups and options.
        attribute: whose groups it predicts by.
    """

    name: str
    mitigation: AbstractMitigation
    attribute: KeptAttribute

    def groups_in(self, store: Store) -> Groups | None:
        """The groups of a store's images under the numbers they had in training; None if it lacks the attribute.

        Groups that the training did not know are unknown.
        """
        if self.attribute.name not in store.attributes:
            return None
        theirs, known = store.groups(self.attribute.name), self.attribute.groups
        numbers = [known.index(name) if name in known else -1 for name in theirs.names]
        return Groups(theirs.attribute, known, np.array([*numbers, -1], dtype=np.int64)[theirs.ids])


def keep_mitigation(
    folder: Path | str,
    mitigation: AbstractMitigation,
    network: Network,
    *,
    architecture: Architecture,
    name: str,
    attributes: Sequence[str],
) -> None:
    """Writes ``mitigation.json`` if the network has another form than its architecture or is not used alone.

    A mitigation that predicts by a state of its own is not kept, as only networks are.

    Args:
        folder: of the run.
        mitigation: after training.
        network: the trained network.
        architecture: that the network was built by.
        name: of the mitigation.
        attributes: names of the attributes that it treats.
    """
    alone = mitigation.predicts_by_network_alone()
    if (alone and _form(network) == _form(architecture.build())) or (not alone and mitigation.state_dict()):
        return
    facts = mitigation.facts
    every = [
        (facts.group_names, facts.group_counts),
        *((of.group_names, of.group_counts) for of in facts.more_attributes),
    ]
    kept = [
        KeptAttribute(name=attribute, groups=groups, counts=tuple(counts.tolist()))
        for attribute, (groups, counts) in zip(attributes, every, strict=True)
    ]
    options = mitigation.options.model_dump(mode="json")
    record = _Record(name=name, options=options, attributes=tuple(kept))
    write_json(Path(folder) / MITIGATION_FILE, record.model_dump(mode="json"))


def read_mitigation(folder: Path | str, *, task: Task, num_classes: int) -> KeptMitigation | None:
    """Reads what ``keep_mitigation`` wrote; None if the network needs none.

    Args:
        folder: of the run.
        task: of the run's store.
        num_classes: classes, or labels if multi-label.

    Raises:
        DataError: the file is damaged.
        UnknownNameError: no mitigation of that name is installed.
    """
    path = Path(folder) / MITIGATION_FILE
    if not path.is_file():
        return None
    record = read_json(path)
    if not isinstance(record, dict):
        raise DataError(f"{path}: holds a {type(record).__name__}, not an object; run it again")
    try:
        kept = parse(_Record, record, source=str(path))
        first, *more = kept.attributes
        facts = TrainingFacts(
            group_names=first.groups,
            group_counts=np.array(first.counts, dtype=np.int64),
            num_classes=num_classes,
            loss=make_loss(None, task=task),
            more_attributes=tuple(AttributeFacts(of.name, of.groups, np.array(of.counts)) for of in more),
        )
        return KeptMitigation(kept.name, make_mitigation(kept.name, facts, kept.options), first)
    except ConfigError as error:
        raise DataError(f"{error}; the file is damaged or of another version, run it again") from None


def _form(network: Network) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
