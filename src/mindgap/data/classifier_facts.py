"""What must be known of a classifier: which images it takes, what its outputs mean, and where it comes from."""

from __future__ import annotations

from pydantic import Field

from mindgap.core.config import StrictModel
from mindgap.core.errors import DataError
from mindgap.data.decode import Constancy, Geometry, Resize
from mindgap.data.image_store import Store, Task

Channels = tuple[float, float, float]


class ClassifierFacts(StrictModel):
    """A classifier's task, its input and, where it is known, its origin.

    Attributes:
        architecture: name of the network.
        classes: names of the outputs, in order; label names if multi-label.
        task: ``single-label`` (softmax over the classes) or ``multi-label`` (a sigmoid per label).
        input_px: side of the square image, pixels.
        resize: how an image became a square in training.
        constancy: what was done to its colours.
        mean: per-channel mean of pixel/255 that is taken off.
        std: per-channel standard deviation of pixel/255 that is divided by.
        store_fingerprint: of the data of the store that it was trained on.
        weights_sha256: of the run's ``weights.safetensors``, in hexadecimal.
    """

    architecture: str
    classes: tuple[str, ...] = Field(min_length=1)
    task: Task
    input_px: int = Field(ge=1)
    resize: Resize
    constancy: Constancy = "none"
    mean: Channels
    std: Channels
    store_fingerprint: str | None = None
    weights_sha256: str | None = None

    @property
    def geometry(self) -> Geometry:
        """How an image file is decoded for it."""
        return Geometry(self.input_px, self.resize, self.constancy)


def refuse_other_store(facts: ClassifierFacts, store: Store) -> None:
    """Checks that a store's images and labels are of the kind that a classifier knows.

    Raises:
        DataError: size, resize rule, task or classes differ; the order of the classes may.
    """
    for name, theirs, ours, option in (
        ("images of", f"{store.size_px} px", f"{facts.input_px} px", f"--size {facts.input_px}"),
        ("images resized by", store.info.resize, facts.resize, f"--resize {facts.resize}"),
        ("colours by constancy", store.info.constancy, facts.constancy, f"--constancy {facts.constancy}"),
        ("a task that is", store.task, facts.task, "labels of that task"),
    ):
        if theirs != ours:
            raise DataError(f"{store.path}: has {name} {theirs}, the network is for {ours}; prepare it with {option}")
    unknown = [name for name in store.classes if name not in facts.classes]
    missing = [name for name in facts.classes if name not in store.classes]
    if unknown or missing:
        seen = f"has the class {unknown[0]!r}, which" if unknown else f"lacks the class {missing[0]!r}, which"
        verb = "does not know" if unknown else "knows"
        raise DataError(f"{store.path}: {seen} the network {verb}; its classes are {', '.join(facts.classes)}")
