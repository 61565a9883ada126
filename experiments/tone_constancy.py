"""What corrections of the light's colour do to measured skin tones, and how often the flag `cast` is right.

    python experiments/tone_constancy.py [--n 1200] [--ham HAM]

Synthetic images of 128 px whose tone and lesion are known, hair and frames included. Sets:

- `white light`: those painted without a cast;
- `own cast`: those painted with one, each with its own strength;
- `own cast, card`: the same with a grey card (reflectance .55) along one side;
- `cast by source`: images without a cast under one of four lights by source, a card on three in ten of them.

One row per set and constancy is appended to `experiments/results/tone_constancy.csv`: the images whose angle is known,
the median of |measured − true| in degrees with its 95 % bootstrap interval over lesions, and its 90 % point. Rows that
are there are not measured again. Printed too: of which images with and without a cast the flag `cast` is set.

With a store of HAM10000 of 128 px with masks, whose true tones nobody knows: the images whose angle is known, those
flagged `cast`, and the median difference between images of one lesion, over the same pairs with and without.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from csv_rows import append_rows, read_rows
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.seed import numpy_generator
from mindgap.data.constancy import shades_of_grey_gains
from mindgap.data.image_store import Store
from mindgap.data.synthesis.morphology import draw_morphology
from mindgap.data.synthesis.population import draw_population
from mindgap.data.synthesis.scene import paint
from mindgap.tone.lab import bytes_of, encoded, linear_of
from mindgap.tone.measure import measure_tone
from mindgap.tone.neutral import NeutralGains, neutral_gains, pooled_gains
from mindgap.tone.skin import find_skin

TABLE = Path(__file__).parent / "results" / "tone_constancy.csv"
SIZE, BATCH, RESAMPLES = 128, 64, 2000
CARD, CARD_SHARE = 0.55, 0.1  # reflectance; of the image's width
LIGHTS = np.array([0.95, 0.82, 1.70]) ** np.array([[0.0], [0.35], [0.7], [1.05]])  # of the sources
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Set:
    """Images uint8 (n, 3, S, S), lesions bool (n, S, S), true angles (n,), clusters (n,), sources (n,)."""

    images: Tensor
    lesions: Tensor
    true: Floats
    lesion_ids: NDArray[np.int64]
    sources: list[str | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ham", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = [{name: row[name] for name in ("set", "constancy", "images", "seed")} for row in read_rows(TABLE)]
    sets, flags = painted(options.n, options.seed)
    for name, some in sets.items():
        for constancy, gains_of in CONSTANCIES.items():
            key = {"set": name, "constancy": constancy, "images": str(len(some.true)), "seed": str(options.seed)}
            if key not in done:
                append_rows(TABLE, [key | judged(some, gains_of(some))])
    for name, where in flags.items():
        print(f"flag cast is set on {where.mean():.3f} of {len(where)} images {name}")
    if options.ham is None or not options.ham.exists():
        print("no store of HAM10000: nothing is measured on it")
        return
    real(Store.open(options.ham))


def painted(n: int, seed: int) -> tuple[dict[str, Set], dict[str, NDArray[np.bool_]]]:
    """The sets, and the flag on images without and with a cast."""
    population = draw_population(n, dark_share=0.3, seed=seed)
    morphology = draw_morphology(population, bias=0.3, seed=seed)
    parts = [
        paint(np.arange(at, min(at + BATCH, n)), population, morphology, size=SIZE, seed=seed)
        for at in range(0, n, BATCH)
    ]
    images = torch.from_numpy(np.concatenate([part.images for part in parts]).transpose(0, 3, 1, 2).copy())
    lesions = torch.from_numpy(np.concatenate([part.masks for part in parts]))
    cast, light = (np.concatenate([getattr(part, name) for part in parts]) for name in ("cast", "light"))
    every = Set(images, lesions, population.ita_degrees, population.lesion, [None] * n)
    white, own = chosen(every, ~cast), chosen(every, cast)
    sources = np.arange(len(white.true)) % len(LIGHTS)
    some = np.flatnonzero(numpy_generator(seed, "cards").random(len(sources)) < 0.3)
    lit = with_card(white, np.ones((len(sources), 3)), rows=some)
    names: list[str | None] = [str(k) for k in sources]
    by_source = Set(under(lit.images, LIGHTS[sources]), lit.lesions, lit.true, lit.lesion_ids, names)
    sets = {
        "white light": white,
        "own cast": own,
        "own cast, card": with_card(own, light[cast]),
        "cast by source": by_source,
    }
    flagged = {
        name: np.array(["cast" in flags for flags in flags_of(part)])
        for name, part in (("without a cast", white), ("with one", own))
    }
    return sets, flagged


def chosen(some: Set, where: NDArray[np.bool_]) -> Set:
    rows = torch.from_numpy(where)
    names = [name for name, on in zip(some.sources, where, strict=True) if on]
    return Set(some.images[rows], some.lesions[rows], some.true[where], some.lesion_ids[where], names)


def with_card(some: Set, light: Floats, rows: NDArray[np.int64] | None = None) -> Set:
    """A grey card along the right side of all or some images, under each image's light."""
    width = round(CARD_SHARE * SIZE)
    images, lesions = some.images.clone(), some.lesions.clone()
    card = bytes_of(encoded(torch.from_numpy(CARD * light)))[:, :, None, None]
    at = np.arange(len(images)) if rows is None else rows
    images[at, :, :, -width:] = card[at].expand(-1, -1, SIZE, width)
    lesions[at, :, -width:] = False
    return Set(images, lesions, some.true, some.lesion_ids, some.sources)


