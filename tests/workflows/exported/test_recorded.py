"""An exported file beside the predictions that its run recorded, in the types that the run computed in."""

from __future__ import annotations

import pandas as pd
import pytest

from mindgap.cli.verbs.export import export_lines
from mindgap.core.files import read_json, write_json
from mindgap.data.image_store import Store
from mindgap.metrics.predictions import read_predictions
from mindgap.workflows.export import export
from mindgap.workflows.predict import predict

FEW = {"bootstrap": 50, "permutations": 20}


def retold(run, rows=0, **changes):
    """Swaps the classes' probabilities of the first validation rows of a run's table, and changes it as told."""
    path = run / "predictions.parquet"
    table = pd.read_parquet(path)
    chances = [name for name in table if name.startswith("prob_")]
    swapped = table.index[table["split"] == "validation"][:rows]
    table.loc[swapped, chances] = table.loc[swapped, chances[::-1]].to_numpy()
    table.assign(**changes).to_parquet(path)
    return read_predictions(path, attributes=[], split="validation")


@pytest.mark.parametrize("int8", [False, True])
def test_a_run_in_another_type_is_compared_with_the_file(narrow_run, store, tmp_path, int8):
    record = export(narrow_run, out=tmp_path / "a.onnx", int8=int8, **FEW)
    found, n = record["recorded"], len(Store.open(store).rows("validation"))
    predict(tmp_path / "a.onnx", store, out=tmp_path / "a.parquet", split="validation")
    theirs = read_predictions(tmp_path / "a.parquet", attributes=[], split="validation")
    own = read_predictions(narrow_run / "predictions.parquet", attributes=[], split="validation")
    assert (found["types"], found["n"], found["decisions"], found["reason"]) == ("bfloat16", n, n, None)
    assert found["otherwise"] == (theirs.predicted != own.predicted).sum()
    assert found["exported"] == pytest.approx((theirs.predicted == theirs.labels).mean())
    metrics = read_json(narrow_run / "metrics.json")["validation"]
    assert found["recorded"] == pytest.approx(metrics["overall"]["accuracy"]["value"])


def test_what_differs_from_the_record_is_counted_and_printed_in_one_line(run, copy_of, tmp_path):
    copied = copy_of(run)
    own = retold(copied, rows=3)
    record = export(copied, out=tmp_path / "a.onnx", **FEW)
    found = record["recorded"]
    right = (own.predicted == own.labels).mean()
    assert found["otherwise"] == 3
    assert found["recorded"] == pytest.approx(right)
    assert found["change"]["value"] == pytest.approx(found["exported"] - right)
    (line,) = (line for line in export_lines(record) if "recorded" in line)
    assert line.startswith(
        f"the file against what the run recorded in float32, {own.n} validation images: 3 predicted otherwise, "
        f"accuracy {right:.3f} recorded, {found['exported']:.3f} exported, change {found['change']['value']:+.4f}"
    )


def test_of_several_labels_every_label_of_an_image_counts(multi_label_run, copy_of, tmp_path):
    copied = copy_of(multi_label_run)
    own = retold(copied)
    record = export(copied, out=tmp_path / "a.onnx", **FEW)
    found = record["recorded"]
    assert (found["n"], found["decisions"], found["otherwise"]) == (own.n, 2 * own.n, 0)
    accuracies = [(part.predicted == part.labels).mean() for part in own.by_label.values()]
    assert found["recorded"] == found["exported"] == pytest.approx(sum(accuracies) / 2)
    assert f"{own.n} validation images, {2 * own.n} labels of them: 0 predicted otherwise" in export_lines(record)[2]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda run: (run / "predictions.parquet").unlink(), "the run has no predictions.parquet"),
        (lambda run: (run / "predictions.parquet").write_text("none"), "predictions.parquet: "),
        (lambda run: retold(run, id=[f"other{row}" for row in range(48)]), "is not of these images and classes"),
        (lambda run: retold(run, prob_third=0.0), "is not of these images and classes"),
        (lambda run: pd.read_parquet(run / "predictions.parquet").query("split == 'test'").to_parquet(
            run / "predictions.parquet"), "no row has the split 'validation'"),
    ],
)  # fmt: skip
def test_without_such_predictions_the_record_says_why_and_no_line_is_printed(run, copy_of, tmp_path, change, reason):
    copied = copy_of(run)
    change(copied)
    record = export(copied, out=tmp_path / "a.onnx", **FEW)
    assert reason in record["recorded"]["reason"]
    assert record["recorded"]["otherwise"] is record["recorded"]["change"] is None
    assert len(export_lines(record)) == 2


def test_without_the_store_nothing_is_compared_with_the_record(run, copy_of, tmp_path):
    record = export(copy_of(run, store=str(tmp_path / "gone")), out=tmp_path / "a.onnx", **FEW)
    assert record["recorded"]["reason"] == "the run's store is gone, and with it the images"


@pytest.mark.parametrize("modes", [None, ["fp64"]])
def test_types_that_the_run_does_not_say_rightly_are_left_open(run, copy_of, tmp_path, modes):
    copied = copy_of(run)
    provenance = read_json(copied / "provenance.json")
    provenance.pop("modes")
    write_json(copied / "provenance.json", provenance | ({} if modes is None else {"modes": modes}))
    record = export(copied, out=tmp_path / "a.onnx", **FEW)
    assert record["recorded"]["types"] is None
    assert "against what the run recorded, 24 validation images: " in export_lines(record)[2]
