"""The likelihood of volunteers' votes as a loss, in Keras; formula and source are in `zoobot.shared.dirichlet`."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from zoobot.shared.label_columns import LabelTask

Tensor = Any


def calculate_multiquestion_loss(
    labels: Tensor, predictions: Tensor, question_index_groups: Sequence[tuple[int, int]]
) -> Tensor:
    """Negative Dirichlet-multinomial log-likelihood of every question at once.

    Args:
        labels: votes `(galaxy, answer)`, at least 0; fractional (weighted) votes are allowed.
        predictions: concentrations `(galaxy, answer)`, positive.
        question_index_groups: first and last column of each question, both included, side by side.

    Returns:
        `(galaxy, question)`, in float32 whatever the model's precision (float64 stays float64); exactly 0 where a
        galaxy has no votes for a question.
    """
    predictions = ops.convert_to_tensor(predictions)
    precision = "float64" if keras.backend.standardize_dtype(predictions.dtype) == "float64" else "float32"
    votes, concentrations = ops.cast(labels, precision), ops.cast(predictions, precision)
    of_answers = [number for number, (first, last) in enumerate(question_index_groups) for _ in range(first, last + 1)]
    questions = ops.convert_to_tensor(of_answers, "int32")

    def sum_by_question(values: Tensor) -> Tensor:
        # not a product with a matrix of ones, which GPUs would compute in fewer bits
        return ops.transpose(ops.segment_sum(ops.transpose(values), questions, len(question_index_groups)))

    n, total = sum_by_question(votes), sum_by_question(concentrations)
    per_answer = lgamma(votes + concentrations) - lgamma(concentrations) - lgamma(votes + 1)
    log_likelihood = lgamma(n + 1) + lgamma(total) - lgamma(n + total) + sum_by_question(per_answer)
    return ops.where(n > 0, -log_likelihood, ops.zeros_like(n))  # XLA's lgamma(1) is not quite 0


class MultiquestionLoss(keras.losses.Loss):  # type: ignore[misc]
    """The loss of each galaxy, summed over questions; Keras averages over the galaxies of all devices."""

    def __init__(self, question_index_groups: Sequence[tuple[int, int]]) -> None:
        super().__init__(name="multiquestion_loss", dtype="float32")
        self.question_index_groups = [(first, last) for first, last in question_index_groups]

    def call(self, labels: Tensor, predictions: Tensor) -> Tensor:
        """`(galaxy,)` of votes and concentrations, both `(galaxy, answer)`."""
        return ops.sum(calculate_multiquestion_loss(labels, predictions, self.question_index_groups), axis=1)


def get_multiquestion_loss(question_index_groups: Sequence[tuple[int, int]]) -> MultiquestionLoss:
    """A loss `loss(labels, predictions)`: summed over questions, averaged over galaxies.

    schema = schemas.get_schema("gz2")
    multiquestion_loss = losses.get_multiquestion_loss(schema.question_index_groups)
    """
    return MultiquestionLoss(question_index_groups)


class ClassLoss(keras.losses.Loss):  # type: ignore[misc]
    """Cross-entropy of each galaxy's classes, weighted by class; of yes-or-no classes the mean of their entropies.

    Args:
        task: the classes.
        class_weights: `(class,)`, how much a galaxy of each class counts.
        label_smoothing: share of each label that is spread over all classes.
    """

    def __init__(self, task: LabelTask, class_weights: Sequence[float], label_smoothing: float) -> None:
        super().__init__(name="class_loss", dtype="float32")
        self.task, self.class_weights, self.label_smoothing = task, list(class_weights), label_smoothing

    def call(self, labels: Tensor, predictions: Tensor) -> Tensor:
        """`(galaxy,)` of probabilities `(galaxy, class)`, and numbers of classes `(galaxy,)` or their shares."""
        n_classes, weights = self.task.n_outputs, np.asarray(self.class_weights, np.float32)
        if len(labels.shape) == 1:
            labels = ops.one_hot(ops.cast(labels, "int32"), n_classes)
        spread_over = 2 if self.task.multi_label else n_classes
        labels = labels * (1 - self.label_smoothing) + self.label_smoothing / spread_over
        if self.task.multi_label:  # TensorFlow's graphs find the outputs before the sigmoid, and compute with these
            return ops.mean(weights * ops.binary_crossentropy(labels, predictions), axis=1)
        return ops.sum(-weights * labels * _log(predictions), axis=1)


class NumberLoss(keras.losses.Loss):  # type: ignore[misc]
    """Squared or absolute errors of each galaxy's numbers, divided by their scales.

    Args:
        task: the numbers.
        kind: `mse` or `mae`.
    """

    def __init__(self, task: LabelTask, kind: str) -> None:
        super().__init__(name="number_loss", dtype="float32")
        self.task, self.kind = task, kind

    def call(self, labels: Tensor, predictions: Tensor) -> Tensor:
        """`(galaxy,)` of predictions `(galaxy, number)`, and labels of that shape or `(galaxy,)`."""
        errors = ops.reshape(labels, ops.shape(predictions)) - predictions
        if not self.task.unit_interval:
            errors = errors / np.asarray(self.task.scales, np.float32)
        return ops.mean(ops.square(errors) if self.kind == "mse" else ops.abs(errors), axis=1)


def lgamma(values: Tensor) -> Tensor:
    """Logarithm of the gamma function, which `keras.ops` lacks."""
    if keras.backend.backend() == "jax":
        from jax.scipy.special import gammaln

        return gammaln(values)
    import tensorflow

    return tensorflow.math.lgamma(values)


def _log(probabilities: Tensor) -> Tensor:
    """The logarithm; of 0 that of the smallest number that is not subnormal."""
    return ops.log(ops.maximum(probabilities, float(np.finfo(np.float32).tiny)))
