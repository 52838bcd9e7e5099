"""Statistics of mixtures against scipy's distributions and against drawing from them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from zoobot.errors import SettingError
from zoobot.shared import dirichlet, mixtures
from zoobot.shared.schemas import get_schema

GZ2 = get_schema("gz2")
GROUPS = GZ2.question_index_groups
PROBABILITIES = (0.05, 0.5, 0.95)


def draw_concentrations(n_galaxies=40, n_samples=3, seed=0):
    rng = np.random.default_rng(seed)
    return np.exp(rng.uniform(np.log(0.05), np.log(100), (n_galaxies, len(GZ2.label_cols), n_samples)))


def betas(concentrations):
    """Parameters of each answer's Beta, by a plain loop."""
    a, b = concentrations, np.empty_like(concentrations)
    for first, last in GROUPS:
        for answer in range(first, last + 1):
            b[:, answer] = sum(a[:, other] for other in range(first, last + 1) if other != answer)
    return a, b


def draw_fractions(concentrations, n_draws, rng):
    """Vote fractions `(draw, answer)` of one galaxy `(answer, sample)`: a sample, then a Dirichlet of each question."""
    chosen = rng.integers(0, concentrations.shape[1], n_draws)
    drawn = np.empty((n_draws, len(concentrations)))
    for sample in range(concentrations.shape[1]):
        of_sample = np.flatnonzero(chosen == sample)
        for first, last in GROUPS:
            drawn[of_sample, first : last + 1] = rng.dirichlet(concentrations[first : last + 1, sample], len(of_sample))
    return drawn


def test_quantiles_of_one_sample_are_those_of_a_beta():
    concentrations = draw_concentrations(n_samples=1)
    a, b = betas(concentrations)
    expected = stats.beta.ppf(PROBABILITIES, a, b)
    np.testing.assert_allclose(mixtures.quantiles(concentrations, GROUPS, PROBABILITIES), expected, atol=1e-9)


@pytest.mark.parametrize("n_samples", [2, 5])
def test_below_a_quantile_the_mixture_holds_its_probability(n_samples):
    concentrations = draw_concentrations(200, n_samples)
    a, b = betas(concentrations)
    found = mixtures.quantiles(concentrations, GROUPS, PROBABILITIES)
    assert (np.diff(found, axis=2) >= 0).all()
    for place, probability in enumerate(PROBABILITIES):
        held = stats.beta.cdf(found[:, :, place, np.newaxis], a, b).mean(axis=2)
        at_the_end = found[:, :, place] > 1 - 1e-12  # floating point has no number between there and 1
        np.testing.assert_allclose(held[~at_the_end], probability, atol=1e-5)


@given(st.lists(st.tuples(st.floats(0.05, 101), st.floats(0.05, 101)), min_size=1, max_size=4), st.floats(0.01, 0.99))
@settings(max_examples=50)
def test_any_mixture_has_its_quantile(parameters, probability):
    concentrations = np.array(parameters).T[np.newaxis]
    found, other = mixtures.quantiles(concentrations, [(0, 1)], (probability, 1 - probability))[0, [0, 1], [0, 1]]
    held = stats.beta.cdf(found, *np.array(parameters).T).mean()
    assert held == pytest.approx(probability, abs=1e-5) or found > 1 - 1e-12
    assert found == pytest.approx(1 - other, abs=1e-5)


def test_quantiles_agree_with_drawing():
    concentrations = draw_concentrations(3, 4, seed=2)
    rng = np.random.default_rng(0)
    for galaxy in range(3):
        drawn = draw_fractions(concentrations[galaxy], 40_000, rng)
        found = mixtures.quantiles(concentrations[galaxy : galaxy + 1], GROUPS, PROBABILITIES)[0]
        for place, probability in enumerate(PROBABILITIES):
            below = (drawn <= found[:, place]).mean(axis=0)
            np.testing.assert_allclose(below, probability, atol=5 * np.sqrt(0.25 / 40_000))


def test_intervals_cover_the_truth_as_often_as_they_say():
    """10,000 galaxies whose true vote fractions are drawn from what is predicted."""
    concentrations = draw_concentrations(10_000, 2, seed=3)[:, :3]
    groups = GROUPS[:1]
    rng = np.random.default_rng(1)
    chosen = rng.integers(0, 2, 10_000)
    gammas = rng.gamma(concentrations[np.arange(10_000), :, chosen])
    truth = gammas / gammas.sum(axis=1, keepdims=True)
    low, high = np.moveaxis(mixtures.quantiles(concentrations, groups, (0.05, 0.95)), 2, 0)
    inside = ((truth >= low) & (truth <= high)).mean(axis=0)
    np.testing.assert_allclose(inside, 0.9, atol=0.01)
    low, high = np.moveaxis(mixtures.median_of_sample_quantiles(concentrations, groups, (0.05, 0.95)), 2, 0)
    assert ((truth >= low) & (truth <= high)).mean() < 0.88  # samples that disagree are left out


def test_median_of_sample_quantiles_is_that():
    concentrations = draw_concentrations(20, 3)
    expected = np.median(stats.beta.ppf(0.9, *betas(concentrations)), axis=2)
    found = mixtures.median_of_sample_quantiles(concentrations, GROUPS, 0.9)
    np.testing.assert_allclose(found[:, :, 0], expected, atol=1e-9)


