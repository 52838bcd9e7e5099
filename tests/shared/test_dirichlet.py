"""The votes' statistics against scipy and against naive loops of the paper's formulas."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from zoobot.shared import dirichlet

GROUPS = [(0, 2), (3, 4), (5, 5), (6, 9)]
SIZES = [3, 2, 1, 4]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def draw(rng, n_galaxies=20, mean_votes=3.0):
    votes = rng.poisson(mean_votes, (n_galaxies, 10)).astype(float)
    votes[3] = 0
    votes[4, 3:5] = 0
    return votes, rng.uniform(0.01, 101, (n_galaxies, 10))


def naive_log_likelihood(k, a):
    """Walmsley et al. 2022, MNRAS 509, 3966: log of the Dirichlet-multinomial probability of one question."""
    n, total = sum(k), sum(a)
    logged = math.lgamma(n + 1) + math.lgamma(total) - math.lgamma(n + total)
    for k_i, a_i in zip(k, a, strict=True):
        logged += math.lgamma(k_i + a_i) - math.lgamma(a_i) - math.lgamma(k_i + 1)
    return logged


# --- likelihood ---


@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.floats(0.01, 1000)),
        min_size=2,
        max_size=8,
    )
)
def test_log_likelihood_equals_scipy(pairs):
    k, a = (np.array(column) for column in zip(*pairs, strict=True))
    expected = stats.dirichlet_multinomial.logpmf(k.astype(int), a, int(k.sum()))
    np.testing.assert_allclose(dirichlet.log_likelihood(k, a), expected, rtol=1e-10, atol=1e-10)


def test_probabilities_of_all_outcomes_sum_to_1():
    outcomes = [(i, j, 6 - i - j) for i in range(7) for j in range(7 - i)]
    assert np.exp(dirichlet.log_likelihood(outcomes, [0.3, 2.0, 5.0])).sum() == pytest.approx(1, rel=1e-12)


def test_log_likelihood_broadcasts_votes_against_concentrations(rng):
    k, a = rng.poisson(4, (5, 1, 3)), rng.uniform(1, 50, (7, 3))
    logged = dirichlet.log_likelihood(k, a)
    assert logged.shape == (5, 7)
    assert logged[4, 6] == pytest.approx(naive_log_likelihood(k[4, 0], a[6]), rel=1e-12)
    assert dirichlet.log_likelihood([1, 2], [1.0, 1.0]).shape == ()


def test_multiquestion_equals_a_naive_loop(rng):
    votes, concentrations = draw(rng)
    naive = [
        [naive_log_likelihood(k[first : last + 1], a[first : last + 1]) for first, last in GROUPS]
        for k, a in zip(votes, concentrations, strict=True)
    ]
    logged = dirichlet.multiquestion_log_likelihood(votes, concentrations, GROUPS)
    assert logged.shape == (20, 4)
    np.testing.assert_allclose(logged, naive, atol=1e-10)


@given(st.lists(st.floats(1e-4, 1e5), min_size=10, max_size=10))
def test_exactly_0_without_votes(concentrations):
    a = np.array([concentrations])
    assert (dirichlet.multiquestion_log_likelihood(np.zeros((1, 10)), a, GROUPS) == 0).all()
    assert dirichlet.log_likelihood(np.zeros(10), a[0]) == 0


@given(st.lists(st.floats(0.01, 101), min_size=3, max_size=3), st.floats(0.01, 0.99))
def test_fractional_votes_lie_between_their_neighbours(concentrations, part):
    """Votes for a single answer: log p falls steadily with their number."""
    a = np.array(concentrations)
    fewer, between, more = (dirichlet.log_likelihood([n, 0, 0], a) for n in (4, 4 + part, 5))
    assert np.isfinite([fewer, between, more]).all()
    assert more < between < fewer


def test_more_votes_make_a_wrong_prediction_less_likely():
    """Ten of twenty say more than one of two: both are half, but predictions that are off lose more."""
    right, wrong = [50.0, 50.0], [90.0, 10.0]
    few, many = ([1, 1], [10, 10])

    def price(votes):
        return dirichlet.log_likelihood(votes, right) - dirichlet.log_likelihood(votes, wrong)

    assert price(many) > 3 * price(few) > 0


# --- per question, per answer ---


def test_sums_and_spreading_equal_slices(rng):
    values = rng.normal(size=(4, 10, 3))
    sums = dirichlet.sum_by_question(values, GROUPS)
    np.testing.assert_allclose(sums, np.stack([values[:, f : t + 1].sum(1) for f, t in GROUPS], axis=1))
    spread = dirichlet.spread_over_answers(sums, GROUPS)
    assert spread.shape == values.shape
    for question, (first, last) in enumerate(GROUPS):
        assert (spread[:, first : last + 1] == sums[:, [question]]).all()


def test_vote_fractions_sum_to_1_and_are_nan_without_votes(rng):
    votes, _ = draw(rng)
    fractions = dirichlet.vote_fractions(votes, GROUPS)
    for first, last in GROUPS:
        question, total = votes[:, first : last + 1], votes[:, first : last + 1].sum(axis=1)
        for row in range(len(votes)):
            expected = question[row] / total[row] if total[row] else np.full(last - first + 1, np.nan)
            np.testing.assert_allclose(fractions[row, first : last + 1], expected)
    assert np.isnan(fractions[3]).all()


def test_mean_and_variance_equal_scipys_dirichlet(rng):
    _, a = draw(rng)
    means, variances = dirichlet.mean(a, GROUPS), dirichlet.variance(a, GROUPS)
    for galaxy in range(len(a)):
        for first, last in GROUPS:
            if first == last:
                assert (means[galaxy, first], variances[galaxy, first]) == (1, 0)
                continue
            witness = stats.dirichlet(a[galaxy, first : last + 1])
            np.testing.assert_allclose(means[galaxy, first : last + 1], witness.mean(), rtol=1e-12)
            np.testing.assert_allclose(variances[galaxy, first : last + 1], witness.var(), rtol=1e-10)


@pytest.mark.parametrize("n", [1, 2, 40, 100_000])
def test_variance_among_n_volunteers_equals_scipys_covariance(rng, n):
    _, a = draw(rng, n_galaxies=5)
    variances = dirichlet.variance(a, GROUPS, n)
    for galaxy in range(5):
        for first, last in (group for group in GROUPS if group[0] < group[1]):
            counts = np.diag(stats.dirichlet_multinomial.cov(a[galaxy, first : last + 1], n))
            np.testing.assert_allclose(variances[galaxy, first : last + 1], counts / n**2, rtol=1e-10)


def test_mean_and_variance_of_samples_are_those_of_each_sample(rng):
    a = rng.uniform(0.1, 100, (5, 10, 3))
    n = rng.integers(1, 40, (5, 4, 1))
    for sample in range(3):
        np.testing.assert_allclose(dirichlet.mean(a, GROUPS)[..., sample], dirichlet.mean(a[..., sample], GROUPS))
        np.testing.assert_allclose(
            dirichlet.variance(a, GROUPS, n)[..., sample], dirichlet.variance(a[..., sample], GROUPS, n[..., 0])
        )


# --- constant baselines ---


def generic_fit(votes, bounds, starts):
    """Lowest loss that a gradient-free search finds from several starts."""
    low, high = np.log(bounds)

    def loss(log_a):
        return -dirichlet.log_likelihood(votes, np.exp(np.clip(log_a, low, high))).mean()

    found = [
        optimize.minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10, "maxiter": 2000})
        for start in starts
    ]
    return min(fit.fun for fit in found)


@pytest.mark.parametrize("bounds", [None, (1.0, 101.0)])
@pytest.mark.parametrize("true", [(0.3, 0.1, 1.2), (30.0, 8.0, 2.0)])
def test_fit_is_as_good_as_a_gradient_free_search(rng, true, bounds):
    probabilities = rng.dirichlet(true, 300)
    votes = rng.multinomial(rng.integers(0, 40, 300), probabilities)
    fit = dirichlet.fit_constant(votes, [(0, 2)], bounds)
    asked = votes[votes.sum(axis=1) > 0]
    best = generic_fit(asked, bounds or (1e-4, 1e5), rng.normal(1, 1, (4, 3)))
    assert -dirichlet.log_likelihood(asked, fit.concentrations).mean() <= best + 1e-6
    low, high = bounds or (1e-4, 1e5)
    assert ((fit.concentrations >= low * (1 - 1e-12)) & (fit.concentrations <= high * (1 + 1e-12))).all()
    if bounds is None:
        np.testing.assert_allclose(fit.concentrations, true, rtol=0.35)


def test_questions_are_fitted_each_on_its_own(rng):
    votes, _ = draw(rng, n_galaxies=60)
    whole = dirichlet.fit_constant(votes, GROUPS).concentrations
    parts = [dirichlet.fit_constant(votes[:, f : t + 1], [(0, t - f)]).concentrations for f, t in GROUPS]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize(("bounds", "expected"), [(None, 1.0), ((1.0, 101.0), 1.0), ((2.0, 5.0), 2.0)])
def test_question_without_votes_gets_1_inside_the_bounds(rng, bounds, expected):
    votes, _ = draw(rng)
    votes[:, 3:5] = 0
    assert (dirichlet.fit_constant(votes, GROUPS, bounds).concentrations[3:5] == expected).all()


@pytest.mark.parametrize("bounds", [None, (1.0, 101.0)])
def test_fit_stays_finite_for_extreme_votes(bounds):
    for votes in ([[5, 0], [9, 0]], [[1, 0]], [[5, 5]] * 10, [[0.5, 0.25]], [[10**6, 1]]):
        fit = dirichlet.fit_constant(votes, [(0, 1)], bounds)
        assert np.isfinite(fit.concentrations).all()
        assert np.isfinite(dirichlet.log_likelihood(votes, fit.concentrations)).all()


def test_fit_of_real_votes_equals_the_published_numbers(shared_data):
    """Loss per galaxy of gz2/ as its README states it, 28.0 and 25.3, measured on 250 galaxies like these."""
    import pandas as pd

    from zoobot.shared.schemas import get_schema

    schema = get_schema("gz2")
    votes = pd.read_csv(shared_data / "gz2" / "catalog.csv")[schema.label_cols].to_numpy()
    for bounds, published in (((1.0, 101.0), 28.0), (None, 25.3)):
        fit = dirichlet.fit_constant(votes, schema.question_index_groups, bounds)
        logged = dirichlet.multiquestion_log_likelihood(votes, fit.concentrations, schema.question_index_groups)
        assert -logged.sum(axis=1).mean() == pytest.approx(published, abs=1.0)
