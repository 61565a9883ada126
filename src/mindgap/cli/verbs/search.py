"""``mindgap search``: batch composition, group-weighted loss and architecture searched together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgap.cli.options import (
    MITIGATION_OPTION,
    PLACEMENT_OPTION,
    AttributeOption,
    ForceOption,
    MitigationOption,
    finished_at,
    read_pairs,
    say_if_nothing_was_done,
)
from mindgap.cli.summary import audit_lines, search_lines, status_lines
from mindgap.core.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("search")(search)


def search(
    store: Annotated[
        str | None,
        typer.Argument(metavar="STORE", help="Folder or address of what `mindgap prepare` wrote.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write; the same command again resumes it.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML file of the options below, which go before it.")
    ] = None,
    attribute: AttributeOption = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="fair, acc, paper or quick; several with commas [default: fair].")
    ] = None,
    searcher: Annotated[
        str | None,
        typer.Option("--searcher", help="See `mindgap list searchers` [default: nsga2; paper: reinforce]."),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option("--space", help="default, full (loss and augmentation too), or a TOML file [default: default]."),
    ] = None,
    unfairness: Annotated[
        str | None, typer.Option("--unfairness", help="Gap in the reward: plain or standardized [default: plain].")
    ] = None,
    min_group: Annotated[
        int | None,
        typer.Option("--min-group", min=1, help="Fewest validation images of a group that counts [default: 30]."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, help="Of a candidate trained to the end [default: 20; quick 6; paper 500]."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, help="Candidates to train [default: 100; quick 16].")
    ] = None,
    budget_hours: Annotated[
        float | None,
        typer.Option("--budget-hours", help="Hours; no candidate is begun that would end later [default: none]."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes of one thread each [default: 1].")
    ] = None,
    placement: Annotated[
        str | None,
        typer.Option("--placement", help="Where workers run: local, ray, ray://ADDRESS or slurm [default: local]."),
    ] = None,
    placement_option: Annotated[
        list[str] | None,
        typer.Option(PLACEMENT_OPTION, metavar="KEY=VALUE", help="Of the placement, such as partition=gpu; repeat it."),
    ] = None,
    gpus_per_worker: Annotated[
        float | None, typer.Option("--gpus-per-worker", help="Share of one GPU that a worker takes, such as 0.25.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Of all candidates: cpu, cuda or auto [default: cpu].")
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            "--study", help="Ledger on a server, postgresql+psycopg://HOST/DATABASE [default: a file in --out]."
        ),
    ] = None,
    artifacts: Annotated[
        str | None,
        typer.Option("--artifacts", help="Candidates' files, s3://BUCKET/PREFIX or file:///FOLDER [default: --out]."),
    ] = None,
    rungs: Annotated[
        str | None,
        typer.Option("--rungs", help="Epochs before the best go on, such as 1,4,16; auto or none [default: auto]."),
    ] = None,
    asynchronous: Annotated[
        bool | None,
        typer.Option("--asynchronous", help="Wait for no bracket of candidates; not reproducible.", show_default=False),
    ] = None,
    ratios: Annotated[str | None, typer.Option("--ratios", help="Fix the batch composition (ablation).")] = None,
    mitigation: Annotated[
        str | None,
        typer.Option(
            "--mitigation",
            help="Fix the group-weighted loss; erm is plain (ablation) [default: biasless, or as the space decides].",
        ),
    ] = None,
    mitigation_option: MitigationOption = None,
    blend: Annotated[bool, typer.Option("--blend", help="Blend in twins, made by mindgap tone.")] = False,
    network: Annotated[str | None, typer.Option("--network", help="Fix the network (ablation).")] = None,
    warm_start: Annotated[
        str | None,
        typer.Option("--warm-start", metavar="RUN", help="Earlier search, whose candidates are known from the start."),
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option("--max-latency-ms", help="Reject slower candidates untrained (batch 1, this machine)."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of every random choice [default: 0].")] = None,
    bootstrap: Annotated[
        int | None, typer.Option("--bootstrap", min=0, help="Resamples behind each interval [default: 2000].")
    ] = None,
    permutations: Annotated[
        int | None, typer.Option("--permutations", min=0, help="Permutations behind each noise floor [default: 1000].")
    ] = None,
    status: Annotated[Path | None, typer.Option("--status", metavar="RUN", help="Show a search's progress.")] = None,
    force: ForceOption = False,
) -> None:
    """Search batch composition, group-weighted loss and architecture together (BiaslessNAS)."""
    if status is not None:
        from mindgap.api import status as read_status

        progress = read_status(status)
        several = {"": progress} if "state" in progress else progress
        for name, part in several.items():
            for line in [*([f"preset {name}:"] if name else []), *status_lines(part)]:
                typer.echo(line)
        return
    if store is None or out is None:
        raise ConfigError("search needs a STORE and --out RUN (or --status RUN to look at a running search)")
    from mindgap.api import search as run

    before = finished_at(out)
    record = run(
        store,
        out=out,
        config=config,
        attribute=attribute,
        preset=preset,
        searcher=searcher,
        space=space,
        unfairness=unfairness,
        min_group=min_group,
        epochs=epochs,
        trials=trials,
        budget_hours=budget_hours,
        workers=workers,
        placement=placement,
        placement_options=read_pairs(PLACEMENT_OPTION, placement_option),
        gpus_per_worker=gpus_per_worker,
        device=device,
        study=study,
        artifacts=artifacts,
        rungs=rungs,
        asynchronous=asynchronous,
        seed=seed,
        ratios=ratios,
        mitigation=mitigation,
        blend=blend or None,
        mitigation_options=read_pairs(MITIGATION_OPTION, mitigation_option),
        network=network,
        warm_start=warm_start,
        max_latency_ms=max_latency_ms,
        force=force,
        bootstrap=bootstrap,
        permutations=permutations,
    )
    say_if_nothing_was_done(out, before)
    parts = record.get("presets") or {"": record}
    for name, part in parts.items():
        for line in [*([f"preset {name}:"] if name else []), *finished_lines(out / name, part)]:
            typer.echo(line)


def finished_lines(folder: Path, record: dict) -> list[str]:
    """Lines on one finished search and the test figures of its chosen network."""
    from mindgap.core.files import read_json  # which needs NumPy

    lines = search_lines(record)
    if (folder / "metrics.json").exists():
        metrics = read_json(folder / "metrics.json")
        lines += [*audit_lines(metrics), *test_read_lines(metrics.get("test_reads", 1))]
        if metrics["test"] is None:
            lines.append(
                "note: the network was chosen on the validation split, so these figures look better than they are"
            )
    return [*lines, f"report: {folder / 'report.html'}"]


def test_read_lines(reads: int) -> list[str]:
    """A line if the test split was met more than once, as when a finished search was given more trials."""
    if reads < 2:
        return []
    told = f"note: this search has read the test split {reads} times; if an earlier reading led to going on, "
    return [told + "the test figures look better than they are"]