def test_mean_and_variance_agree_with_drawing():
    concentrations = draw_concentrations(2, 3, seed=4)
    rng = np.random.default_rng(0)
    for galaxy in range(2):
        drawn = draw_fractions(concentrations[galaxy], 40_000, rng)
        one = concentrations[galaxy : galaxy + 1]
        spread = np.sqrt(mixtures.variance(one, GROUPS)[0])
        np.testing.assert_allclose(mixtures.mean(one, GROUPS)[0], drawn.mean(axis=0), atol=5 * spread.max() / 200)
        np.testing.assert_allclose(spread, drawn.std(axis=0), rtol=0.04, atol=1e-3)


def test_variance_among_few_volunteers_is_that_of_their_votes():
    concentrations = draw_concentrations(30, 3)
    votes = np.arange(13)
    probabilities = mixtures.vote_probabilities(concentrations, GROUPS, 12)
    mean = probabilities @ votes / 12
    expected = probabilities @ votes**2 / 144 - mean**2
    np.testing.assert_allclose(mixtures.variance(concentrations, GROUPS, 12), expected, atol=1e-9)
    np.testing.assert_allclose(mixtures.mean(concentrations, GROUPS), mean, atol=1e-9)


def test_vote_probabilities_are_beta_binomial():
    concentrations = draw_concentrations(10, 2)
    a, b = betas(concentrations)
    expected = np.mean([stats.betabinom.pmf(np.arange(6), 5, a[..., s, None], b[..., s, None]) for s in (0, 1)], axis=0)
    np.testing.assert_allclose(mixtures.vote_probabilities(concentrations, GROUPS, 5), expected, atol=1e-9)
    assert (mixtures.vote_probabilities(concentrations, GROUPS, 0) == 1).all()


@pytest.mark.parametrize("fraction", [0, 0.3, 0.8, 1])
def test_probability_of_at_least_a_fraction_is_the_mean_survival(fraction):
    concentrations = draw_concentrations(20, 3)
    expected = stats.beta.sf(fraction, *betas(concentrations)).mean(axis=2)
    np.testing.assert_allclose(mixtures.probability_at_least(concentrations, GROUPS, fraction), expected, atol=1e-9)


def test_expected_votes_are_those_of_volunteers_who_walk_the_tree():
    concentrations = draw_concentrations(5, 2)
    found = mixtures.expected_votes(concentrations, GZ2, 40)
    first, last = GROUPS[0]
    np.testing.assert_allclose(found[:, first : last + 1].sum(axis=1), 40)
    naive = np.zeros_like(found)
    for sample in range(2):
        fractions = dirichlet.mean(concentrations[:, :, sample], GROUPS)
        for question in GZ2.questions:
            asked = np.ones(5)
            parents = question.asked_after
            while parents:
                asked = asked * sum(fractions[:, parent.index] for parent in parents)
                parents = parents[0].question.asked_after
            naive[:, question.slice] += 40 * asked[:, None] * fractions[:, question.slice] / 2
    np.testing.assert_allclose(found, naive)


def test_entropy_is_split_into_what_volunteers_and_what_samples_disagree_about():
    concentrations = draw_concentrations(30, 4)
    found = mixtures.entropy(concentrations, GROUPS)
    fractions = dirichlet.mean(concentrations, GROUPS)
    for number, (first, last) in enumerate(GROUPS):
        own = fractions[:, first : last + 1]
        np.testing.assert_allclose(found.total[:, number], stats.entropy(own.mean(axis=2), axis=1))
        np.testing.assert_allclose(found.expected[:, number], stats.entropy(own, axis=1).mean(axis=1))
    np.testing.assert_allclose(found.mutual_information, found.total - found.expected, atol=1e-12)
    assert (found.mutual_information > 0).all()
    alone = mixtures.entropy(concentrations[:, :, :1], GROUPS)
    np.testing.assert_allclose(alone.mutual_information, 0, atol=1e-12)


def test_long_tables_are_their_parts(monkeypatch):
    concentrations = draw_concentrations(50, 2)
    whole = mixtures.quantiles(concentrations, GROUPS, PROBABILITIES)
    monkeypatch.setattr(mixtures, "_CHUNK", 7)
    np.testing.assert_array_equal(mixtures.quantiles(concentrations, GROUPS, PROBABILITIES), whole)
    assert mixtures.quantiles(concentrations[:0], GROUPS, PROBABILITIES).shape == (0, len(GZ2.label_cols), 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: mixtures.quantiles(a, GROUPS, (0, 0.5)), "must be above 0 and below 1. Got [0.0, 0.5]"),
        (lambda a: mixtures.quantiles(a[:, :, 0], GROUPS, 0.5), "must be (galaxy, answer, sample). Got the shape"),
        (lambda a: mixtures.probability_at_least(a, GROUPS, 50), "must be from 0 to 1. Got 50 instead"),
        (lambda a: mixtures.vote_probabilities(a, GROUPS, -1), "must be 0 or more. Got -1 instead"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(SettingError) as caught:
        call(draw_concentrations(2, 1))
    assert message in str(caught.value)
