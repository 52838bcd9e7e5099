"""Answers named right and wrong, against scikit-learn and the paper's words in a loop."""

import numpy as np
import pytest
from sklearn import metrics

from tests.shared.test_calibration import SMALL, draw_concentrations, draw_votes
from zoobot.shared import dirichlet
from zoobot.shared.classification import classify, count_volunteers, find_relevant
from zoobot.shared.schemas import Schema, get_schema

NUMBERS = ["accuracy", "commonest answer"] + [
    f"{kind}, {mean}" for mean in ("weighted", "macro") for kind in ("precision", "recall", "F1")
]


def simulate(schema, n_galaxies=400, seed=0):
    rng = np.random.default_rng(seed)
    a = draw_concentrations(n_galaxies, schema, rng, total=3)
    return draw_votes(a, schema, rng, (3, 30)), dirichlet.mean(a[..., 0], schema.question_index_groups)


def naive_relevant(votes, schema, min_votes):
    """At least half of the volunteers were asked, and at least `min_votes`."""
    relevant = np.zeros((len(votes), len(schema.questions)), bool)
    for galaxy, row in enumerate(votes):
        totals = [sum(row[answer.index] for answer in question.answers) for question in schema.questions]
        volunteers = max(n for n, question in zip(totals, schema.questions, strict=True) if not question.asked_after)
        for position, n in enumerate(totals):
            relevant[galaxy, position] = n > 0 and n >= volunteers / 2 and n >= min_votes
    return relevant


@pytest.mark.parametrize("min_votes", [0, 1, 5])
@pytest.mark.parametrize("schema", [SMALL, get_schema("decals"), get_schema("gz2")], ids=["small", "decals", "gz2"])
def test_scores_equal_scikit_learns(schema, min_votes):
    votes, fractions = simulate(schema)
    result = classify(votes, fractions, schema, min_votes)
    relevant = naive_relevant(votes, schema, min_votes)
    np.testing.assert_array_equal(find_relevant(votes, schema, min_votes), relevant)
    table = result.table.set_index(["question", "galaxies"])
    assert len(table) == 2 * len(schema.questions)
    for position, question in enumerate(schema.questions):
        observed, predicted, confident, n_tied = [], [], [], 0
        correct = np.full(len(votes), np.nan)
        for galaxy in np.flatnonzero(relevant[:, position]):
            counts = votes[galaxy, question.slice]
            winners = np.flatnonzero(counts == counts.max())
            if len(winners) > 1:
                n_tied += 1
                continue
            observed.append(winners[0])
            predicted.append(np.argmax(fractions[galaxy, question.slice]))
            confident.append(counts.max() / counts.sum() > 0.8)
            correct[galaxy] = observed[-1] == predicted[-1]
        np.testing.assert_array_equal(result.correct[:, position], correct)
        assert table.loc[(question.text, "all"), "tied"] == n_tied
        observed, predicted, confident = np.array(observed), np.array(predicted), np.array(confident, bool)
        for name, chosen in (("all", np.ones(len(observed), bool)), ("confident", confident)):
            row, right, said = table.loc[(question.text, name)], observed[chosen], predicted[chosen]
            assert row["count"] == len(right)
            if not len(right):
                assert row[NUMBERS].isna().all()
                assert not result.confusions[question.text, name].any()
                continue
            labels = range(len(question.answers))
            np.testing.assert_array_equal(
                result.confusions[question.text, name], metrics.confusion_matrix(right, said, labels=labels)
            )
            assert row["accuracy"] == pytest.approx(metrics.accuracy_score(right, said))
            assert row["commonest answer"] == pytest.approx(np.bincount(right).max() / len(right))
            for average in ("weighted", "macro"):
                scores = metrics.precision_recall_fscore_support(right, said, average=average, zero_division=0)
                kinds = [f"{kind}, {average}" for kind in ("precision", "recall", "F1")]
                np.testing.assert_allclose(row[kinds].astype(float), scores[:3], rtol=1e-12)


def test_volunteers_are_those_whom_everybody_question_counts():
    """A later question may count more votes, where the first was skipped by some."""
    schema = Schema({"a": ["_x", "_y"], "b": ["_x", "_y"], "c": ["_x", "_y"]}, {"a": None, "b": None, "c": "a_x"})
    assert count_volunteers(np.array([[3, 1, 4, 2, 9, 9.0]]), schema) == [6]


@pytest.mark.parametrize(
    ("counts", "relevant", "confident", "tied"),
    [
        ([5, 5], 1, 0, 1),
        ([8, 2], 1, 0, 0),  # 0.8 is not above 0.8
        ([9, 2], 1, 1, 0),
        ([0, 0], 0, 0, 0),
        ([2, 2], 0, 0, 0),  # of fewer than 5 votes
        ([4.5, 0.5], 1, 1, 0),  # weighted
    ],
)
def test_one_galaxy(counts, relevant, confident, tied):
    schema = Schema({"smooth": ["_yes", "_no"]}, {"smooth": None})
    result = classify(np.array([counts], float), np.array([[0.9, 0.1]]), schema, 5)
    everything, sure = result.table.iloc[0], result.table.iloc[1]
    assert (everything["count"], everything["tied"], sure["count"]) == (relevant - tied, tied, confident)
    assert everything["accuracy"] == 1 or relevant - tied == 0
    assert np.isnan(result.correct[0, 0]) == (relevant - tied == 0)


def test_one_class_only():
    votes = np.tile([9.0, 0, 0, 0, 0], (10, 1))
    result = classify(votes, np.tile([0.9, 0.1, 0.3, 0.3, 0.4], (10, 1)), SMALL, 5)
    smooth = result.table.iloc[0]
    assert (smooth[NUMBERS] == 1).all()
    never = classify(votes, np.tile([0.1, 0.9, 0.3, 0.3, 0.4], (10, 1)), SMALL, 5).table.iloc[0]
    assert (never[[name for name in NUMBERS if name != "commonest answer"]] == 0).all()
    bar = result.table[result.table["question"] == "bar"]
    assert (bar["count"] == 0).all()
    assert bar[NUMBERS].isna().all(axis=None)
