"""Which features dropout leaves out, as a function of the galaxy and the sample: any sample can be made again alone."""

import numpy as np
import numpy.typing as npt

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def dropout_masks(galaxies: npt.ArrayLike, samples: int, n_features: int, rate: float) -> npt.NDArray[np.float32]:
    """What to multiply features with: 0, or 1 / (1 - rate) so that their mean stays.

    Args:
        galaxies: `(galaxy,)`, numbers that follow from each galaxy's name and the seed, see `catalogs.galaxy_hash`.
        rate: probability to leave a feature out, 0 or more and below 1.

    Returns:
        `(galaxy, sample, feature)`.
    """
    keys = _mix(np.asarray(galaxies, np.uint64)[:, np.newaxis] + _GOLDEN * np.arange(1, samples + 1, dtype=np.uint64))
    numbers = _mix(keys[:, :, np.newaxis] + _GOLDEN * np.arange(1, n_features + 1, dtype=np.uint64))
    kept = (numbers >> np.uint64(11)) * 2.0**-53 >= rate
    return kept.astype(np.float32) / np.float32(1 - rate)


def _mix(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea & Flood 2014, OOPSLA): every bit of the result depends on every bit of the number."""
    mixed = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
