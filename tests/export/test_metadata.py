from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap import __version__
from mindgap.core.errors import DataError
from mindgap.export.metadata import from_metadata, to_metadata, weights_type

names = st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True)


@given(names=names)
@settings(deadline=None)
def test_facts_survive_whatever_letters_a_class_has(names, multi_facts):
    facts = multi_facts.model_copy(update={"classes": tuple(names)})
    metadata = to_metadata(facts, weights="float32")
    assert all(text.isascii() for text in metadata.values())
    assert from_metadata(metadata | {"other": "kept out"}, source="a.onnx") == facts


def test_the_metadata_name_the_version_and_the_weights(multi_facts):
    metadata = to_metadata(multi_facts, weights="int8")
    assert metadata["mindgap.version"] == f'"{__version__}"'
    assert metadata["mindgap.classes"] == '["red", "even", "round"]'
    assert weights_type(metadata) == "int8"
    assert weights_type({}) == "unknown"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mindgap.resize": None}, r"a\.onnx: its metadata lack mindgap\.resize, so its input and its classes are not"),
        ({"mindgap.resize": '"bend"'}, r"a\.onnx: resize is 'bend'.* its metadata are damaged, export it again"),
        ({"mindgap.input_px": "{"}, r"a\.onnx: its metadata are damaged \(.*\); export it again"),
    ],
)
def test_metadata_that_do_not_do_are_refused_in_one_line(multi_facts, changes, message):
    metadata = to_metadata(multi_facts, weights="float32") | changes
    with pytest.raises(DataError, match=message) as caught:
        from_metadata({key: text for key, text in metadata.items() if text is not None}, source="a.onnx")
    assert "\n" not in str(caught.value)
