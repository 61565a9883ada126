from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from mindgap.core.errors import ShapeError
from mindgap.tone.lab import bytes_of, lab_of, rgb_of
from mindgap.tone.normalize import edge_width_px, shift_skin
from mindgap.tone.shift import Shift, ShiftSettings, angle_degrees, find_shift
from mindgap.tone.skin import find_skin

SIZE = 64


def moved(*values, possible=None) -> Shift:
    lightness, yellowness = np.array(values, dtype=np.float64).T
    known = np.ones(len(values), dtype=np.bool_) if possible is None else np.array(possible)
    return Shift(lightness, yellowness, known)


def skin(lightness=70.0, yellowness=15.0, *, size=SIZE, noise=0.0) -> torch.Tensor:
    """One image of skin, uint8 (1, 3, size, size)."""
    generator = torch.Generator().manual_seed(0)
    lab = torch.tensor([lightness, 12.0, yellowness])[None, :, None, None].expand(1, 3, size, size)
    return bytes_of(rgb_of(lab + noise * torch.randn(lab.shape, generator=generator)))


def disk(size=SIZE, radius=12) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (((rows - size / 2) ** 2 + (columns - size / 2) ** 2) < radius**2)[None]


def nowhere(images: torch.Tensor) -> torch.Tensor:
    return torch.zeros((len(images), *images.shape[2:]), dtype=torch.bool)


def test_what_is_no_skin_is_copied_bit_for_bit():
    images, lesions = skin(noise=5), disk()
    hair = torch.rand((1, SIZE, SIZE), generator=torch.Generator().manual_seed(1)) < 0.1
    twins = shift_skin(images, lesions=lesions, others=hair, shift=moved((-12, 3)))
    fixed = (lesions | hair)[:, None].expand_as(images)
    assert torch.equal(twins[fixed], images[fixed])
    changed = (twins != images).any(dim=1)
    assert float(changed[~(lesions | hair)].float().mean()) > 0.99


@pytest.mark.parametrize("target", [-45.0, -10.0, 20.0, 35.0, 48.0])
@pytest.mark.parametrize("start", [(70.0, 15.0), (62.0, 20.0), (40.0, 22.0)])
def test_even_skin_has_the_angle_asked_for(start, target):
    """To the rounding of bytes: a degree and a half."""
    images = skin(*start)
    lightness, _, yellowness = lab_of(images)[0, :, 0, 0].double().numpy()
    shift = find_shift(
        np.array([lightness]), np.array([yellowness]), np.array([target]), settings=ShiftSettings(steps=0)
    )
    twins = shift_skin(images, lesions=nowhere(images), others=nowhere(images), shift=shift)
    found = lab_of(twins)[0, :, 5, 5].double().numpy()
    assert angle_degrees(found[0], found[2]) == pytest.approx(target, abs=1.5)
    assert found[1] == pytest.approx(12, abs=1.5), "how red it is stays"


def test_an_image_without_a_shift_is_its_own_twin():
    images = torch.cat([skin(noise=4), skin(noise=4)])
    both = torch.cat([disk(), disk()])
    twins = shift_skin(
        images, lesions=both, others=nowhere(images), shift=moved((-9, 1), (0, 0), possible=[True, False])
    )
    assert not torch.equal(twins[0], images[0])
    assert torch.equal(twins[1], images[1])


def test_a_batch_is_shifted_as_each_alone():
    images, lesions = torch.cat([skin(noise=4), skin(50, 20, noise=4)]), torch.cat([disk(), disk(radius=20)])
    hair = torch.rand(lesions.shape, generator=torch.Generator().manual_seed(1)) < 0.05
    together = shift_skin(images, lesions=lesions, others=hair, shift=moved((-9, 1), (12, -4)))
    for i, values in enumerate([(-9, 1), (12, -4)]):
        one = slice(i, i + 1)
        alone = shift_skin(images[one], lesions=lesions[one], others=hair[one], shift=moved(values))
        assert torch.equal(alone, together[one])


