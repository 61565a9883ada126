"""What a mitigation measured itself, in the record and on the page of a training."""

from __future__ import annotations

import json

import pytest

from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.testing.tiny_store import SIZE_PX, write_tiny_store
from mindgap.workflows.train import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Trains a tiny network; gives the folder and what the mitigation measured."""
    store = write_tiny_store(tmp_path_factory.mktemp("data") / "store", n=120)
    network = tmp_path_factory.mktemp("network") / "tiny.json"
    block = BlockSpec(type="cb", out_channels=4, choices={"kernel": 3, "hidden_channels": 4})
    architecture = Architecture(
        name="tiny", input_px=SIZE_PX, num_classes=2, stem=Stem(channels=4), blocks=(block,), head=Head(width=8)
    )
    network.write_text(architecture.to_json())

    def run(mitigation, **options):
        folder = tmp_path_factory.mktemp("runs") / "run"
        asked = {"epochs": 2, "batch_size": 16, "bootstrap": 20, "permutations": 20, "precision": "fp32"} | options
        train(store, network=network, out=folder, mitigation=mitigation, **asked)
        return folder, json.loads((folder / "metrics.json").read_text())["training"]["mitigation_figures"]

    return run


def test_an_adversarys_accuracy_stands_beside_chance_in_the_record_and_on_the_page(run):
    folder, (figure,) = run("advrev")
    assert (figure["of"], figure["unit"], figure["reason"]) == (
        "sex",
        "augmented training images of the last epoch",
        None,
    )
    assert figure["value"] * figure["n"] == pytest.approx(round(figure["value"] * figure["n"]))
    assert 0.5 <= figure["chance"] < 1
    page = (folder / "report.html").read_text()
    assert "What the mitigation did" in page
    row = page[page.index("accuracy of the head that tells the groups: sex") :].partition("</tr>")[0]
    for text in (f"{figure['value']:.3f}", f"{figure['chance']:.3f}", f"{figure['n']} augmented training images"):
        assert text in row


def test_of_folds_every_one_has_its_own(run):
    folder, figures = run("fairprune", folds=2, epochs=1, mitigation_options={"samples": 8})
    shares = [figure for figure in figures if figure["name"] == "share set to zero"]
    assert [share["fold"] for share in shares] == [1, 2]
    assert "fold 2" in (folder / "report.html").read_text()


def test_a_mitigation_that_measures_nothing_has_none_and_no_table(run):
    folder, figures = run("biasless", epochs=1)
    assert figures == []
    assert "What the mitigation did" not in (folder / "report.html").read_text()
