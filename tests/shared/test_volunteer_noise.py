"""Noise floor and worth in volunteers against predictors of simulated galaxies that know just so much."""

import numpy as np
import pytest
from scipy import stats

from tests.shared.test_calibration import SMALL, draw_concentrations, draw_votes
from zoobot.shared import volunteer_noise
from zoobot.shared.schemas import Schema
from zoobot.shared.volunteer_noise import compare_with_panels, noise_floor

ONE = Schema({"bar": ["_strong", "_weak", "_no"]}, {"bar": None})


def draw(n_galaxies, volunteers, seed=0, concentrations=(1.0, 2.0, 4.0)):
    """True fractions of each galaxy, and the votes that follow."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(concentrations, n_galaxies)
    return p, rng.multinomial(rng.integers(*volunteers, n_galaxies), p).astype(float), rng


@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("p", [0, 1e-9, 0.1, 0.25, 0.5, 0.9, 1])
def test_binomial_deviation_is_the_sum_over_counts(n, p):
    k = np.arange(n + 1)
    expected = (stats.binom.pmf(k, n, p) * np.abs(k / n - p)).sum()
    assert volunteer_noise.binomial_deviation(p, n) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("volunteers", [(5, 9), (20, 40)])
def test_noise_floor_is_the_error_of_who_knows_the_true_fractions(volunteers):
    p, votes, _ = draw(20_000, volunteers)
    floor = noise_floor(votes, ONE, 5, 0)
    off = votes / votes.sum(axis=1, keepdims=True) - p
    np.testing.assert_allclose(floor["MAE, noise floor"], np.abs(off).mean(axis=0), rtol=0.02)
    np.testing.assert_allclose(floor["RMSE, noise floor"], np.sqrt((off**2).mean(axis=0)), rtol=0.02)


def test_noise_floor_counts_only_galaxies_with_enough_votes():
    _, votes, _ = draw(3000, (1, 40))
    enough = votes[votes.sum(axis=1) >= 10]
    rmse = [noise_floor(some, ONE, 10, 0)["RMSE, noise floor"] for some in (votes, enough)]
    np.testing.assert_allclose(*rmse, rtol=1e-12)


def test_noise_floor_of_nothing_is_unknown_and_of_agreement_none():
    votes = np.zeros((50, 5))
    votes[:, 0] = 40
    floor = noise_floor(votes, SMALL, 5, 0)
    assert floor.iloc[2:].isna().all(axis=None)
    np.testing.assert_allclose(floor.iloc[:2], 0, atol=1e-3)
    assert noise_floor(np.zeros((1, 5)), SMALL, 5, 0).isna().all(axis=None)


def test_votes_are_drawn_without_replacement():
    _, votes, rng = draw(1, (30, 31))
    votes = np.repeat(votes.astype(int), 20_000, axis=0)
    n = rng.integers(0, 31, len(votes))
    drawn = volunteer_noise.draw_votes(votes, n, rng)
    np.testing.assert_array_equal(drawn.sum(axis=1), n)
    assert ((drawn >= 0) & (drawn <= votes)).all()
    ten = volunteer_noise.draw_votes(votes, np.full(len(votes), 10), rng)
    law = stats.multivariate_hypergeom(votes[0], 10)
    np.testing.assert_allclose(ten.mean(axis=0), law.mean(), rtol=0.03)
    np.testing.assert_allclose(np.cov(ten.T), law.cov(), atol=0.06)


@pytest.mark.parametrize("size", [1, 2, 5, 10])
def test_panel_of_volunteers_is_worth_its_number(size):
    p, votes, rng = draw(6000, (30, 60), seed=size)
    panel = rng.multinomial(size, p) / size
    row = compare_with_panels(votes, panel, ONE, 0).table.iloc[0]
    assert row["volunteers"] == pytest.approx(size, rel=0.12)
    assert row["galaxies"] == 6000
    assert row["bound"] != "at least" or size == 1


def test_who_knows_the_truth_is_worth_more_than_any_panel_and_who_knows_nothing_one():
    p, votes, _ = draw(3000, (30, 60))
    best = compare_with_panels(votes, p, ONE, 0)
    assert best.table.loc[0, "bound"] == "at least"
    assert best.table.loc[0, "volunteers"] == 15
    worst = compare_with_panels(votes, np.tile([1.0, 0, 0], (3000, 1)), ONE, 0)
    assert worst.table.loc[0, "volunteers"] == 1
    assert worst.table.loc[0, "bound"] == "at most"
    assert (np.diff(best.errors[0]) < 0.003).all()


@pytest.mark.parametrize(("n_galaxies", "volunteers"), [(19, (30, 60)), (200, (5, 30)), (1, (40, 41))])
def test_few_galaxies_with_many_votes_tell_nothing(n_galaxies, volunteers):
    p, votes, _ = draw(n_galaxies, volunteers)
    panels = compare_with_panels(votes, p, ONE, 0)
    assert panels.table.loc[0, ["MAE", "volunteers"]].isna().all()
    assert panels.table.loc[0, "galaxies"] == (votes.sum(axis=1) >= 30).sum()
    assert panels.errors.shape == (1, len(volunteer_noise.PANELS))
    assert np.isnan(panels.errors).all()


def test_each_question_is_compared_by_itself():
    rng = np.random.default_rng(0)
    a = draw_concentrations(300, SMALL, rng)
    votes = draw_votes(a, SMALL, rng, (40, 60))
    votes[:, 2:] = 0
    table = compare_with_panels(votes, votes + 0.5, SMALL, 0).table.set_index("question")
    assert table.loc["smooth", "volunteers"] == 1
    assert np.isnan(table.loc["bar", "volunteers"])
