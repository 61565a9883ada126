"""Which class each image is explained for."""

from __future__ import annotations

from dataclasses import dataclass

from mindgap.core.errors import ConfigError, UnknownNameError, near_names
from mindgap.data.image_store import Store
from mindgap.explain.store_focus import Targets

PREDICTED, LABEL = "predicted", "label"


@dataclass(frozen=True)
class AskedTargets:
    """What is explained.

    Attributes:
        targets: of every image.
        labels: the labels that are judged, one by one; of one label per image an empty name.
        says: what a map is of, in words.
    """

    targets: Targets
    labels: tuple[str, ...]
    says: str


def targets_of(store: Store, text: str | None) -> AskedTargets:
    """Reads ``predicted``, ``label`` or the name of a class; of several labels their names, None being all of them.

    Raises:
        ConfigError: the word does not fit several labels.
        UnknownNameError: the store has no such class or label.
    """
    if store.task == "multi-label":
        return _of_labels(store, text)
    if text in {None, PREDICTED}:
        return AskedTargets("predicted", ("",), "the predicted class")
    if text == LABEL:
        return AskedTargets("label", ("",), "the true class")
    if text not in store.classes:
        raise UnknownNameError(f"--target {text!r}: {near_names(str(text), (*store.classes, PREDICTED, LABEL))}")
    return AskedTargets((store.classes.index(text),), ("",), f"class {text}")


def _of_labels(store: Store, text: str | None) -> AskedTargets:
    if text in {PREDICTED, LABEL} and text not in store.classes:
        raise ConfigError(f"--target {text}: of several labels each is explained by itself; name some, or leave it out")
    asked = list(store.classes) if text is None else [text] if text in store.classes else _names(text)
    for name in asked:
        if name not in store.classes:
            raise UnknownNameError(f"--target {name!r}: {near_names(name, store.classes)}")
    labels = tuple(dict.fromkeys(asked))
    return AskedTargets(tuple(store.classes.index(name) for name in labels), labels, "each label by itself")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
