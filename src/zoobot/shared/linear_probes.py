"""A linear model on features: what an encoder knows before it is finetuned."""

from typing import Any

import numpy as np
import numpy.typing as npt

from zoobot.shared.label_columns import LabelTask


def predict_with_probe(
    task: LabelTask, features: npt.NDArray[Any], labels: npt.NDArray[Any], others: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Predictions `(other galaxy, output)` of a linear model fitted to some galaxies' features.

    Logistic regression for classes and ridge regression for numbers, of features that are standardised.

    Args:
        features: `(galaxy, feature)`.
        labels: `(galaxy, output)`, as `zoobot.shared.label_columns.read_labels` gives them.
        others: `(other galaxy, feature)`.
    """
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found = np.zeros((len(others), task.n_outputs))
    if task.kind == "regression":
        found[:] = (
            make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
            .fit(features, labels)
            .predict(others)
            .reshape(found.shape)
        )
        return np.clip(found, 0, 1) if task.unit_interval else found
    if not task.multi_label:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        model.fit(features, labels.argmax(axis=1))
        found[:, model.classes_] = model.predict_proba(others)
        return found
    for place in range(task.n_outputs):
        answers = labels[:, place] >= 0.5
        if answers.all() or not answers.any():
            found[:, place] = answers.mean()
            continue
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)).fit(features, answers)
        found[:, place] = model.predict_proba(others)[:, 1]
    return found
