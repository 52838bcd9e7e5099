"""Views of an image against numpy slicing, and the bounds of random ones read back from their matrices."""

import cv2
import numpy as np
import pytest
from PIL import Image

from zoobot.shared.adjustments import Adjustments, adjust, central_matrix, draw_uniform, random_matrix, smooth, warp
from zoobot.shared.images import read_image

WHOLE = {"crop_bounds": (1.0, 1.0), "max_shift": 0.0, "aspect_bounds": (1.0, 1.0)}


def choose(*, crop=0.5, turn=0.0, flip=0.0, shift=(0.5, 0.5), aspect=0.5):
    """The numbers of a view, each as how far it is between its bounds."""
    return [crop, turn, flip, *shift, aspect]


def draw_noise(height=64, width=64, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def warped(image, matrix, size):
    view = np.zeros((size, size, image.shape[2]), np.uint8)
    warp(image, matrix, view)
    return view


def look(matrix, adjustments, shape):
    """Crop, aspect, shift (x, y) and handedness of a view, from its matrix alone."""
    shorter = min(shape[:2])
    corners = np.array(
        [[-0.5, -0.5, 1], [adjustments.image_size - 0.5, -0.5, 1], [-0.5, adjustments.image_size - 0.5, 1]]
    )
    origin, right, down = corners @ matrix.T
    width, height = np.linalg.norm(right - origin), np.linalg.norm(down - origin)
    centre = matrix @ [(adjustments.image_size - 1) / 2, (adjustments.image_size - 1) / 2, 1]
    shift = (centre - [(shape[1] - 1) / 2, (shape[0] - 1) / 2]) / shorter
    return np.sqrt(width * height) / shorter, width / height, shift, np.sign(np.linalg.det(matrix[:, :2]))


# --- fixed views ---


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_whole_image_at_its_own_size_is_returned_exactly(channels):
    image = draw_noise(channels=channels)
    np.testing.assert_array_equal(adjust(image, Adjustments(64, **WHOLE)), image)


@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 100), (96, 64)])
def test_central_crop_on_whole_pixels_equals_slicing(height, width, channels):
    image = draw_noise(height, width, channels)
    view = adjust(image, Adjustments(32, crop_bounds=(0.25, 0.75)))
    top, left = (height - 32) // 2, (width - 32) // 2
    np.testing.assert_array_equal(view, image[top : top + 32, left : left + 32])


def test_half_a_pixel_is_the_mean_of_neighbours():
    """65 pixels with an input of 64: every output pixel lies between four."""
    image = draw_noise(65, 65)
    adjustments = Adjustments(64, crop_bounds=(64 / 65, 64 / 65))
    pixels = image.astype(float)
    means = (pixels[:-1, :-1] + pixels[:-1, 1:] + pixels[1:, :-1] + pixels[1:, 1:]) / 4
    view = warped(image, central_matrix(adjustments, image.shape), 64)
    assert np.abs(view - means).max() <= 1


@pytest.mark.parametrize(("quarter", "flip"), [(0, 1), (1, 1), (2, 1), (3, 1), (0, -1), (1, -1)])
def test_right_angles_and_flips_equal_numpys(quarter, flip):
    image = draw_noise()
    chosen = choose(turn=quarter / 4, flip=0.0 if flip == 1 else 0.9)
    view = warped(image, random_matrix(Adjustments(64, **WHOLE), image.shape, chosen), 64)
    expected = np.rot90(image, quarter)
    np.testing.assert_array_equal(view, expected if flip == 1 else expected[:, ::-1])


def test_shift_moves_the_cut_by_a_fraction_of_the_shorter_side():
    image = draw_noise(64, 100)
    adjustments = Adjustments(32, crop_bounds=(0.5, 0.5), max_shift=0.25)
    view = warped(image, random_matrix(adjustments, image.shape, choose(shift=(1.0, 0.25))), 32)
    np.testing.assert_array_equal(view, image[16 - 8 : 48 - 8, 34 + 16 : 66 + 16])


def test_aspect_makes_the_cut_wider_than_high():
    adjustments = Adjustments(32, crop_bounds=(0.5, 0.5), aspect_bounds=(0.25, 4.0))
    matrix = random_matrix(adjustments, (64, 64, 1), choose(aspect=1.0))
    crop, aspect, shift, _ = look(matrix, Adjustments(32), (64, 64))
    assert (crop, aspect) == (pytest.approx(0.5), pytest.approx(4.0))
    np.testing.assert_allclose(shift, 0, atol=1e-12)


def test_beyond_the_border_the_image_is_mirrored():
    image = draw_noise(32, 32)
    matrix = np.array([[1.0, 0, -8], [0, 1, -8]])
    np.testing.assert_array_equal(warped(image, matrix, 48), np.pad(image, ((8, 8), (8, 8), (0, 0)), mode="reflect"))


# --- random views ---


