"""How much a mean over galaxies would change with other galaxies: the bootstrap, for long tables.

Each resample gives every galaxy a weight drawn from Poisson(1), which is drawing galaxies with replacement where the
number of galaxies varies too (Hanley & MacGibbon 2006, doi:10.1016/j.cmpb.2006.04.006). The weights of a chunk of
galaxies follow from the seed and the chunk, so that all means of one table see the same resamples: differences between
them are paired.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from zoobot.shared.dirichlet import FloatArray
from zoobot.shared.row_chunks import in_chunks

_CHUNK = 4096
INTERVAL = (2.5, 97.5)
"""Percentiles of the resamples that bound a 95 % interval."""


def resampled_means(
    values: Callable[[slice], npt.ArrayLike] | npt.ArrayLike, n_galaxies: int, seed: int, resamples: int
) -> tuple[FloatArray, FloatArray]:
    """The mean of each column over galaxies, `(column,)`, and over resampled galaxies, `(resample, column)`.

    Args:
        values: `(galaxy, column)`, or a function that gives some rows of it; NaN where a galaxy does not count.

    A mean over no galaxy is NaN, and so are the resampled means over a single one.
    """
    of_rows = values if callable(values) else np.asarray(values, float).__getitem__

    def work(rows: slice) -> FloatArray:
        chunk = np.asarray(of_rows(rows), float)
        known = ~np.isnan(chunk)
        rng = np.random.default_rng((seed, rows.start, 2))
        weights = np.vstack([np.ones(len(chunk)), rng.poisson(1.0, (resamples, len(chunk)))])
        return np.stack([weights @ np.where(known, chunk, 0), weights @ known])

    totals, counts = np.sum(in_chunks(work, n_galaxies, _CHUNK), axis=0)
    means: FloatArray = np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)
    means[1:, counts[0] < 2] = np.nan  # one galaxy says nothing of others
    return means[0], means[1:]


def standard_error(resampled: FloatArray) -> float:
    """Standard deviation of the resamples that are known; NaN with fewer than two."""
    known = resampled[~np.isnan(resampled)]
    return float(known.std()) if len(known) > 1 else float("nan")


def interval(resampled: FloatArray) -> tuple[float, float]:
    """95 % interval of the resamples that are known; NaN with fewer than two."""
    known = resampled[~np.isnan(resampled)]
    low, high = np.percentile(known, INTERVAL) if len(known) > 1 else (np.nan, np.nan)
    return float(low), float(high)
