import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from zoobot.config import KerasTrainSettings
from zoobot.errors import ModelError
from zoobot.shared.adjustments import Adjustments, adjust
from zoobot.shared.schemas import get_schema
from zoobot.tensorflow.estimators.define_model import DirichletHead, ZoobotTree, precision_of
from zoobot.tensorflow.estimators.random_views import RandomViews
from zoobot.tensorflow.estimators.recipes import find_scale

GZ2 = get_schema("gz2")


@pytest.mark.parametrize("bounds", [(0.05, 100.05), (1.0, 101.0)])
def test_concentrations_stay_in_their_bounds_and_equal_the_formula(bounds):
    head = DirichletHead(30, dropout=0.0, bounds=bounds)
    features = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    concentrations = np.asarray(head(features))
    weights, bias = (np.asarray(values) for values in head.linear.weights)
    expected = bounds[0] + (bounds[1] - bounds[0]) / (1 + np.exp(-(features @ weights + bias)))
    np.testing.assert_allclose(concentrations, expected, rtol=1e-5)
    extreme = np.asarray(head(features * 1000))
    assert (extreme.min() >= bounds[0], extreme.max() <= bounds[1]) == (True, True)


TORCH_HEAD = """
import sys
import numpy as np, torch
from zoobot.pytorch.estimators.define_model import DirichletHead
given = np.load(sys.argv[1])
head = DirichletHead(8, 30, dropout=0.3, bounds=(0.05, 100.05)).eval()
head.linear.weight.data = torch.tensor(given["weights"].T)
head.linear.bias.data = torch.tensor(given["bias"])
np.save(sys.argv[2], head(torch.tensor(given["features"])).detach().numpy())
"""


def test_the_head_equals_that_of_torch(torch_python, tmp_path):
    head = DirichletHead(30, dropout=0.3, bounds=(0.05, 100.05))
    features = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    concentrations = head(features)
    weights, bias = (np.asarray(values) for values in head.linear.weights)
    np.savez(tmp_path / "given.npz", features=features, weights=weights, bias=bias)
    words = [torch_python, "-c", TORCH_HEAD, str(tmp_path / "given.npz"), str(tmp_path / "found.npy")]
    subprocess.run(words, check=True)
    np.testing.assert_allclose(concentrations, np.load(tmp_path / "found.npy"), rtol=1e-5)


def test_the_head_starts_from_given_concentrations():
    head = DirichletHead(3, dropout=0.0, bounds=(0.05, 100.05))
    head.build((None, 8))
    head.start_from([0.3, 7.0, 50.0])
    np.testing.assert_allclose(head(np.zeros((1, 8))), [[0.3, 7.0, 50.0]], rtol=1e-4)


def test_the_head_stays_float32_in_mixed_precision(tiny):
    model = ZoobotTree(GZ2, tiny.model_copy(update={"precision": "bf16-mixed"}))
    assert model.encoder.compute_dtype == "bfloat16"
    assert model(np.zeros((2, 48, 48, 1), np.uint8)).dtype == tf.float32
    assert keras.config.dtype_policy().name == "float32"


# MobileNetV2 takes images in 0-1 here, the others rescale inside
@pytest.mark.parametrize(
    ("architecture", "scale"), [("EfficientNetB0", 255), ("MobileNetV3Small", 255), ("MobileNetV2", 1)]
)
@pytest.mark.parametrize("color", [False, True])
def test_encoders_of_keras_in_grey_or_color(architecture, scale, color):
    if color and architecture != "MobileNetV3Small":
        pytest.skip("one in colour is enough")
    model = ZoobotTree(GZ2, KerasTrainSettings(architecture=architecture, image_size=64, color=color))
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3 if color else 1), np.uint8)
    assert model.scale == scale
    assert model(images).shape == (2, 30)
    np.testing.assert_allclose(model(images / np.float32(255)), model(images), rtol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "scale"),
    [
        (lambda: keras.applications.ConvNeXtTiny(include_top=False, weights=None, input_shape=(64, 64, 3)), 255),
        (lambda: keras.applications.ConvNeXtTiny(include_top=False, weights=None, input_shape=(64, 64, 1)), 1),
        (lambda: keras.Sequential([keras.Input((64, 64, 1)), layers.Rescaling(1 / 127.5, -1)]), 255),
        (lambda: keras.Sequential([keras.Input((64, 64, 1)), layers.Rescaling(2, -1)]), 1),
        (lambda: keras.Sequential([keras.Sequential([keras.Input((64, 64, 1)), layers.Rescaling(1 / 255)])]), 255),
    ],
)
def test_what_encoders_want_is_seen_in_their_layers(encoder, scale):
    assert find_scale(encoder()) == scale


def test_an_unknown_architecture_names_its_neighbour():
    with pytest.raises(
        ModelError, match=r"keras.applications has no architecture 'EfficientNetB9'. Did you mean 'EfficientNetB\d'"
    ):
        ZoobotTree(GZ2, KerasTrainSettings(architecture="EfficientNetB9"))


@pytest.mark.parametrize(
    ("own_layers", "message"),
    [
        ([layers.Conv2D(4, 3)], r"returns shape \(1, 46, 46, 4\): pool over"),
        ([layers.Conv2D(4, 100)], r"cannot take images of 48 x 48 x 1"),
    ],
)
def test_an_encoder_that_does_not_fit(tiny, own_layers, message):
    with pytest.raises(ModelError, match=message):
        ZoobotTree(GZ2, tiny, keras.Sequential(own_layers))


def smooth_square(size):
    rows, columns = np.mgrid[:size, :size]
    return (127 + 60 * np.sin(rows / 9) + 60 * np.cos(columns / 7)).astype(np.uint8)[:, :, None]


def test_the_central_view_in_the_model_is_that_of_the_pipeline():
    adjustments, image = Adjustments(48, (0.6, 0.8)), smooth_square(69)
    view = RandomViews(adjustments)(image[None] / np.float32(255))
    assert np.abs(view[0] * 255 - adjust(image, adjustments)).max() <= 1


def test_random_views_in_the_model_are_drawn_as_in_the_pipeline():
    adjustments = Adjustments(48, (0.5, 0.7), max_shift=0.1, aspect_bounds=(0.8, 1.25))
    image = smooth_square(80)
    views = np.asarray(RandomViews(adjustments)(np.repeat(image[None] / np.float32(255), 400, 0), training=True)) * 255
    expected = np.stack([adjust(image, adjustments, (0, 0, galaxy)) for galaxy in range(400)])
    assert (np.ptp(views, axis=0) > 0).all()
    for statistic in (np.mean, np.std):
        by_view, by_expected = (statistic(each, axis=(1, 2, 3)) for each in (views, expected.astype(float)))
        assert by_view.mean() == pytest.approx(by_expected.mean(), abs=4 * by_expected.std() / 20)
        assert by_view.std() == pytest.approx(by_expected.std(), rel=0.2)


def test_augmentations_in_the_model_are_of_training_or_on_request(tiny):
    model = ZoobotTree(GZ2, tiny.model_copy(update={"augment_in_model": True}))
    squares = np.repeat(smooth_square(69)[None], 3, 0)
    still, moved = np.asarray(model(squares)), np.asarray(model(squares, random_views=True))
    np.testing.assert_allclose(still[0], still[1], rtol=1e-5)
    assert (moved[0] != moved[1]).any()


def test_precision_is_put_back():
    with precision_of("16-mixed"):
        assert keras.config.dtype_policy().name == "mixed_float16"
    assert keras.config.dtype_policy().name == "float32"
