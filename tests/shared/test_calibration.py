"""Beta-binomial tails against scipy; predictors of simulated galaxies that are right, and wrong in known ways."""

import numpy as np
import pytest
from scipy import stats

from zoobot.shared import calibration, dirichlet
from zoobot.shared.calibration import NO_FAULT, OVER_CONFIDENT, TOO_FEW, TOO_HIGH, TOO_LOW, UNDER_CONFIDENT
from zoobot.shared.schemas import Schema, get_schema

SMALL = Schema({"smooth": ["_yes", "_no"], "bar": ["_strong", "_weak", "_no"]}, {"smooth": None, "bar": "smooth_no"})
DECALS = get_schema("decals")


def draw_concentrations(n_galaxies, schema, rng, total=8.0):
    """A different, uneven truth for each galaxy: `(galaxy, answer, 1)`."""
    return (rng.gamma(2, total / 6, (n_galaxies, len(schema.answers), 1)) + 0.3).astype(np.float32)


def draw_votes(concentrations, schema, rng, volunteers=(20, 60)):
    """Volunteers go down the tree: who gives an answer that leads to a question is asked it."""
    votes = np.zeros(concentrations.shape[:2])
    for question in schema.asking_order:
        parents = [answer.index for answer in question.asked_after]
        n = votes[:, parents].sum(axis=1).astype(int) if parents else rng.integers(*volunteers, len(votes))
        p = rng.gamma(concentrations[:, question.slice, 0].astype(float)) + 1e-12
        votes[:, question.slice] = rng.multinomial(n, p / p.sum(axis=1, keepdims=True))
    return votes


def calibrate(votes, concentrations, schema, seed=0):
    fractions = dirichlet.mean(concentrations, schema.question_index_groups).mean(axis=2)
    return calibration.calibrate(votes, concentrations, fractions, schema, seed)


def faults(table):
    return set(table["verdict"]) - {NO_FAULT, TOO_FEW}


@pytest.fixture(scope="module")
def decals():
    rng = np.random.default_rng(0)
    a = draw_concentrations(6000, DECALS, rng)
    return draw_votes(a, DECALS, rng), a


# --- the numbers ---