def test_the_new_skin_runs_softly_into_the_lesion():
    """A lesion of the old skin's colour: next to it the skin is between the old and the new, further away it is new."""
    images, lesions = skin(), disk()
    twins = shift_skin(images, lesions=lesions, others=nowhere(images), shift=moved((-20, 0)))
    lightness = lab_of(twins)[0, 0]
    width = edge_width_px(SIZE)
    distance = torch.as_tensor(ndimage.distance_transform_cdt((~lesions[0]).numpy(), "chessboard"))
    at_edge = [float(lightness[distance == step].mean()) for step in range(1, width + 3)]
    assert at_edge[0] > at_edge[1] > 50.2
    assert at_edge[width:] == pytest.approx([50, 50], abs=0.3)
    assert torch.equal(twins[:, :, lesions[0]], images[:, :, lesions[0]])


def test_a_matte_moves_the_skin_of_a_mask_that_is_too_large():
    """A dark spot of radius 8 under a mask of radius 20: the rim is skin, and has its new tone without a seam."""
    images, spot, mask = skin(), disk(radius=8), disk(radius=20)
    images = torch.where(spot[:, None], skin(35, 15), images)
    asked = {"lesions": mask, "others": nowhere(images), "shift": moved((-20, 0))}
    blur, matte = (shift_skin(images, **asked, edge=edge) for edge in ("blur", "matte"))
    before = lab_of(images)[0, 0]
    depth = torch.as_tensor(ndimage.distance_transform_cdt(mask[0].numpy(), "chessboard"))
    outside = torch.as_tensor(ndimage.distance_transform_cdt(~mask[0].numpy(), "chessboard"))

    def step(twins):
        by = lab_of(twins)[0, 0] - before
        return abs(float(by[depth == 1].mean() - by[outside == 1].mean()))

    assert step(blur) > 8
    assert step(matte) < 2
    core = depth > 6  # a tenth of 64 pixels
    assert torch.equal(matte[0][:, core], images[0][:, core])
    assert float((lab_of(matte)[0, 0] - before)[outside > 4].mean()) == pytest.approx(-20, abs=0.5)


def test_a_matte_leaves_an_image_without_a_shift_or_without_skin():
    images, whole = skin(noise=4), torch.ones((1, SIZE, SIZE), dtype=torch.bool)
    for lesions, shift in ((disk(), moved((0, 0), possible=[False])), (whole, moved((-9, 1)))):
        twins = shift_skin(images, lesions=lesions, others=nowhere(images), shift=shift, edge="matte")
        assert torch.equal(twins, images)


def test_what_is_lighter_than_the_new_skin_is_no_hair_on_it():
    images = skin()
    images[:, :, 20, :] = skin(55)[:, :, 20, :]
    images[:, :, 40, :] = skin(20)[:, :, 40, :]
    finding = find_skin(images, nowhere(images))
    assert finding.others[0, [20, 40]].all()
    assert torch.equal(finding.others_on(np.array([70.0])), finding.others)
    on_dark = finding.others_on(np.array([45.0]))
    assert on_dark[0, 40].all()
    assert not on_dark[0, 20].any()


@pytest.mark.parametrize(("size", "width"), [(8, 2), (64, 2), (128, 3), (224, 4), (512, 10)])
def test_the_edge_is_two_per_cent_and_two_pixels_at_least(size, width):
    assert edge_width_px(size) == width


@pytest.mark.parametrize("size", [1, 8, 9])
def test_tiny_images_and_whole_lesions(size):
    images = skin(size=size)
    whole = torch.ones((1, size, size), dtype=torch.bool)
    assert torch.equal(shift_skin(images, lesions=whole, others=nowhere(images), shift=moved((-20, 0))), images)
    twins = shift_skin(images, lesions=nowhere(images), others=nowhere(images), shift=moved((-20, 0)))
    assert float(lab_of(twins)[0, 0].mean()) == pytest.approx(50, abs=0.5)


def test_masks_of_another_size_are_refused():
    images = skin()
    with pytest.raises(ShapeError, match=r"1 images of 64×64: masks are \(1, 8, 8\) and \(1, 64, 64\), shifts are 1"):
        shift_skin(images, lesions=nowhere(skin(size=8)), others=nowhere(images), shift=moved((0, 0)))
    with pytest.raises(ShapeError, match="shifts are 2"):
        shift_skin(images, lesions=nowhere(images), others=nowhere(images), shift=moved((0, 0), (0, 0)))
