"""Labels of one batch, from a loader of the user's own: what they must be."""

from typing import Any

import numpy as np
import numpy.typing as npt

from zoobot.errors import CatalogError
from zoobot.shared.label_columns import LabelTask


def refuse_wrong_labels(labels: npt.NDArray[Any], task: LabelTask) -> None:
    """Raise `CatalogError` unless labels are classes or numbers of the task."""
    (_refuse_wrong_classes if task.kind == "classification" else _refuse_wrong_numbers)(labels, task)


def refuse_wrong_votes(votes: npt.NDArray[Any], n_answers: int) -> None:
    """Raise `CatalogError` unless labels are votes `(galaxy, answer)`."""
    if votes.ndim != 2 or votes.shape[1] != n_answers or not (np.isfinite(votes) & (votes >= 0)).all():
        raise CatalogError(
            f"Labels must be votes (galaxy, {n_answers}) of 0 or more, without NaN. Got the shape "
            f"{votes.shape}, from {votes.min():g}."
        )


def _refuse_wrong_classes(labels: npt.NDArray[Any], task: LabelTask) -> None:
    n_classes, is_whole = task.n_outputs, np.issubdtype(labels.dtype, np.integer)
    if labels.ndim == 1 and is_whole and not task.multi_label:
        if not 0 <= labels.min() <= labels.max() < n_classes:
            raise CatalogError(
                f"Labels of {n_classes} classes must be whole numbers from 0 to {n_classes - 1}. Got "
                f"{labels.min()} to {labels.max()} instead."
            )
        return
    if labels.ndim != 2 or labels.shape[1] != n_classes or is_whole:
        raise CatalogError(
            f"Labels must be whole numbers (galaxy,) or shares of {n_classes} classes (galaxy, class), as "
            f"floats. Got the shape {labels.shape} of {labels.dtype} instead."
        )
    if not ((labels >= 0) & (labels <= 1)).all():
        raise CatalogError("Shares of classes must be from 0 to 1. Some labels are not, or are NaN.")


def _refuse_wrong_numbers(labels: npt.NDArray[Any], task: LabelTask) -> None:
    n_numbers = task.n_outputs
    if labels.shape[1:] != (n_numbers,) and not (labels.ndim == 1 and n_numbers == 1):
        raise CatalogError(f"Labels must be (galaxy, {n_numbers}). Got the shape {labels.shape} instead.")
    if not np.isfinite(labels).all():
        raise CatalogError("Labels must be finite numbers. Some are NaN or infinite: fill or leave them out.")
    if task.unit_interval and not ((labels >= 0) & (labels <= 1)).all():
        raise CatalogError("With unit_interval, labels must be from 0 to 1. Scale them, or leave it out.")
