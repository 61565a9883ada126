"""What a run's network is computed in when the verb ``predict`` is not told."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.errors import DataError
from mindgap.core.files import read_json, write_json
from mindgap.metrics.predictions import read_predictions
from mindgap.workflows.predict import predict


def predicted(run, store, tmp_path, **options):
    record = predict(run, store, out=tmp_path / "a.parquet", force=True, **options)
    return record["precision"], read_predictions(tmp_path / "a.parquet", attributes=["sex"])


@pytest.mark.parametrize(("name", "precision"), [("run", "float32"), ("narrow_run", "bfloat16")])
def test_a_run_predicts_its_own_table_again(request, store, tmp_path, name, precision):
    run = request.getfixturevalue(name)
    found, again = predicted(run, store, tmp_path)
    kept = read_predictions(run / "predictions.parquet", attributes=["sex"])
    assert found == precision
    assert again.ids.tolist() == kept.ids.tolist()
    np.testing.assert_allclose(again.probabilities, kept.probabilities, atol=1e-6, rtol=0)


def test_another_precision_is_taken_where_it_is_named(narrow_run, store, tmp_path):
    kept = read_predictions(narrow_run / "predictions.parquet", attributes=["sex"])
    for name, precision in (("fp32", "float32"), ("bf16", "bfloat16")):
        found, again = predicted(narrow_run, store, tmp_path, precision=name)
        assert found == precision
        assert (np.abs(again.probabilities - kept.probabilities).max() > 1e-6) == (name == "fp32")
    assert predicted(narrow_run, store, tmp_path, precision="auto")[0] in ("float32", "bfloat16")


@pytest.mark.parametrize(
    ("modes", "precision"),
    [(None, "float32"), (["fp32", "bf16-mended", "bf16", "fp32"], "float32 and bfloat16")],
)
def test_what_a_run_does_not_say_is_float32_and_each_part_has_its_own(
    narrow_run, store, copy_of, tmp_path, modes, precision
):
    copied = copy_of(narrow_run)
    kept = read_json(copied / "provenance.json")
    kept.pop("modes")
    write_json(copied / "provenance.json", kept | ({} if modes is None else {"modes": modes}))
    assert predicted(copied, store, tmp_path)[0] == precision


@pytest.mark.parametrize("modes", [["fp32"], ["fp64"] * 4, "fp32", 7])
def test_modes_that_are_none_of_the_network_are_refused(narrow_run, store, copy_of, tmp_path, modes):
    copied = copy_of(narrow_run)
    write_json(copied / "provenance.json", read_json(copied / "provenance.json") | {"modes": modes})
    with pytest.raises(
        DataError, match=r"provenance\.json: modes is .*; give --precision fp32, or run it again"
    ) as caught:
        predict(copied, store, out=tmp_path / "a.csv")
    assert "\n" not in str(caught.value)
    assert predict(copied, store, out=tmp_path / "a.csv", precision="fp32")["precision"] == "float32"
