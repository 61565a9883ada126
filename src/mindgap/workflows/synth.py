"""``mindgap synth``: a synthetic set whose tone, lesion, label and group effect are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from mindgap.core.config import StrictModel, parse
from mindgap.core.errors import CapacityError, RunError
from mindgap.core.files import is_occupied, no_new_parents_on_failure, read_json, write_json
from mindgap.core.replacement import end_killed_replacement, put_in_place
from mindgap.core.run import RunFolder
from mindgap.workflows.partial_folder import partial_folder, removed_by_a_mistake


class SynthOptions(StrictModel):
    """What decides the pixels.

    Attributes:
        n: number of images.
        size: their side in pixels.
        seed: everything random depends on it.
        dark_share: share of the group ``dark`` of ``true_tone``.
        bias: how much harder the label is to read in that group: 0 equally hard, 1 not at all readable.
    """

    n: int = Field(ge=30, le=1_000_000)
    size: int = Field(ge=16, le=1024)
    seed: int = Field(ge=0)
    dark_share: float = Field(ge=0, le=1, allow_inf_nan=False)
    bias: float = Field(ge=0, le=1, allow_inf_nan=False)


def synth(
    out: Path | str,
    *,
    n: int = 3000,
    size: int = 64,
    seed: int = 0,
    dark_share: float = 0.2,
    bias: float = 0.3,
    force: bool = False,
) -> dict[str, Any]:
    """Writes ``images/``, ``masks/``, ``metadata.csv`` and ``synth.json``; the folder appears when all is there.

    Args:
        out: the folder. There already, with the same options: nothing is done.
        n: number of images, at least 30.
        size: side in pixels, 16 to 1024.
        seed: the same seed gives the same pixels.
        dark_share: share of dark skin, in 0..1.
        bias: in 0..1, see ``SynthOptions``.
        force: replaces a synthetic set made with other options.

    Returns:
        The record of ``synth.json``: options, and counts of images, lesions, classes and tones.

    Raises:
        ConfigError: an option is out of range.
        RunError: the folder holds something else.
        CapacityError: the folder cannot be written; nothing is left there, but a whole set that could not be put in
            its place stays in ``.NAME.partial`` beside it, where the same call goes on.
    """
    values = {"n": n, "size": size, "seed": seed, "dark_share": dark_share, "bias": bias}
    options = parse(SynthOptions, values, source="synth")
    place = Path(out).resolve()  # a link to the folder stays one
    end_killed_replacement(place)
    if is_occupied(place):
        finished = _finished(place, options, force=force)
        if finished is not None:
            return finished
    grows = partial_folder(place, verb="synth", options=options.model_dump(), replace=True)
    with no_new_parents_on_failure(place), grows as run:
        with removed_by_a_mistake(run):
            record = _write_set(run, options)
        put_in_place(run.path, place, replace=force)
    return record


def _finished(target: Path, options: SynthOptions, *, force: bool) -> dict[str, Any] | None:
    """The record of what is there, or None if it is to be replaced."""
    if force:
        if not (target / "synth.json").exists():
            raise RunError(f"{target}: holds no synthetic set, so --force does not replace it; choose another folder")
        return None
    state = RunFolder.check(target, verb="synth", options=options.model_dump())
    return read_json(target / "synth.json") if state == "finished" else None


def _write_set(run: RunFolder, options: SynthOptions) -> dict[str, Any]:
    from mindgap.data.synthesis.folder import summary, write_folder
    from mindgap.data.synthesis.morphology import draw_morphology
    from mindgap.data.synthesis.population import draw_population

    population = draw_population(options.n, dark_share=options.dark_share, seed=options.seed)
    morphology = draw_morphology(population, bias=options.bias, seed=options.seed)
    try:
        write_folder(run.path, population, morphology, size=options.size, seed=options.seed)
    except OSError as error:
        raise CapacityError(
            f"{run.path}: cannot write ({error.strerror}); free space or choose another folder"
        ) from error
    record = options.model_dump() | summary(population)
    write_json(run.path / "synth.json", record)
    run.finish()
    return record
