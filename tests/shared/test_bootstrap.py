"""Bootstrap means against numpy and the textbook's standard error; rows in chunks against a loop."""

import numpy as np
import pytest
from scipy import stats

from zoobot.shared import bootstrap
from zoobot.shared.row_chunks import in_chunks

N = 6000  # more than one chunk


@pytest.fixture(scope="module")
def values():
    values = np.random.default_rng(0).gamma(2, 3, (N, 3))
    values[np.random.default_rng(1).random((N, 3)) < 0.3] = np.nan
    return values


@pytest.mark.parametrize(("n_rows", "rows"), [(0, 4), (1, 4), (4, 4), (9, 4), (3, 1)])
def test_chunks_are_all_rows_in_order(n_rows, rows):
    numbers = np.arange(n_rows)
    chunks = in_chunks(lambda some: numbers[some].tolist(), n_rows, rows)
    assert [number for chunk in chunks for number in chunk] == numbers.tolist()
    assert all(0 < len(chunk) <= rows for chunk in chunks)


def test_what_fails_in_a_chunk_is_raised():
    with pytest.raises(ZeroDivisionError):
        in_chunks(lambda rows: 1 / (rows.start - 4), 9, 4)


def test_means_and_their_spread_are_those_of_the_textbook(values):
    means, resampled = bootstrap.resampled_means(values, N, 0, 400)
    np.testing.assert_allclose(means, np.nanmean(values, axis=0), rtol=1e-12)
    expected = stats.sem(values, nan_policy="omit")
    assert resampled.shape == (400, 3)
    np.testing.assert_allclose([bootstrap.standard_error(column) for column in resampled.T], expected, rtol=0.15)
    np.testing.assert_allclose(
        [bootstrap.interval(column) for column in resampled.T],
        np.stack([means - 1.96 * expected, means + 1.96 * expected], axis=1),
        atol=0.5 * expected.max(),
    )


def test_each_chunk_draws_its_own_weights():
    """Otherwise galaxies of two chunks come together, and the mean seems less certain than it is."""
    ones = np.where(np.arange(2 * bootstrap._CHUNK)[:, None] < bootstrap._CHUNK, [1.0, np.nan], [np.nan, 1.0])
    values = ones * np.random.default_rng(0).normal(size=(len(ones), 1))
    values[bootstrap._CHUNK :] = values[: bootstrap._CHUNK, ::-1]
    _, resampled = bootstrap.resampled_means(values, len(values), 0, 200)
    assert abs(np.corrcoef(resampled.T)[0, 1]) < 0.3


def test_a_function_of_rows_gives_what_the_table_gives(values):
    for of_table, of_function in zip(
        bootstrap.resampled_means(values, N, 5, 20),
        bootstrap.resampled_means(lambda rows: values[rows], N, 5, 20),
        strict=True,
    ):
        np.testing.assert_array_equal(of_table, of_function)


def test_the_seed_decides_and_columns_are_paired(values):
    twice = np.hstack([values, values])
    _, first = bootstrap.resampled_means(twice, N, 3, 20)
    np.testing.assert_allclose(first[:, :3], first[:, 3:], rtol=1e-14)
    np.testing.assert_array_equal(first, bootstrap.resampled_means(twice, N, 3, 20)[1])
    assert not np.allclose(first, bootstrap.resampled_means(twice, N, 4, 20)[1])


def test_mean_of_nothing_is_unknown():
    means, resampled = bootstrap.resampled_means(np.array([[np.nan, 2.0]] * 2), 2, 0, 50)
    np.testing.assert_array_equal(means, [np.nan, 2])
    assert np.isnan(resampled[:, 0]).all()
    assert set(resampled[~np.isnan(resampled[:, 1]), 1]) == {2.0}
    for few in ([], [np.nan], [np.nan, 3.0]):
        assert np.isnan([bootstrap.standard_error(np.array(few)), *bootstrap.interval(np.array(few))]).all()


def test_interval_of_a_paired_difference_covers_as_it_should():
    rng, held, n_trials = np.random.default_rng(7), 0, 300
    for seed in range(n_trials):
        galaxies = rng.normal(0, 10, 200)  # hard and easy ones: much larger than the difference
        pairs = np.stack([galaxies + rng.normal(1, 1, 200), galaxies + rng.normal(0, 1, 200)], axis=1)
        _, resampled = bootstrap.resampled_means(pairs, 200, seed, 200)
        low, high = bootstrap.interval(resampled[:, 0] - resampled[:, 1])
        assert high - low < 0.6
        held += low <= 1 <= high
    assert stats.binomtest(held, n_trials, 0.95).pvalue > 0.01
