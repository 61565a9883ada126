"""Soft nearest neighbour loss: channels that tell the groups apart."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, FiniteFloat
from torch import Tensor

from mindgap.core.config import StrictModel
from mindgap.core.errors import ConfigError
from mindgap.prune.activations import layer_outputs
from mindgap.prune.importance import IMPORTANCES, AbstractImportance, Layers, ScoringData
from mindgap.prune.soft_nearest import LEAST_TEMPERATURE, MOST_TEMPERATURE, Distance, Feature, channel_snnl
from mindgap.space.network import Network


class SnnlOptions(StrictModel):
    """Options of the soft nearest neighbour loss.

    Attributes:
        feature: ``map`` compares whole maps, ``mean`` (the paper's) their averages.
        distance: ``squared`` (the paper's) or ``cosine``.
        temperature: T, 1e-6 to 1e6, or ``auto``, the mean distance of each channel in each batch.
    """

    feature: Feature = "map"
    distance: Distance = "squared"
    temperature: Annotated[FiniteFloat, Field(ge=LEAST_TEMPERATURE, le=MOST_TEMPERATURE)] | Literal["auto"] = "auto"


@IMPORTANCES.register("snnl")
class Snnl(AbstractImportance):
    """Removes first the channels in which images of one group lie close together (soft nearest neighbour loss).

    Wei & Chakraborti, eq. 16, the mean over group-balanced batches (``channel_snnl``). A channel that encodes the
    attribute has a low loss. One that encodes the class has a low loss too where classes and groups go together.
    """

    options_model: ClassVar[type[StrictModel]] = SnnlOptions
    by_attribute: ClassVar[bool] = True

    def score(self, network: Network, layers: Layers, data: ScoringData, *, attribute: str | None) -> dict[str, Tensor]:
        """The loss of each channel, the mean over the batches in which it is not the same for all images.

        Raises:
            ConfigError: no attribute, or a layer without maps.
            MindgapError: see the data's ``balanced``.
        """
        if attribute is None:
            raise ConfigError("snnl scores channels by the groups of an attribute; name one")
        scores: dict[str, list[Tensor]] = {name: [] for name in layers}
        with torch.no_grad():
            for batch in data.balanced(attribute):
                for name, maps in layer_outputs(network, layers, batch.images).maps.items():
                    scores[name].append(channel_snnl(maps, batch.groups, **self._how))
        return {name: torch.stack(parts).double().nanmean(dim=0).cpu() for name, parts in scores.items()}

    @property
    def _how(self) -> dict[str, Any]:
        options = self.options
        return {"feature": options.feature, "distance": options.distance, "temperature": options.temperature}
