"""Fitting a Keras model, epoch by epoch. Training from scratch and finetuning both go this way.

An interrupted run goes on after its last finished epoch; the epoch with the best validation loss is the one that is
kept.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
import tensorflow as tf

from zoobot.errors import SettingError
from zoobot.tensorflow.training.epochs import KeptEpochs, ProgressBar

logger = logging.getLogger(__name__)

OwnData = tuple[tf.data.Dataset, tf.data.Dataset]
"""Batches `(images, labels)` for training and for validation."""


def fit(
    model: keras.Model,
    kept: KeptEpochs,
    training: tf.data.Dataset,
    validation: tf.data.Dataset,
    steps_per_epoch: int,
) -> None:
    """Train what is left of the epochs.

    Args:
        model: compiled, with `draw_from`.
        training: without end, from the first epoch that is left.
    """
    kept.restore(model)
    if kept.lines:
        logger.info("Going on after epoch %d.", len(kept.lines))
    if kept.is_over:
        return
    model.fit(
        training,
        validation_data=validation,
        steps_per_epoch=steps_per_epoch,
        initial_epoch=len(kept.lines),
        epochs=kept.epochs,
        callbacks=[ProgressBar(), kept],
        shuffle=False,  # galaxies come shuffled
        verbose=0,
    )


def count_own_steps(data: OwnData) -> tuple[tf.data.Dataset, tf.data.Dataset, int]:
    """Your own data, that for training repeated, and the batches of one epoch; `SettingError` for other data."""
    if len(data) != 2 or not all(isinstance(part, tf.data.Dataset) for part in data):
        given = ", ".join(type(part).__name__ for part in data)
        raise SettingError(
            f"Your own data must be two tf.data.Dataset, for training and for validation. Got ({given}) instead."
        )
    for name, part in zip(("training", "validation"), data, strict=True):
        if not isinstance(part.element_spec, tuple) or len(part.element_spec) != 2:
            raise SettingError(
                f"Batches of the {name} dataset must be (images, labels). Got {part.element_spec} instead."
            )
        if next(iter(part.take(1)), None) is None:
            raise SettingError(f"The {name} dataset is empty. Give it at least one batch.")
        if int(part.cardinality()) == tf.data.INFINITE_CARDINALITY or (name == "training" and part.cardinality() < 1):
            raise SettingError(
                f"The {name} dataset does not know how many batches it has, or has no end. Give a finite one, with "
                "dataset.apply(tf.data.experimental.assert_cardinality(N)) where needed."
            )
    training, validation = data
    return training.repeat(), validation, int(training.cardinality())


@contextmanager
def explain_problems(problems: Sequence[Exception]) -> Iterator[None]:
    """Turn an error of TensorFlow into that of zoobot which caused it and was noted."""
    try:
        yield
    except tf.errors.OpError as error:
        if problems:
            raise problems[0] from error
        raise
