"""How good predictions of classes and numbers are. Votes have `metrics`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def score_classes(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, classes: Sequence[str], multi_label: bool = False
) -> dict[str, Any]:
    """Scores of a classification.

    Args:
        labels: `(galaxy, class)`, 1 for a galaxy's class; of shares, the largest counts (with `multi_label`, those of
            one half and more).
        probabilities: `(galaxy, class)`.

    Returns:
        `accuracy`, also of always saying the commonest class, `balanced_accuracy` (mean over classes of the share of
        their galaxies that are found), `f1` (mean over classes), `auc` (area under the ROC curve, mean over classes
        with galaxies on both sides), `log_loss`; `of_class`: for each class its galaxies, precision, recall and F1;
        `confusion`: `(true class, predicted class)`, without `multi_label`.
    """
    from sklearn import metrics

    labels, probabilities = np.asarray(labels, float), np.asarray(probabilities, float)
    if multi_label:
        true, said = labels >= 0.5, probabilities >= 0.5
        entropy = -(labels * _log(probabilities) + (1 - labels) * _log(1 - probabilities)).mean()
        right, commonest = (true == said).mean(), np.maximum(true.mean(axis=0), 1 - true.mean(axis=0)).mean()
    else:
        true, said = (np.eye(len(classes), dtype=bool)[values.argmax(axis=1)] for values in (labels, probabilities))
        entropy = -(labels * _log(probabilities)).sum(axis=1).mean()
        right, commonest = (true & said).sum() / len(true), true.mean(axis=0).max()
    # a row for each class, so that one class alone is not taken for two
    of_each = [
        metrics.precision_recall_fscore_support(true[:, place], said[:, place], labels=[True], zero_division=0)
        for place in range(len(classes))
    ]
    precision, recall, f1, count = (np.concatenate(each) for each in zip(*of_each, strict=True))
    both = true.any(axis=0) & ~true.all(axis=0)
    areas = [metrics.roc_auc_score(true[:, place], probabilities[:, place]) for place in np.flatnonzero(both)]
    there = count > 0
    scores: dict[str, Any] = {
        "accuracy": float(right),
        "accuracy_of_the_commonest_class": float(commonest),
        "balanced_accuracy": float(recall[there].mean()) if there.any() else None,
        "f1": float(f1[there].mean()) if there.any() else None,
        "auc": float(np.mean(areas)) if areas else None,
        "log_loss": float(entropy),
        "of_class": {
            name: {"galaxies": int(n), "precision": float(p), "recall": float(r), "f1": float(f)}
            for name, n, p, r, f in zip(classes, count, precision, recall, f1, strict=True)
        },
    }
    if not multi_label:
        scores["confusion"] = metrics.confusion_matrix(
            true.argmax(axis=1), said.argmax(axis=1), labels=range(len(classes))
        ).tolist()
    return scores


def score_numbers(labels: npt.ArrayLike, predictions: npt.ArrayLike, columns: Sequence[str]) -> dict[str, Any]:
    """Scores of a regression, each also of each number.

    Args:
        labels, predictions: `(galaxy, number)`.

    Returns:
        `r2` (mean over numbers) and, in `of_number`, of each `rmse`, `mae`, `bias` (mean of prediction minus label),
        `r2` (1 is perfect, 0 is saying the mean) and `spread` (standard deviation of the labels: the RMSE of saying
        their mean).
    """
    labels, predictions = np.asarray(labels, float), np.asarray(predictions, float)
    errors = predictions - labels
    spread = labels.std(axis=0)
    rmse = np.sqrt((errors**2).mean(axis=0))
    r2 = [float(1 - (e / s) ** 2) if s > 0 else None for e, s in zip(rmse, spread, strict=True)]
    known = [value for value in r2 if value is not None]
    return {
        "r2": float(np.mean(known)) if known else None,
        "of_number": {
            name: {
                "rmse": float(rmse[place]),
                "mae": float(np.abs(errors[:, place]).mean()),
                "bias": float(errors[:, place].mean()),
                "r2": r2[place],
                "spread": float(spread[place]),
            }
            for place, name in enumerate(columns)
        },
    }


def _log(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    logs: npt.NDArray[np.float64] = np.log(np.clip(probabilities, 1e-12, 1))
    return logs
