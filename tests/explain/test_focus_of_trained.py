"""Focus tells what a trained network decides by: the same images, labelled once by the lesion, once by the vignette."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mindgap.core.groups import Groups
from mindgap.data.augment import normalize
from mindgap.data.synthesis.morphology import draw_morphology
from mindgap.data.synthesis.overlay import frame_light
from mindgap.data.synthesis.population import draw_population
from mindgap.data.synthesis.scene import paint
from mindgap.explain.explainer import EXPLAINERS
from mindgap.explain.focus import Focus, focus
from mindgap.explain.focus_by_group import focus_by_group
from mindgap.explain.focus_records import FocusOptions
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.network import Network

PX, TRAINED, SHOWN = 32, 384, 128
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True, eq=False)
class Scenes:
    """Dermoscopy-like images in which two coins were tossed: is the lesion bluish, is there a dark vignette."""

    images: torch.Tensor
    masks: torch.Tensor
    bluish: torch.Tensor
    vignette: torch.Tensor


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    n = TRAINED + SHOWN
    population = draw_population(n, dark_share=0.3, seed=0)
    pictures = paint(np.arange(n), population, draw_morphology(population, bias=0.0, seed=0), size=PX, seed=0)
    generator = np.random.default_rng(0)
    bluish, vignette = generator.integers(2, size=(2, n))
    images = pictures.images.astype(np.float32)
    images[..., 2] += 90 * (bluish[:, None, None] * pictures.masks)
    position = np.tile((2 * (np.arange(PX, dtype=np.float32) + 0.5) / PX - 1)[None], (n, 1))
    images *= np.where(vignette, frame_light(position, np.tile([0, 0, 0.9, 0.03], (n, 1))).T, 1).T[..., None]
    pixels = torch.from_numpy(np.clip(images, 0, 255).astype(np.uint8))
    coins = (torch.from_numpy(coin) for coin in (bluish, vignette))
    return Scenes(normalize(pixels, mean=HALF, std=HALF), torch.from_numpy(pictures.masks), *coins)


def trained(images: torch.Tensor, labels: torch.Tensor, *, seed: int) -> Network:
    network = Architecture(
        name="small",
        input_px=PX,
        num_classes=2,
        stem=Stem(channels=8),
        blocks=(BlockSpec(type="rb", out_channels=16, stride=2, choices={"kernel": 3, "hidden_channels": 8}),),
        head=Head(width=16),
    ).build(seed=seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    order = torch.Generator().manual_seed(seed)
    for _ in range(10):
        for rows in torch.randperm(len(images), generator=order).split(64):
            optimizer.zero_grad()
            F.cross_entropy(network(images[rows]), labels[rows]).backward()
            optimizer.step()
    return network.eval()


@dataclass(frozen=True, eq=False)
class Looks:
    """What networks trained on the two labels look at."""

    by_lesion: Network
    by_vignette: Network


@pytest.fixture(scope="module")
def looks(scenes: Scenes) -> Looks:
    rest = scenes.images[:TRAINED]
    found = Looks(*(trained(rest, coin[:TRAINED], seed=0) for coin in (scenes.bluish, scenes.vignette)))
    with torch.no_grad():
        for network, coin in ((found.by_lesion, scenes.bluish), (found.by_vignette, scenes.vignette)):
            right = network(scenes.images[TRAINED:]).argmax(dim=1) == coin[TRAINED:]
            assert right.float().mean() > 0.9, "what is looked at means nothing before the label is learned"
    return found


@pytest.mark.parametrize("name", EXPLAINERS.names())
def test_more_mass_is_outside_the_lesion_where_the_vignette_is_the_label(
    name: str, scenes: Scenes, looks: Looks
) -> None:
    images, masks = scenes.images[TRAINED:], scenes.masks[TRAINED:]
    explainer = EXPLAINERS.get(name)()
    of_lesion = focus(explainer.maps(looks.by_lesion, images, scenes.bluish[TRAINED:]), masks)
    of_vignette = focus(explainer.maps(looks.by_vignette, images, scenes.vignette[TRAINED:]), masks)
    both = zip((of_lesion.values, of_lesion.why), (of_vignette.values, of_vignette.why), strict=True)
    record = focus_by_group(
        Focus(*map(np.concatenate, both)),
        Groups("label", ("lesion", "vignette"), np.repeat([0, 1], SHOWN)),
        clusters=np.arange(2 * SHOWN),
        labels=np.zeros(2 * SHOWN, dtype=np.int64),
        options=FocusOptions(bootstrap=200, permutations=99),
    )
    assert sum(record["undefined"].values()) < SHOWN / 10
    assert record["groups"]["lesion"]["high"] < 1 < record["groups"]["vignette"]["low"]
    assert record["gap"]["low"] > 0.2
    assert record["gap"]["p_value"] == 0.01
