"""What an exported file says of itself, as text under keys, so that it can be used with nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mindgap import __version__
from mindgap.core.config import parse
from mindgap.core.errors import ConfigError, DataError
from mindgap.data.classifier_facts import ClassifierFacts

PREFIX = "mindgap."
_WEIGHTS = "weights"
_FIELDS = tuple(ClassifierFacts.model_fields)
_NEEDED = tuple(name for name, field in ClassifierFacts.model_fields.items() if field.is_required())


def to_metadata(facts: ClassifierFacts, *, weights: str) -> dict[str, str]:
    """The facts that are known as ``mindgap.<field>``, each a JSON value in ASCII, whatever letters a class name has.

    Args:
        facts: of the classifier.
        weights: ``float32`` or ``int8``.
    """
    values = facts.model_dump(mode="json", exclude_none=True) | {"version": __version__, _WEIGHTS: weights}
    return {PREFIX + name: json.dumps(value) for name, value in values.items()}


def from_metadata(metadata: Mapping[str, str], *, source: str) -> ClassifierFacts:
    """Reads the facts back; other entries are let go. An earlier version's file says nothing of its origin.

    Raises:
        DataError: one is missing, which is so of a file that another program wrote, or does not fit.
    """
    missing = [PREFIX + name for name in _NEEDED if PREFIX + name not in metadata]
    if missing:
        raise DataError(
            f"{source}: its metadata lack {', '.join(missing)}, so its input and its classes are not known; give a "
            "file that mindgap export wrote, or audit a table of its predictions"
        )
    try:
        values = {name: json.loads(metadata[PREFIX + name]) for name in _FIELDS if PREFIX + name in metadata}
        return parse(ClassifierFacts, values, source=source)
    except json.JSONDecodeError as error:
        raise DataError(f"{source}: its metadata are damaged ({error}); export it again") from None
    except ConfigError as error:
        raise DataError(f"{error}; its metadata are damaged, export it again") from None


def weights_type(metadata: Mapping[str, str]) -> str:
    """``float32`` or ``int8``; ``unknown`` where the metadata do not say."""
    return metadata.get(PREFIX + _WEIGHTS, "unknown").strip('"')