def under(images: Tensor, light: Floats) -> Tensor:
    gains = torch.from_numpy(light).float()[:, :, None, None]
    return torch.cat(
        [
            bytes_of(encoded(linear_of(images[at : at + BATCH]) * gains[at : at + BATCH]))
            for at in range(0, len(images), BATCH)
        ]
    )


def none(some: Set) -> NeutralGains:
    n = len(some.true)
    return NeutralGains(np.ones((n, 3)), np.zeros(n, dtype=np.bool_))


def grey(some: Set) -> NeutralGains:
    gains = np.stack([shades_of_grey_gains(image.permute(1, 2, 0).numpy()) for image in some.images])
    return NeutralGains(gains, np.ones(len(gains), dtype=np.bool_))


def anchors(some: Set) -> NeutralGains:
    parts = [
        neutral_gains(images, lesions, find_skin(images, lesions))
        for images, lesions in zip(some.images.split(BATCH), some.lesions.split(BATCH), strict=True)
    ]
    return NeutralGains(np.concatenate([part.gains for part in parts]), np.concatenate([part.known for part in parts]))


def source(some: Set) -> NeutralGains:
    return pooled_gains(anchors(some), some.sources)


CONSTANCIES: dict[str, Callable[[Set], NeutralGains]] = {
    "none": none,
    "shades_of_grey": grey,
    "neutral_anchor": anchors,
    "source": source,
}


def angles(some: Set, gains: Floats | None = None) -> Floats:
    parts = zip(some.images.split(BATCH), some.lesions.split(BATCH), strict=True)
    found = []
    for at, (images, lesions) in enumerate(parts):
        own = None if gains is None else torch.from_numpy(gains[at * BATCH : (at + 1) * BATCH])
        found.append(measure_tone(images, lesions, gains=own).ita_degrees)
    return np.concatenate(found)


def flags_of(some: Set) -> list[tuple[str, ...]]:
    parts = zip(some.images.split(BATCH), some.lesions.split(BATCH), strict=True)
    return [flags for images, lesions in parts for flags in measure_tone(images, lesions).flags]


def judged(some: Set, found: NeutralGains) -> dict[str, str]:
    error = np.abs(angles(some, found.gains) - some.true)
    known = np.isfinite(error)
    low, high = interval(error[known], some.lesion_ids[known])
    spread = np.quantile(error[known], [0.5, 0.9])
    return {
        "corrected": str(int(found.known.sum())),
        "measured": str(int(known.sum())),
        "median_error": f"{spread[0]:.2f}",
        "low": f"{low:.2f}",
        "high": f"{high:.2f}",
        "p90_error": f"{spread[1]:.2f}",
    }


def interval(errors: Floats, clusters: NDArray[np.int64]) -> tuple[float, float]:
    """95 % percentile interval of the median, whole lesions resampled."""
    order = np.argsort(errors)
    _, numbers = np.unique(clusters, return_inverse=True)
    n = numbers.max() + 1
    drawn = numpy_generator(0, "constancy").multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    weights = drawn[:, numbers[order]].cumsum(axis=1)
    medians = errors[order][(weights >= weights[:, -1:] / 2).argmax(axis=1)]
    low, high = np.quantile(medians, [0.025, 0.975])
    return float(low), float(high)


def real(ham: Store) -> None:
    rows = np.flatnonzero(ham.table["has_mask"].to_numpy(dtype=np.bool_))
    images = torch.from_numpy(ham.images[rows].transpose(0, 3, 1, 2).copy())
    assert ham.masks is not None, "prepared without --masks"
    lesions = torch.from_numpy(ham.masks[rows] > 127)
    some = Set(images, lesions, np.full(len(rows), np.nan), ham.clusters[rows], [None] * len(rows))
    found = anchors(some)
    before, after = angles(some), angles(some, found.gains)
    flagged = np.array(["cast" in flags for flags in flags_of(some)])
    print(f"HAM10000: {len(rows)} images, {np.isfinite(before).sum()} measured, {flagged.sum()} flagged cast")
    known = [int(np.isfinite(values[found.known]).sum()) for values in (before, after)]
    print(f"something white in {found.known.sum()}; of these measured {known[0]} without, {known[1]} with it")
    order = np.argsort(some.lesion_ids, kind="stable")
    first, second = order[:-1], order[1:]
    both = (some.lesion_ids[first] == some.lesion_ids[second]) & (found.known[first] | found.known[second])
    both &= np.isfinite(before[first] + before[second] + after[first] + after[second])
    for name, values in (("none", before), ("neutral_anchor", after)):
        apart = np.abs(values[first] - values[second])[both]
        middle, mean = np.median(apart), apart.mean()
        print(
            f"{name}: images of a lesion differ by {middle:.1f} degrees (median), {mean:.1f} (mean), n = {both.sum()}"
        )


if __name__ == "__main__":
    main()
