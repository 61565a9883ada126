"""What a reproduction is asked to do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mindgap.core.config import StrictModel
from mindgap.workflows.reproduce_recipe import Scale


class ReproduceOptions(StrictModel):
    """Options of ``mindgap reproduce`` but the store and the folder.

    Attributes:
        recipe: its name.
        scale: of the budgets.
        attribute: whose groups the table is about; None is the store's first.
        workers: processes of searches and comparisons.
        device: of trainings.
        seed: the first one.
        bootstrap: replicates of the intervals.
        permutations: of the noise floors.
    """

    recipe: str
    scale: Scale = "laptop"
    attribute: str | None = None
    workers: int = Field(default=2, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = Field(default=0, ge=0)
    bootstrap: int = Field(default=2000, ge=0)
    permutations: int = Field(default=1000, ge=0)
