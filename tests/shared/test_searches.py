"""Searches against scikit-learn and a loop over thresholds."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from tests.shared.test_calibration import SMALL
from tests.shared.test_classification import naive_relevant, simulate
from zoobot.shared.schemas import get_schema
from zoobot.shared.searches import search, search_all


def draw_candidates(n_galaxies, levels, seed=0):
    """Some wanted, and a share that helps to find them; few levels make many ties."""
    rng = np.random.default_rng(seed)
    wanted = rng.random(n_galaxies) < 0.2
    return wanted, np.round(np.clip(rng.normal(0.3 + 0.3 * wanted, 0.2), 0, 1) * levels) / levels


@pytest.mark.parametrize("levels", [1, 7, 10**9])
@pytest.mark.parametrize("n_galaxies", [12, 1500])
def test_scores_equal_scikit_learns(n_galaxies, levels):
    wanted, share = draw_candidates(n_galaxies, levels, seed=1)
    _, scores = search(wanted, share)
    assert scores["area under ROC"] == pytest.approx(roc_auc_score(wanted, share))
    assert scores["average precision"] == pytest.approx(average_precision_score(wanted, share))
    points = []
    for threshold in np.unique(share):
        chosen = share >= threshold
        purity, completeness = wanted[chosen].mean(), wanted[chosen].sum() / wanted.sum()
        f1 = 2 * purity * completeness / (purity + completeness) if purity else 0.0
        points.append((f1, threshold, purity, completeness))
    best = max(points)
    assert [scores[f"{what}, best F1"] for what in ("purity", "completeness")] == pytest.approx(best[2:])
    assert wanted[share >= scores["threshold, best F1"]].mean() == pytest.approx(best[2])
    pure = [point[1:] for point in points if point[2] >= 0.9]
    found = [scores[f"{what}, 90 % pure"] for what in ("threshold", "purity", "completeness")]
    assert found == pytest.approx(min(pure) if pure else (np.nan,) * 3, nan_ok=True)


def test_lists_hold_the_best_candidates():
    wanted, share = draw_candidates(300, 10**9)
    _, scores = search(wanted, share)
    best = sorted(zip(-share, wanted, strict=True))
    for n in (10, 100):
        assert scores[f"purity of the first {n}"] == pytest.approx(np.mean([w for _, w in best[:n]]))
    assert np.isnan(scores["purity of the first 1,000"])


def test_curve_is_that_of_every_threshold_thinned_out():
    wanted, share = draw_candidates(5000, 10**9)
    curve, _ = search(wanted, share)
    assert len(curve.thresholds) == 200
    assert (np.diff(curve.thresholds) < 0).all()
    for threshold, purity, complete, false in zip(
        curve.thresholds, curve.purity, curve.completeness, curve.false_positive_rate, strict=True
    ):
        chosen = share >= threshold
        assert purity == pytest.approx(wanted[chosen].mean())
        assert complete == pytest.approx(wanted[chosen].sum() / wanted.sum())
        assert false == pytest.approx((~wanted)[chosen].sum() / (~wanted).sum())
    false, true, _ = roc_curve(wanted, share, drop_intermediate=False)
    assert (curve.completeness[-1], curve.false_positive_rate[-1]) == (true[-1], false[-1]) == (1, 1)


def test_perfect_and_useless_predictors():
    wanted = np.arange(40) < 10
    perfect = search(wanted, wanted.astype(float))[1]
    best = [perfect[f"{what}, {which}"] for what in ("purity", "completeness") for which in ("best F1", "90 % pure")]
    assert best == [1] * 4
    assert perfect["area under ROC"] == perfect["average precision"] == perfect["purity of the first 10"] == 1
    useless = search(wanted, np.full(40, 0.5))[1]
    assert (useless["area under ROC"], useless["average precision"]) == (0.5, 0.25)
    assert np.isnan(useless["threshold, 90 % pure"])


def test_lists_do_not_depend_on_the_order_of_equal_candidates():
    wanted = np.arange(40) < 10
    forward, backward = (search(w, np.full(40, 0.5))[1]["purity of the first 10"] for w in (wanted, wanted[::-1]))
    assert forward == pytest.approx(backward)


@pytest.mark.parametrize("schema", [SMALL, get_schema("decals")], ids=["small", "decals"])
def test_who_is_searched_for_and_by_what(schema):
    votes, fractions = simulate(schema)
    searches = search_all(votes, fractions, schema, 5)
    relevant = naive_relevant(votes, schema, 5)
    table = searches.table.set_index(["question", "answer"])
    everybody = [question for question in schema.questions if not question.asked_after]
    seen = np.max([votes[:, question.slice].sum(axis=1) for question in everybody], axis=0) >= 5
    for position, question in enumerate(schema.questions):
        for answer in question.answers:
            wanted = relevant[:, position] & (votes[:, answer.index] > votes[:, question.slice].sum(axis=1) / 2)
            row = table.loc[(question.text, answer.short_text)]
            assert (row["galaxies"], row["searched for"]) == (seen.sum(), wanted[seen].sum())
            assert (answer.text in searches.curves) == (0 < wanted[seen].sum() < seen.sum())
            if answer.text in searches.curves:
                share = schema.joint_p(fractions, answer.text)[seen]
                assert row["area under ROC"] == pytest.approx(roc_auc_score(wanted[seen], share))
                assert row["average precision"] == pytest.approx(average_precision_score(wanted[seen], share))


@pytest.mark.parametrize("votes", [np.zeros((30, 5)), np.tile([9.0, 0, 0, 0, 0], (30, 1)), [[9.0, 0, 0, 0, 0]]])
def test_nobody_or_everybody_searched_for(votes):
    searches = search_all(np.array(votes), np.full((len(votes), 5), 0.4), SMALL, 5)
    assert searches.curves == {}
    assert len(searches.table) == 5
    assert searches.table.drop(columns=["question", "answer", "galaxies", "searched for"]).isna().all(axis=None)
