"""Scores of classes and numbers against plain loops written from their definitions."""

import numpy as np
import pytest

from zoobot.shared.label_columns import LabelTask
from zoobot.shared.label_metrics import score_classes, score_numbers
from zoobot.shared.linear_probes import predict_with_probe

RNG = np.random.default_rng(0)
TRUE = RNG.integers(0, 3, 80)
PROBABILITIES = RNG.dirichlet([1, 1, 1], 80)
NAMES = ["a", "b", "c", "never"]


def area(true, score):
    """The share of pairs (one of the class, one not) in which that of the class has the larger score."""
    pairs = [
        (score[i] > score[j]) + 0.5 * (score[i] == score[j])
        for i in np.flatnonzero(true)
        for j in np.flatnonzero(~true)
    ]
    return np.mean(pairs)


def test_scores_of_classes():
    labels = np.eye(4)[TRUE]
    probabilities = np.c_[PROBABILITIES, np.zeros(80)]
    scores = score_classes(labels, probabilities, NAMES)
    said = PROBABILITIES.argmax(axis=1)
    assert scores["accuracy"] == pytest.approx(np.mean([t == s for t, s in zip(TRUE, said, strict=True)]))
    assert scores["accuracy_of_the_commonest_class"] == pytest.approx(max(np.bincount(TRUE)) / 80)
    confusion = np.zeros((4, 4))
    for t, s in zip(TRUE, said, strict=True):
        confusion[t, s] += 1
    np.testing.assert_array_equal(scores["confusion"], confusion)
    recall = [confusion[k, k] / confusion[k].sum() for k in range(3)]
    precision = [confusion[k, k] / confusion[:, k].sum() for k in range(3)]
    assert scores["balanced_accuracy"] == pytest.approx(np.mean(recall))
    f1 = [2 * p * r / (p + r) for p, r in zip(precision, recall, strict=True)]
    assert scores["f1"] == pytest.approx(np.mean(f1))
    assert scores["auc"] == pytest.approx(np.mean([area(k == TRUE, PROBABILITIES[:, k]) for k in range(3)]))
    assert scores["log_loss"] == pytest.approx(
        -np.mean([np.log(p[t]) for p, t in zip(PROBABILITIES, TRUE, strict=True)])
    )
    assert scores["of_class"]["never"] == {"galaxies": 0, "precision": 0, "recall": 0, "f1": 0}


def test_scores_of_several_answers():
    labels, probabilities = RNG.integers(0, 2, (50, 2)), RNG.random((50, 2))
    scores = score_classes(labels, probabilities, ["a", "b"], multi_label=True)
    assert scores["accuracy"] == pytest.approx(np.mean((labels == 1) == (probabilities >= 0.5)))
    chosen = np.where(labels == 1, probabilities, 1 - probabilities)
    assert scores["log_loss"] == pytest.approx(-np.log(chosen).mean())
    assert "confusion" not in scores


def test_one_class_that_is_a_yes_or_no():
    labels, probabilities = np.array([[1], [1], [0], [0.0]]), np.array([[0.9], [0.2], [0.8], [0.1]])
    scores = score_classes(labels, probabilities, ["ring"], multi_label=True)
    assert scores["of_class"] == {"ring": {"galaxies": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5}}
    assert scores["accuracy"] == 0.5


def test_scores_where_all_are_of_one_class():
    scores = score_classes(np.eye(2)[[0, 0]], [[0.9, 0.1], [0.4, 0.6]], ["a", "b"])
    assert (scores["auc"], scores["accuracy"], scores["balanced_accuracy"]) == (None, 0.5, 0.5)


def test_scores_of_numbers():
    labels = RNG.normal(10, 2, (40, 2))
    predictions = labels + RNG.normal(0.5, 1, (40, 2))
    scores = score_numbers(labels, predictions, ["mass", "size"])
    errors = [p - t for p, t in zip(predictions[:, 0], labels[:, 0], strict=True)]
    of_mass = scores["of_number"]["mass"]
    assert of_mass["rmse"] == pytest.approx(np.sqrt(sum(e**2 for e in errors) / 40))
    assert of_mass["mae"] == pytest.approx(sum(abs(e) for e in errors) / 40)
    assert of_mass["bias"] == pytest.approx(sum(errors) / 40)
    total = sum((t - labels[:, 0].mean()) ** 2 for t in labels[:, 0])
    assert of_mass["r2"] == pytest.approx(1 - sum(e**2 for e in errors) / total)
    assert scores["r2"] == pytest.approx((of_mass["r2"] + scores["of_number"]["size"]["r2"]) / 2)
    assert score_numbers(np.ones((3, 1)), np.ones((3, 1)), ["same"])["r2"] is None


def test_a_linear_probe_finds_what_is_linear():
    features = RNG.normal(size=(300, 5))
    classes = LabelTask("classification", ["x"], ["a", "b", "c"])
    labels = np.eye(3)[np.digitize(features[:, 0], [-0.5, 0.5])]
    found = predict_with_probe(classes, features[:200], labels[:200], features[200:])
    assert (found.argmax(axis=1) == labels[200:].argmax(axis=1)).mean() > 0.75
    np.testing.assert_allclose(found.sum(axis=1), 1)
    numbers = features @ RNG.normal(size=(5, 2)) + 3
    task = LabelTask("regression", ["x", "y"])
    found = predict_with_probe(task, features[:200], numbers[:200], features[200:])
    np.testing.assert_allclose(found, numbers[200:], atol=0.05)
    several = LabelTask("classification", ["x", "y"], ["x", "y"], multi_label=True)
    labels = np.c_[features[:, 1] > 0, np.ones(300)]
    found = predict_with_probe(several, features[:200], labels[:200], features[200:])
    assert ((found[:, 0] > 0.5) == labels[200:, 0]).mean() > 0.9
    assert (found[:, 1] == 1).all()
