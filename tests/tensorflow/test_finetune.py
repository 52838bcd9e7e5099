"""Finetuning: frozen parts are frozen, encoders of Keras have blocks, losses are those of the formulas."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from zoobot.errors import CatalogError, ModelError, OutputError, SettingError
from zoobot.shared.adjustments import Adjustments
from zoobot.shared.finetuning_runs import warm_up_then_cosine
from zoobot.shared.schemas import get_schema
from zoobot.tensorflow.estimators.random_views import RandomViews
from zoobot.tensorflow.training.blocks import find_blocks
from zoobot.tensorflow.training.finetune import (
    FinetuneableZoobotClassifier,
    FinetuneableZoobotRegressor,
    FinetuneableZoobotTree,
    get_trainer,
)
from zoobot.tensorflow.training.optimizers import BlockwiseAdamW, WarmUpThenCosine

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 48, 48, 1), np.uint8)
CLASSES = np.tile([0, 1, 2], 4)


def staged():
    """Three resolutions with batch norm, squeeze and excitation, and dropout in each."""
    size = inputs = keras.Input((48, 48, 1))
    for width in (4, 8, 16):
        size = layers.ZeroPadding2D()(size)
        size = layers.Conv2D(width, 3, strides=2)(size)
        size = layers.BatchNormalization()(size)
        excited = layers.Dense(width, "sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(size))
        size = layers.SpatialDropout2D(0.5)(layers.ReLU()(size * excited))
    return keras.Model(inputs, layers.LayerNormalization()(layers.GlobalAveragePooling2D()(size)))


def twice(encoder):
    return keras.Model(encoder.input, [encoder.output, encoder.output])


def small(kind, *arguments, **named):
    return kind(*arguments, encoder=staged(), **{"image_size": 48, **named})


def pairs(labels, images=IMAGES, batch_size=4):
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch_size)
    return data, data


@pytest.fixture
def fit(tmp_path):
    def run(model, labels, max_epochs=2, **changes):
        return get_trainer(tmp_path / "OWN", max_epochs, device="cpu").fit(model, pairs(labels, **changes))

    return run


def values_of(parts):
    return [np.asarray(weights) for layer in parts for weights in layer.weights]


@pytest.mark.parametrize("n_blocks", [0, 1, 3])
def test_frozen_means_frozen(n_blocks, fit):
    model = small(FinetuneableZoobotClassifier, 3, n_blocks=n_blocks)
    blocks = find_blocks(model.encoder)
    before = [values_of(block) for block in blocks]
    fit(model, CLASSES)
    is_same = [all(map(np.array_equal, old, values_of(block))) for old, block in zip(before, blocks, strict=True)]
    assert is_same == [True] * (3 - n_blocks) + [False] * n_blocks
    learning = {id(weights) for block in blocks[3 - n_blocks :] for layer in block for weights in layer.weights}
    assert {id(weights) for weights in model.encoder.trainable_weights} <= learning


def test_a_frozen_encoder_sees_alike_in_training():
    images = IMAGES / np.float32(255)
    model = small(FinetuneableZoobotClassifier, 3)
    alone = np.asarray(model.encode(images))
    np.testing.assert_array_equal(model.encode(images, training=True), alone)
    wholly = small(FinetuneableZoobotClassifier, 3, n_blocks=3)
    assert np.abs(np.asarray(wholly.encode(images, training=True)) - wholly.encode(images)).max() > 0.1


def test_blocks_that_were_frozen_before_learn_when_they_are_to():
    encoder = staged()
    FinetuneableZoobotClassifier(3, encoder=encoder, image_size=48)
    assert not encoder.trainable_weights
    FinetuneableZoobotClassifier(3, encoder=encoder, image_size=48, n_blocks=3)
    images = IMAGES / np.float32(255)
    assert len(encoder.trainable_weights) == 20
    assert (np.asarray(encoder(images, training=True)) != np.asarray(encoder(images))).any()


@pytest.mark.parametrize(
    ("architecture", "n_blocks"), [("EfficientNetB0", 5), ("MobileNetV3Small", 5), ("ResNet50", 5), ("VGG16", 5)]
)
@pytest.mark.parametrize("size", [96, 224])
def test_blocks_of_the_encoders_of_keras(architecture, n_blocks, size):
    encoder = getattr(keras.applications, architecture)(
        include_top=False, weights=None, input_shape=(size, size, 1), pooling="avg"
    )
    blocks = find_blocks(encoder)
    assert [id(layer) for block in blocks for layer in block] == [id(layer) for layer in encoder.layers]
    assert len(blocks) == n_blocks
    assert all(sum(layer.count_params() for layer in block) > 100 for block in blocks)


def test_blocks_of_ones_own_encoder_and_of_a_model_inside_it():
    inside = keras.Sequential([keras.Input((48, 48, 1)), staged(), layers.Dense(4)])
    first, second, third = (len(block) for block in find_blocks(staged()))
    assert [len(block) for block in find_blocks(inside)] == [first, second, third + 1]

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.norm, self.second = layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Conv2D(4, 3)

        def call(self, images, training=False):
            return keras.ops.mean(self.second(self.norm(self.first(images), training=training)), axis=(1, 2))

    own = Own()
    own(np.zeros((1, 48, 48, 1)))
    assert [len(block) for block in find_blocks(own)] == [1, 1, 1]


def test_too_many_blocks():
    with pytest.raises(SettingError, match=r"n_blocks must be at most 3: the encoder has no more\. Got 4 instead"):
        small(FinetuneableZoobotClassifier, 3, n_blocks=4)


def test_learning_rates_fall_from_the_head_down_and_only_weights_decay():
    model = small(FinetuneableZoobotClassifier, 3, n_blocks=2, lr_decay=0.5, learning_rate=0.1, weight_decay=0.2)
    before = [np.asarray(weights) for weights in model.trainable_variables]
    optimizer = model.build_optimizer(10)
    optimizer.apply([np.zeros(weights.shape, np.float32) for weights in before], model.trainable_variables)
    in_block = [id(layer) for layer in find_blocks(model.encoder)[2]]
    for layer in [*model.encoder.layers, model.head.linear]:
        rate = {True: 0.05, False: 0.025}[id(layer) in in_block] if layer is not model.head.linear else 0.1
        for weights in layer.trainable_variables:
            old = before[[id(each) for each in model.trainable_variables].index(id(weights))]
            shrunk = 1 - rate * 0.2 if old.ndim > 1 else 1
            np.testing.assert_allclose(weights, old * shrunk, rtol=1e-6)


def test_one_step_is_that_of_adamw():
    start, gradient = np.float32([[1.0, -2.0], [3.0, 0.5]]), np.float32([[0.3, -0.1], [0.2, 0.4]])
    variable = keras.Variable(start)
    optimizer = BlockwiseAdamW(0.1, [0.5], 0.2, None)
    moment, square, expected = 0, 0, start.astype(float)
    for step in (1, 2, 3):
        optimizer.apply([gradient * step], [variable])
        moment, square = 0.9 * moment + 0.1 * gradient * step, 0.999 * square + 0.001 * (gradient * step) ** 2
        corrected = moment / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        expected = expected * (1 - 0.05 * 0.2) - 0.05 * corrected
    np.testing.assert_allclose(variable, expected, rtol=1e-5)


def test_the_schedule_is_that_of_pytorch():
    schedule = WarmUpThenCosine(2.0, 5, 2, 10, 0.1)
    for step in (0, 1, 5, 9, 10, 20, 49, 50, 70):
        assert float(schedule(step)) == pytest.approx(2 * warm_up_then_cosine(step / 5, 2, 10, 0.1), rel=1e-5)


# --- losses against the formulas ---


def softmax(outputs):
    return np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)


def test_loss_of_classes():
    outputs, weights, smoothing = RNG.normal(size=(12, 3)), np.array([1.0, 2.0, 4.0]), 0.1
    loss = small(FinetuneableZoobotClassifier, 3, smoothing, weights.tolist()).build_loss()
    target = np.eye(3)[CLASSES] * (1 - smoothing) + smoothing / 3
    expected = -(target * weights * np.log(softmax(outputs))).sum(axis=1).mean()
    predictions = softmax(outputs).astype(np.float32)
    assert float(loss(CLASSES, predictions)) == pytest.approx(expected, rel=1e-5)
    assert float(loss(np.eye(3)[CLASSES], predictions)) == pytest.approx(expected, rel=1e-5)


def test_loss_of_several_answers():
    p, labels = 1 / (1 + np.exp(-RNG.normal(size=(12, 3)))), RNG.random((12, 3))
    loss = small(FinetuneableZoobotClassifier, 3, 0.2, [1.0, 2.0, 3.0], multi_label=True).build_loss()
    target = labels * 0.8 + 0.1
    expected = -(np.array([1, 2, 3]) * (target * np.log(p) + (1 - target) * np.log(1 - p))).mean()
    assert float(loss(labels, p)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("multi_label", [True, False])
def test_a_confident_mistake_is_learned_from(multi_label):
    """In training, where the loss finds what was before the sigmoid; a softmax keeps small probabilities."""
    model = small(FinetuneableZoobotClassifier, 2, multi_label=multi_label)
    loss, bias = model.build_loss(), model.head.linear.bias
    bias.assign([50.0, 0.0])

    @tf.function
    def step(features):
        with tf.GradientTape() as tape:
            value = loss(np.float32([[0.0, 1.0]]), model.head(features))
        return value, tape.gradient(value, bias.value)

    value, gradient = step(np.zeros((1, 16), np.float32))
    expected = (50 + np.log(2)) / 2 if multi_label else 50
    assert float(value) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, [0.5, -0.25] if multi_label else [1, -1], rtol=1e-5)


@pytest.mark.parametrize(("name", "power"), [("mse", 2), ("mae", 1)])
def test_loss_of_numbers(name, power):
    predictions, labels = RNG.normal(size=(12, 2)) + 10, RNG.normal(size=(12, 2)) * 3 + 10
    model = small(FinetuneableZoobotRegressor, name, num_targets=2, centres=[10, 11], scales=[2, 4])
    expected = (np.abs((labels - predictions) / [2, 4]) ** power).mean()
    assert float(model.build_loss()(labels, predictions)) == pytest.approx(expected, rel=1e-5)
    features = RNG.normal(size=(5, 16)).astype(np.float32)
    weights, bias = (np.asarray(values) for values in model.head.linear.weights)
    np.testing.assert_allclose(model.head(features), (features @ weights + bias) * [2, 4] + [10, 11], rtol=1e-5)


def test_numbers_of_the_unit_interval_and_one_number_without_a_second_axis(fit):
    model = small(FinetuneableZoobotRegressor, unit_interval=True)
    history = fit(model, RNG.random(12))
    assert np.isfinite(history["train/loss"]).all()
    assert ((np.asarray(model(IMAGES)) > 0) & (np.asarray(model(IMAGES)) < 1)).all()


# --- what users do ---


def test_reproducible_from_the_seed_with_the_best_epoch(tmp_path):
    found = []
    for name in "ab":
        keras.utils.set_random_seed(3)
        model = small(FinetuneableZoobotClassifier, 3, n_blocks=1, seed=3, cosine_schedule=True, learning_rate=0.01)
        history = get_trainer(tmp_path / name, 4, device="cpu").fit(model, pairs(CLASSES))
        found.append((history, np.asarray(model(IMAGES))))
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-4)
    loss = -np.log(found[1][1][np.arange(12), CLASSES]).mean()
    assert loss == pytest.approx(min(found[1][0]["validation/loss"]), rel=1e-3)


def test_patience(fit, tmp_path):
    model = small(FinetuneableZoobotClassifier, 3, learning_rate=1e-9)
    history = get_trainer(tmp_path, 9, patience=1, device="cpu").fit(model, pairs(CLASSES))
    assert len(history["epoch"]) < 9


def test_a_tree_from_a_model_folder_and_a_batch_of_one(fit, trained):
    model = FinetuneableZoobotTree(get_schema("gz2"), zoobot_checkpoint_loc=trained.folder, n_blocks=1)
    history = fit(model, np.ones((3, 30), np.float32), images=IMAGES[:3], batch_size=1)
    assert np.isfinite(history["validation/loss"]).all()
    assert model.predict(IMAGES, verbose=0).shape == (12, 30)


def test_a_run_of_zoobot_is_not_overwritten(trained):
    model = small(FinetuneableZoobotClassifier, 3)
    with pytest.raises(OutputError, match="holds a run of zoobot, whose checkpoints stay"):
        get_trainer(trained.folder.parent, 1, device="cpu").fit(model, pairs(CLASSES))
    assert list((trained.folder.parent / "checkpoints").iterdir())


def test_other_checkpoints_stay_and_a_run_that_diverges_is_told(tmp_path, fit):
    (tmp_path / "OWN" / "checkpoints").mkdir(parents=True)
    (tmp_path / "OWN" / "checkpoints" / "best.ckpt").write_text("of PyTorch")
    fit(small(FinetuneableZoobotClassifier, 3), CLASSES, max_epochs=1)
    assert (tmp_path / "OWN" / "checkpoints" / "best.ckpt").is_file()
    with pytest.raises(ModelError, match="diverged: the validation loss is not a number"):
        fit(small(FinetuneableZoobotClassifier, 3, learning_rate=1e30), CLASSES)


def test_views_that_the_model_cuts_out_of_larger_images(fit):
    model = small(FinetuneableZoobotClassifier, 3, views=RandomViews(Adjustments(48, (0.6, 0.8))))
    images = RNG.integers(0, 256, (12, 69, 69, 1), np.uint8)
    assert np.isfinite(fit(model, CLASSES, images=images)["validation/loss"]).all()


class Backwards(keras.Model):
    """A subclass whose last layer is the first of its attributes."""

    def __init__(self, **weights):
        super().__init__()
        self.last, self.first = layers.Dense(4), layers.Dense(8)
        self.own = [self.add_weight(shape=(4,)) for _ in weights]

    def call(self, images):
        return self.last(self.first(keras.ops.mean(images, axis=(1, 2))))


def test_a_subclass_learns_wholly_or_not_at_all(fit):
    for n_blocks in (0, 2):
        model = FinetuneableZoobotClassifier(3, encoder=Backwards(), image_size=48, n_blocks=n_blocks)
        fit(model, CLASSES, max_epochs=1, images=IMAGES.repeat(3, axis=3))
    with pytest.raises(SettingError, match=r"does not tell which of its layers comes last, so n_blocks must be 0 or 2"):
        FinetuneableZoobotClassifier(3, encoder=Backwards(), image_size=48, n_blocks=1)
    with pytest.raises(ModelError, match=r"has weights outside its layers, which cannot be frozen"):
        FinetuneableZoobotClassifier(3, encoder=Backwards(own=True), image_size=48)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (lambda: layers.Flatten(), "An encoder must be a name, a folder or a keras.Model. Got Flatten instead"),
        (lambda: twice(staged()), "into features .* This one returns shape"),
    ],
)
def test_encoders_that_are_none(encoder, message):
    with pytest.raises((ModelError, ValueError), match=message):
        FinetuneableZoobotClassifier(3, encoder=encoder())


def test_an_encoder_says_its_size_and_one_that_was_not_built_is_built(fit):
    assert FinetuneableZoobotClassifier(3, encoder=staged()).n_features == 16
    unbuilt = keras.Sequential([layers.Conv2D(4, 3, strides=4), layers.GlobalAveragePooling2D()])
    model = FinetuneableZoobotClassifier(3, encoder=unbuilt, image_size=48, n_blocks=1)
    fit(model, CLASSES, max_epochs=1, images=IMAGES.repeat(3, axis=3))


def test_any_random_layer_follows_from_the_seed_and_the_epoch():
    encoder = keras.Sequential([keras.Input((48, 48, 1)), layers.GaussianNoise(1.0), layers.GlobalAveragePooling2D()])
    model = FinetuneableZoobotClassifier(3, encoder=encoder, n_blocks=1)
    seen = []
    for epoch in (1, 1, 2):
        model.draw_from(0, epoch)
        seen.append(np.asarray(encoder(np.zeros((2, 48, 48, 1)), training=True)))
    np.testing.assert_array_equal(seen[0], seen[1])
    assert (seen[0] != seen[2]).any()


def test_one_encoder_is_needed():
    with pytest.raises(SettingError, match=r"Give one of name, encoder and zoobot_checkpoint_loc. Got 0 of them"):
        FinetuneableZoobotClassifier(2)
    with pytest.raises(SettingError, match=r"There is no setting 'n_block'. Did you mean 'n_blocks'"):
        small(FinetuneableZoobotClassifier, 2, n_block=1)
    with pytest.raises(SettingError, match=r"class_weights must be 2 numbers, one of 0 .* a class. Got \[1.0, 2.0, 3"):
        small(FinetuneableZoobotClassifier, 2, class_weights=np.array([1, 2, 3]))
    with pytest.raises(SettingError, match=r"class_weights must be .* Got \[-1.0, nan\]"):
        small(FinetuneableZoobotClassifier, 2, class_weights=[-1, np.nan])
    with pytest.raises(SettingError, match=r"scales must be 1 numbers, one above 0 .* Got \[0.0\]"):
        small(FinetuneableZoobotRegressor, scales=[0])
    with pytest.raises(SettingError, match=r"centres must be 2 numbers, .* Got \[3.0\]"):
        small(FinetuneableZoobotRegressor, num_targets=2, centres=[3])
    with pytest.raises(SettingError, match=r"label_smoothing must be from 0 to below 1. Got 2"):
        small(FinetuneableZoobotClassifier, 2, 2.0)
    with pytest.raises(SettingError, match=r"schema must be a Schema, such as get_schema\('gz2'\). Got 'gz2'"):
        small(FinetuneableZoobotTree, "gz2")
    with pytest.raises(SettingError, match=r"concentration_bounds must be two numbers above 0"):
        small(FinetuneableZoobotTree, get_schema("gz2"), (100, 1))
    with pytest.raises(SettingError, match=r"max_epochs and patience must be 1 or more. Got 0 and 10"):
        get_trainer("OWN", 0)
    with pytest.raises(SettingError, match=r"loss must be 'mse' or 'mae'. Got 'huber'"):
        small(FinetuneableZoobotRegressor, "huber")


@pytest.mark.parametrize(
    ("model", "labels", "message"),
    [
        ((FinetuneableZoobotClassifier, 3), np.tile([0, 1, 3], 4), "from 0 to 2. Got 0 to 3 instead"),
        ((FinetuneableZoobotClassifier, 3), np.ones((12, 2)), r"shares of 3 classes .* the shape \(4, 2\) of float64"),
        ((FinetuneableZoobotRegressor,), np.full(12, np.nan), "finite numbers. Some are NaN or infinite"),
        ((FinetuneableZoobotTree, get_schema("gz2")), np.full((12, 30), -1.0), "of 0 or more, without NaN.*from -1"),
    ],
)
def test_wrong_labels(model, labels, message, fit):
    with pytest.raises(CatalogError, match=message):
        fit(small(*model), labels)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.astype(int), r"expects uint8 images, or float ones from 0 to 1\. Got 0\S* to 25\S* instead"),
        (np.repeat(IMAGES, 3, axis=3), "takes greyscale images of 1 channel; those of this batch have 3"),
        (IMAGES[:, 0], r"Images must be \(galaxy, height, width, channel\). Got \(4, 48, 1\)"),
    ],
)
def test_wrong_images(images, message, fit):
    with pytest.raises(SettingError, match=message):
        fit(small(FinetuneableZoobotClassifier, 3), CLASSES, images=images)
