"""What an ONNX file holds besides the network: nothing of the machine and the code that wrote it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mindgap.export.exporter import network_probabilities
from mindgap.export.exporters import onnx as module
from mindgap.export.exporters.onnx import OnnxExporter
from mindgap.export.image_classifier import ImageClassifier

TOLD = ("stack_trace", "fx_node", "class_hierarchy", "name_scopes", "mindgap.space", "torch.nn", "site-packages")


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def files(multi_facts, network, images, tmp_path):
    """The float32 file and the one in 8-bit integers."""
    import torch

    exporter, wide, narrow = OnnxExporter(), tmp_path / "wide.onnx", tmp_path / "narrow.onnx"
    exporter.export(ImageClassifier(network, multi_facts), torch.from_numpy(images[:2]), wide, facts=multi_facts)
    exporter.quantize(wide, narrow, [images], facts=multi_facts)
    return wide, narrow


def test_files_tell_nothing_of_the_machine_or_the_code_that_wrote_them(files):
    import onnx

    for file in files:
        contents = file.read_bytes()
        assert not [text for text in (*TOLD, str(Path(module.__file__).parent)) if text.encode() in contents]
        assert not re.search(rb"\.py\b", contents)
        model = onnx.load(str(file))
        assert {entry.key.partition(".")[0] for entry in model.metadata_props} == {"mindgap"}
        graph = model.graph
        for parts in (graph.node, graph.value_info, graph.input, graph.output, graph.initializer, [graph]):
            assert all(not part.metadata_props and not part.doc_string for part in parts)


def test_a_nested_graph_and_a_function_lose_their_remarks_and_the_network_none_of_its_figures(
    files, network, multi_facts, images, tmp_path
):
    import onnx
    from onnx import helper

    rows = np.arange(len(images))
    expected = network_probabilities(ImageClassifier(network, multi_facts), images)
    np.testing.assert_allclose(OnnxExporter().run(files[0], images, rows), expected, atol=1e-5)

    told = "/home/me/secret.py"
    inner = helper.make_node("Identity", ["a"], ["b"], doc_string=told)
    branch = helper.make_graph([inner], "branch", [], [], doc_string=told)
    outer = helper.make_node("If", ["c"], ["d"], then_branch=branch, else_branch=branch)
    function = helper.make_function("f", "g", ["a"], ["b"], [inner], [helper.make_opsetid("", 18)])
    function.doc_string = told
    model = helper.make_model(
        helper.make_graph([outer], "all", [], [], doc_string=told),
        functions=[function],
        doc_string=told,
    )
    for part in (model.graph, model.graph.node[0], function, model.functions[0]):
        helper.set_model_props(part, {"stack_trace": told})
    onnx.save(model, str(tmp_path / "told.onnx"))
    module._write_metadata(tmp_path / "told.onnx", {"mindgap.task": "single-label"})
    contents = (tmp_path / "told.onnx").read_bytes()
    assert b"secret" not in contents
    assert b"stack_trace" not in contents
    assert b"single-label" in contents