@pytest.mark.parametrize("shape", [(100, 100, 1), (60, 130, 3), (200, 90, 1)])
def test_random_views_fill_their_bounds_and_stay_inside(shape):
    adjustments = Adjustments(48, crop_bounds=(0.6, 0.8), max_shift=0.1, aspect_bounds=(0.8, 1.25))
    matrices = [random_matrix(adjustments, shape, draw_uniform((0, 0, row))) for row in range(2000)]
    views = [look(matrix, adjustments, shape) for matrix in matrices]
    for values, (low, high) in (
        (np.array([crop for crop, *_ in views]), (0.6, 0.8)),
        (np.array([aspect for _, aspect, *_ in views]), (0.8, 1.25)),
        (np.concatenate([shift for _, _, shift, _ in views]), (-0.1, 0.1)),
    ):
        assert low - 1e-9 <= values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high + 1e-9
    assert np.mean([hand for *_, hand in views]) == pytest.approx(0, abs=4 / np.sqrt(2000))


def test_angles_are_uniform():
    adjustments = Adjustments(48, aspect_bounds=(1.0, 1.0))
    matrices = [random_matrix(adjustments, (64, 64), draw_uniform((1, epoch, 7))) for epoch in range(2000)]
    angles = np.array([np.arctan2(matrix[0, 1], matrix[1, 1]) for matrix in matrices])
    counts = np.histogram(angles, np.linspace(-np.pi, np.pi, 9))[0]
    assert np.abs(counts - 250).max() < 4 * np.sqrt(250)


def test_view_follows_from_its_key_alone():
    image, adjustments = draw_noise(80, 80), Adjustments(48)
    view = adjust(image, adjustments, (0, 1, 2))
    np.testing.assert_array_equal(adjust(image.copy(), adjustments, (0, 1, 2)), view)
    others = [adjust(image, adjustments, key) for key in ((1, 1, 2), (0, 2, 2), (0, 1, 3), (0, 2, 1))]
    others.append(adjust(image, adjustments))
    assert all((other != view).any() for other in others)
    np.testing.assert_array_equal(adjust(image, adjustments), adjust(image, adjustments))


@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize("shape", [(424, 424), (20, 20), (30, 500), (1, 1), (1, 300)])
def test_every_image_becomes_a_square_of_the_asked_size(shape, channels):
    image = np.full((*shape, channels), 200, np.uint8)
    for key in (None, (0, 0, 0)):
        view = adjust(image, Adjustments(48), key)
        assert (view.shape, view.dtype) == ((48, 48, channels), np.uint8)
        assert (view == 200).all()


def test_views_keep_channels_apart():
    image = np.dstack([np.full((90, 90), value, np.uint8) for value in (10, 120, 250)])
    assert np.unique(adjust(image, Adjustments(48), (3, 2, 1)).reshape(-1, 3), axis=0).tolist() == [[10, 120, 250]]


# --- reduction ---


@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize("factor", [2, 4])
def test_reduction_by_a_whole_factor_equals_block_means(factor, channels):
    image = draw_noise(80, 120, channels)
    reduced = smooth(image, 80 // factor)
    blocks = image.reshape(80 // factor, factor, 120 // factor, factor, channels).mean(axis=(1, 3))
    assert reduced.shape == blocks.shape
    assert np.abs(reduced - blocks).max() <= 0.5 + 1e-6


def test_smaller_image_is_not_enlarged():
    image = draw_noise(30, 50)
    assert smooth(image, 30) is image
    assert smooth(image, 64) is image
    assert smooth(draw_noise(300, 50), 25).shape == (150, 25, 3)


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_smoothing_keeps_a_ramp_and_averages_noise(channels):
    """A Gaussian of the width that sampling every 1.5 pixels needs."""
    ramp = np.repeat(np.arange(0, 240, 2, dtype=np.uint8)[np.newaxis, :, np.newaxis], 90, axis=0).repeat(
        channels, axis=2
    )
    np.testing.assert_array_equal(smooth(ramp, 60)[:, 3:-3], ramp[:, 3:-3])
    noise = draw_noise(90, 120, channels)
    expected = cv2.GaussianBlur(np.ascontiguousarray(noise[:, :, 0]), (3, 3), np.sqrt(1.5**2 - 1) / 2)
    np.testing.assert_allclose(smooth(noise, 60)[:, :, 0].astype(int), expected, atol=1)


@pytest.mark.parametrize("size", [96, 128, 224, 300])
def test_views_of_real_galaxies_equal_those_of_an_antialiasing_resize(shared_data, size):
    for path in sorted((shared_data / "gz2" / "images").glob("*.jpg"))[:5]:
        image = read_image(path)
        expected = np.asarray(Image.fromarray(image[:, :, 0]).resize((size, size), Image.Resampling.BILINEAR), int)
        assert np.abs(adjust(image, Adjustments(size))[:, :, 0] - expected).mean() < 1.5


def test_reading_size_leaves_one_pixel_for_each_pixel_of_a_mean_crop():
    assert Adjustments(96, crop_bounds=(0.6, 0.8)).reading_size == 137  # 96 / 0.7
    assert Adjustments(64, crop_bounds=(1.0, 1.0)).reading_size == 64


def test_reduction_does_not_alias():
    """Stripes finer than the result can show become grey, not other stripes."""
    stripes = np.tile(np.array([0, 255], np.uint8), (400, 200))[:, :, np.newaxis]
    assert np.ptp(adjust(stripes, Adjustments(50, crop_bounds=(0.5, 0.5))).astype(int)) <= 2


def test_settings_survive_as_plain_data():
    adjustments = Adjustments(48, crop_bounds=(0.5, 0.9))
    assert Adjustments(**adjustments.to_dict()) == adjustments
