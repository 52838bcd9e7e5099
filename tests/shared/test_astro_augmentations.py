"""Each augmentation does what its name says, to any image, and always the same to one seed."""

import numpy as np
import pytest
from scipy import ndimage

from zoobot.shared.adjustments import Adjustments, adjust
from zoobot.shared.astro_augmentations import (
    EFFECTS,
    add_brightness_gradient,
    add_gaussian_source,
    add_noise,
    add_sersic_source,
    augment,
    blur_with_psf,
    distort,
    drop_rectangles,
)

SKY = np.full((120, 120, 3), 20, np.uint8)


def rng(seed=0):
    return np.random.default_rng(seed)


def draw_galaxy(side=120, channels=3):
    y, x = np.mgrid[:side, :side] - side / 2
    light = 200 * np.exp(-(x**2 + (2 * y) ** 2) / (0.1 * side) ** 2) + 20
    return np.repeat(light[:, :, np.newaxis], channels, axis=2).astype(np.uint8)


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS)
@pytest.mark.parametrize("shape", [(48, 48, 1), (64, 100, 3), (50, 50, 5), (2, 2, 1)])
def test_any_image_keeps_its_shape_and_one_seed_gives_one_image(effect, shape):
    image = rng(3).integers(0, 256, shape, np.uint8)
    before = image.copy()
    first = effect(image, rng(1))
    assert (first.shape, first.dtype) == (shape, np.uint8)
    np.testing.assert_array_equal(effect(image, rng(1)), first)
    np.testing.assert_array_equal(image, before)
    if min(shape[:2]) > 2:
        assert any((effect(image, rng(seed)) != image).any() for seed in range(5))


@pytest.mark.parametrize("effect", [add_sersic_source, add_gaussian_source])
def test_sources_add_light_in_one_place(effect):
    for seed in range(20):
        added = effect(SKY, rng(seed)).astype(int) - SKY
        assert added.min() >= 0
        peak = np.array(np.unravel_index(added.sum(axis=2).argmax(), SKY.shape[:2]))
        far = np.hypot(*(np.indices(SKY.shape[:2]) - peak[:, np.newaxis, np.newaxis])) > 60
        assert added[far].max(initial=0) <= max(1, added.max() // 4)


def test_a_star_is_a_gaussian():
    added = next(
        added
        for seed in range(50)
        if (added := add_gaussian_source(SKY, rng(seed)).astype(float).sum(axis=2) - 60).max() > 20
        and added[:, [0, -1]].max() == added[[0, -1]].max() == 0
    )
    y, x = np.indices(added.shape)
    spread = [np.average((axis - np.average(axis, weights=added)) ** 2, weights=added) ** 0.5 for axis in (x, y)]
    assert spread[0] == pytest.approx(spread[1], rel=0.1)
    assert 0.5 < spread[0] < 0.025 * 120


def test_missing_data_is_black_and_the_rest_untouched():
    image = draw_galaxy()
    shares = []
    for seed in range(100):
        dropped = drop_rectangles(image, rng(seed))
        changed = dropped != image
        assert (dropped[changed] == 0).all()
        shares.append(changed.any(axis=(0, 1)).tolist())
    assert {sum(channels) for channels in shares} >= {1, 3}


def test_gradient_is_a_plane():
    ramp = add_brightness_gradient(SKY, rng()).astype(float)[:, :, 0] - 20
    y, x = np.indices(ramp.shape)
    design = np.column_stack([x.ravel(), y.ravel(), np.ones(x.size)])
    fitted = design @ np.linalg.lstsq(design, ramp.ravel(), rcond=None)[0]
    np.testing.assert_allclose(ramp.ravel(), fitted, atol=0.6)
    assert ramp.min() == 0
    assert 0.05 * 255 - 1 <= ramp.max() <= 0.25 * 255 + 1


def test_blur_is_a_gaussian_filter_and_keeps_the_light():
    image = rng(2).integers(60, 200, (120, 120, 1), np.uint8)
    blurred = blur_with_psf(image, rng())[:, :, 0].astype(float)
    width = rng().uniform(0.004, 0.015) * 120
    expected = ndimage.gaussian_filter(image[:, :, 0].astype(float), width, mode="mirror")
    np.testing.assert_allclose(blurred, expected, atol=4)
    assert blurred.mean() == pytest.approx(image.mean(), abs=0.5)


def test_noise_has_the_width_it_draws():
    grey = np.full((200, 200, 2), 128, np.uint8)
    for seed in range(5):
        noise = add_noise(grey, rng(seed)).astype(float) - 128
        assert 0.01 * 255 * 0.97 <= noise.std() <= 0.05 * 255 * 1.03
        assert abs(np.corrcoef(noise[:, :, 0].ravel(), noise[:, :, 1].ravel())[0, 1]) < 0.03


def test_distortion_moves_light_a_little():
    image = draw_galaxy()
    for seed in range(10):
        moved = distort(image, rng(seed)).astype(float) - 20
        centre = ndimage.center_of_mass(moved[:, :, 0])
        np.testing.assert_allclose(centre, [60, 60], atol=0.04 * 120)
        assert moved.sum() == pytest.approx((image - 20.0).sum(), rel=0.3)


def test_a_batch_is_its_images_one_by_one():
    images = rng(0).integers(0, 256, (6, 40, 40, 1), np.uint8)
    batch = augment(images, range(6))
    for place in range(6):
        np.testing.assert_array_equal(augment(images[place : place + 1], [place])[0], batch[place])
    np.testing.assert_array_equal(augment(images, range(6), probability=0), images)
    assert (augment(images, range(6), probability=1) != images).any(axis=(1, 2, 3)).all()


def test_training_views_are_augmented_and_others_are_not():
    image = draw_galaxy(100, 1)
    plain, astro = Adjustments(64), Adjustments(64, augmentations="astro")
    np.testing.assert_array_equal(adjust(image, astro), adjust(image, plain))
    keys = [(0, epoch, 7) for epoch in range(20)]
    views = np.stack([adjust(image, astro, key) for key in keys])
    expected = augment(np.stack([adjust(image, plain, key) for key in keys]), keys)
    np.testing.assert_array_equal(views, expected)
    assert (views != np.stack([adjust(image, plain, key) for key in keys])).any(axis=(1, 2, 3)).sum() >= 10
