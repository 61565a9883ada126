"""The way from a head back to a network, whose architecture says what the head is."""

from __future__ import annotations

from copy import deepcopy

from torch import nn

from mindgap.space.architecture import Architecture
from mindgap.space.network import Network
from mindgap.tune.first_stage import DROPOUT
from mindgap.tune.head import Floats, HiddenHead
from mindgap.tune.trained_head import trained_head


def hidden_classifier(head: HiddenHead, vector: Floats) -> nn.Sequential:
    """FC → ReLU → dropout → FC in evaluation mode with a vector's weights, float64 (D,)."""
    classifier = nn.Sequential(
        nn.Linear(head.inputs, head.hidden), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(head.hidden, head.outputs)
    )
    trained_head(classifier, part="all").write(classifier, vector)
    return classifier.eval()


def with_classifier(
    architecture: Architecture, network: Network, classifier: nn.Module
) -> tuple[Architecture, Network]:
    """The network with another classifier, and its architecture; what was given stays as it is.

    Args:
        architecture: of the network.
        network: that has no hidden layer, or whose hidden layer the linear classifier reads.
        classifier: linear, or FC → ReLU → dropout → FC on the features.
    """
    if not isinstance(classifier, nn.Sequential):
        changed = deepcopy(network).to("cpu")
        changed.classifier.load_state_dict(classifier.state_dict())
        return architecture, changed.eval()
    layers = {name: layer for name, layer in classifier.named_children() if isinstance(layer, nn.Linear)}
    first, last = layers["0"], layers["3"]
    head = architecture.head.model_copy(update={"hidden": first.out_features})
    described = architecture.model_copy(update={"head": head, "dropout": DROPOUT})
    built = described.build()
    backbone = {name: of for name, of in network.state_dict().items() if not name.startswith("classifier.")}
    units = {f"hidden.0.{name}": of for name, of in first.state_dict().items()}
    built.load_state_dict(backbone | units | {f"classifier.{name}": of for name, of in last.state_dict().items()})
    return described, built.eval()
