"""Learning curves are the log's own numbers, one plot per kind."""

from __future__ import annotations

from mindgap.report.learning_curves import curve_plots, read_curves


def test_an_epoch_run_twice_counts_once_by_its_last_record() -> None:
    log = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.5}, {"epoch": 2, "loss": 1.4}]
    assert read_curves(log)[0].points == ((1, 2.0), (2, 1.4))


def test_what_is_no_number_is_left_out() -> None:
    log = [{"epoch": 1, "loss": None, "note": "x", "ok": True, "lr": float("nan")}, {"event": "resumed"}]
    assert read_curves(log) == []


def test_figures_under_extra_are_curves_too() -> None:
    log = [{"epoch": 1, "accuracy": 0.5, "extra": {"validation_accuracy": 0.4}}]
    assert [curve.name for curve in read_curves(log)] == ["training accuracy", "validation accuracy"]


def test_folds_are_curves_of_their_own() -> None:
    log = [{"epoch": 1, "fold": fold, "loss": 1.0} for fold in (0, 1)]
    assert [curve.name for curve in read_curves(log)] == ["training loss, fold 0", "training loss, fold 1"]


def test_loss_accuracy_and_unfairness_have_their_own_scales() -> None:
    log = [{"epoch": e, "loss": 1 / e, "accuracy": 0.5, "validation_unfairness": 1.2} for e in (1, 2, 3)]
    plots = curve_plots(log)
    assert [plot.title for plot in plots] == ["Loss", "Accuracy", "Unfairness U"]
    assert "training loss ends at 0.333" in plots[0].drawing


def test_a_single_epoch_and_an_empty_log_are_no_error() -> None:
    assert len(curve_plots([{"epoch": 1, "loss": 1.0}])) == 1
    assert curve_plots([]) == []


def test_more_than_six_curves_are_counted_not_hidden() -> None:
    log = [{"epoch": 1, "fold": fold, "loss": 1.0} for fold in range(10)]
    plot = curve_plots(log)[0]
    assert len(plot.legend) == 6
    assert plot.left_out == 4