@pytest.mark.parametrize("n_samples", [1, 3])
def test_tails_equal_scipys_mixture(n_samples):
    rng = np.random.default_rng(n_samples)
    n = rng.integers(0, 60, 300)
    k = rng.integers(0, n + 1)
    a, b = np.exp(rng.uniform(np.log(0.01), np.log(500), (2, 300, n_samples)))
    below, at = calibration.vote_tails(k, n, a, b)
    beta_binomial = stats.betabinom(n[:, None], a, b)
    np.testing.assert_allclose(below, beta_binomial.cdf(k[:, None] - 1).mean(axis=1), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(at, beta_binomial.pmf(k[:, None]).mean(axis=1), rtol=1e-7, atol=1e-14)


def test_tails_of_extreme_predictions_are_probabilities():
    k, n = np.array([0, 5000, 1, 3]), np.array([5000, 5000, 1, 3])
    below, at = calibration.vote_tails(k, n, [[1e-4], [1e5], [1e-4], [1e5]], [[1e5], [1e-4], [1e5], [1e5]])
    assert (below >= 0).all()
    assert (at >= 0).all()
    assert (below + at <= 1 + 1e-6).all()


def test_no_galaxy_has_no_tails():
    empty = np.empty((0, 1))
    assert [len(part) for part in calibration.vote_tails([], [], empty, empty)] == [0, 0]


def test_transform_lies_between_the_tails_and_is_unknown_without_votes(decals):
    votes, a = decals[0][:300], decals[1][:300]
    u = calibration.transform(votes, a, DECALS, 3)
    np.testing.assert_array_equal(u, calibration.transform(votes, a, DECALS, 3))
    assert u.dtype == np.float32
    for question in DECALS.questions:
        n = votes[:, question.slice].sum(axis=1)
        assert (np.isnan(u[:, question.slice]).all(axis=1) == (n == 0)).all()
        total = a[:, question.slice, 0].sum(axis=1)
        for answer in question.answers:
            asked = n > 0
            own = a[asked, answer.index, 0].astype(float)
            law = stats.betabinom(n[asked], own, total[asked] - own)
            k = votes[asked, answer.index]
            assert (u[asked, answer.index] >= law.cdf(k - 1) - 1e-4).all()
            assert (u[asked, answer.index] <= law.cdf(k) + 1e-4).all()


def test_yes_and_no_mirror_each_other(decals):
    votes, a = decals
    u = calibration.transform(votes, a, DECALS, 0)
    for question in DECALS.questions:
        if len(question.answers) == 2:
            pair = u[:, question.slice]
            np.testing.assert_allclose(pair.sum(axis=1)[~np.isnan(pair[:, 0])], 1, atol=1e-4)


def test_transform_of_a_right_predictor_is_uniform(decals):
    u = calibration.transform(*decals, DECALS, 0)
    p = [stats.kstest(column[~np.isnan(column)], "uniform").pvalue for column in u.T]
    assert min(p) > 0.01 / len(p)


def test_tables_equal_naive_loops():
    rng = np.random.default_rng(2)
    a = draw_concentrations(500, SMALL, rng)
    votes = draw_votes(a, SMALL, rng)
    result = calibrate(votes, a, SMALL)
    fractions, u = dirichlet.mean(a[..., 0], SMALL.question_index_groups), result.pit_of_galaxies
    for index, (_, row) in enumerate(result.table.iterrows()):
        question = SMALL.answers[index].question
        galaxies = [galaxy for galaxy in range(500) if votes[galaxy, question.slice].sum()]
        assert row["galaxies"] == len(galaxies)
        for level in (0.5, 0.8, 0.9, 0.95):
            held = np.mean([(1 - level) / 2 <= u[galaxy, index] <= (1 + level) / 2 for galaxy in galaxies])
            assert row[f"{level:.0%} interval holds"] == pytest.approx(held)
        assert row["mean"] == pytest.approx(np.mean([u[galaxy, index] for galaxy in galaxies]), rel=1e-5)
        assert row["spread"] == pytest.approx(12 * np.mean([(u[galaxy, index] - 0.5) ** 2 for galaxy in galaxies]))
        assert result.pit[index].mean() == pytest.approx(1)
        curve = result.reliability.query("question == @question.text and answer == @row['answer']")
        bins, error = 0, 0.0
        for low in np.arange(10) / 10:
            here = [galaxy for galaxy in galaxies if low <= fractions[galaxy, index] < low + 0.1]
            if here:
                point = curve.iloc[bins]
                observed = np.array([votes[galaxy, index] / votes[galaxy, question.slice].sum() for galaxy in here])
                assert point["galaxies"] == len(here)
                assert point["observed"] == pytest.approx(observed.mean())
                assert point["predicted"] == pytest.approx(fractions[here, index].mean())
                residual_error = np.std(observed - fractions[here, index]) / np.sqrt(len(here))
                assert point["standard error"] == pytest.approx(residual_error, abs=1e-9)
                error += len(here) / len(galaxies) * abs(observed.mean() - fractions[here, index].mean())
                bins += 1
        assert len(curve) == bins
        assert row["calibration error"] == pytest.approx(error)


# --- verdicts ---


def test_right_predictor_is_rarely_found_at_fault_on_any_question_of_the_tree():
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        a = draw_concentrations(500, DECALS, rng)
        found += bool(faults(calibrate(draw_votes(a, DECALS, rng), a, DECALS, seed).table))
    assert stats.binomtest(found, 40, calibration.ERROR_RATE, alternative="greater").pvalue > 0.01


def test_right_predictor_holds_what_its_intervals_promise(decals):
    result = calibrate(*decals, DECALS)
    assert set(result.table["verdict"]) == {NO_FAULT}
    for level in ("50%", "80%", "90%", "95%"):
        off = result.table[f"{level} interval holds"] - float(level[:-1]) / 100
        assert (off.abs() < 4.5 * result.table[f"{level} interval, standard error"]).all()
    error, of_noise = result.table["calibration error"], result.table["calibration error of noise"]
    assert (error < 3 * of_noise).all()
    assert error.mean() == pytest.approx(of_noise.mean(), rel=0.3)


def test_mixture_that_is_right_is_found_right():
    """The truth of each galaxy is one of its samples, at random."""
    rng = np.random.default_rng(3)
    a = np.concatenate([draw_concentrations(3000, DECALS, rng) for _ in range(4)], axis=2)
    truth = a[np.arange(3000), :, rng.integers(0, 4, 3000)][..., None]
    votes = draw_votes(truth, DECALS, rng)
    assert not faults(calibrate(votes, a, DECALS).table)
    assert faults(calibrate(votes, a[..., :1], DECALS).table)  # one sample alone does not know what the four know


@pytest.mark.parametrize(
    ("factor", "fault", "opposite"), [(5, OVER_CONFIDENT, UNDER_CONFIDENT), (0.2, UNDER_CONFIDENT, OVER_CONFIDENT)]
)
def test_wrong_confidence_is_caught_on_every_question(decals, factor, fault, opposite):
    table = calibrate(decals[0], decals[1] * factor, DECALS).table
    caught = table.groupby("question")["verdict"].apply(lambda verdicts: verdicts.str.contains(fault).all())
    assert caught[table.groupby("question")["galaxies"].min() > 1000].all()
    assert (table["galaxies"] > 1000).sum() > 20
    assert not table["verdict"].str.contains(opposite).any()


@pytest.mark.parametrize(("factor", "fault"), [(1.5, TOO_HIGH), (1 / 1.5, TOO_LOW)])
def test_bias_is_named_by_its_direction(decals, factor, fault):
    """Too high is the prediction, not the votes."""
    first = [question.start_index for question in DECALS.questions]
    a = decals[1].copy()
    a[:, first] *= factor
    verdicts = calibrate(decals[0], a, DECALS).table["verdict"]
    assert all(fault in verdict for verdict in verdicts[first])
    seconds = verdicts[[question.end_index for question in DECALS.questions if len(question.answers) == 2]]
    assert all((TOO_LOW if fault == TOO_HIGH else TOO_HIGH) in verdict for verdict in seconds)


# --- little to judge by ---


@pytest.mark.parametrize("n_galaxies", [1, 29, 30])
def test_few_galaxies_get_no_verdict(n_galaxies):
    rng = np.random.default_rng(4)
    a = draw_concentrations(n_galaxies, SMALL, rng)
    table = calibrate(draw_votes(a, SMALL, rng, (200, 201)), a, SMALL).table
    assert set(table["verdict"]) == ({TOO_FEW} if n_galaxies < 30 else {NO_FAULT})
    assert table.drop(columns=["question", "answer", "verdict"]).notna().all(axis=None)


def test_question_without_votes_has_unknown_calibration():
    rng = np.random.default_rng(5)
    a = draw_concentrations(50, SMALL, rng)
    votes = draw_votes(a, SMALL, rng)
    votes[:, 2:] = 0
    result = calibrate(votes, a, SMALL)
    bar = result.table[result.table["question"] == "bar"]
    assert (bar["galaxies"] == 0).all()
    assert (bar["verdict"] == TOO_FEW).all()
    assert bar.drop(columns=["question", "answer", "galaxies", "verdict"]).isna().all(axis=None)
    assert np.isnan(result.pit[2:]).all()
    assert set(result.reliability["question"]) == {"smooth"}


def test_certain_and_confidently_wrong_predictions_stay_finite():
    votes = np.tile([40.0, 0, 0, 0, 0], (40, 1))
    for first in (1e-4, 1e5):
        a = np.tile(np.array([first, 1e5 / first, 1, 1, 1], np.float32)[:, None], (40, 1, 1))
        u = calibrate(votes, a, SMALL).pit_of_galaxies[:, :2]
        assert ((u >= 0) & (u <= 1)).all()
