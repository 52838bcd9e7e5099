"""Principal components of features: fitted in one pass over parts, saved, used again on other galaxies."""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoobot.errors import PredictionError, SettingError
from zoobot.shared.run_folders import write_atomically

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PrincipalComponents:
    """What turns features into components.

    Args:
        mean: `(feature,)`.
        directions: `(component, feature)`, orthonormal, the component with the largest variance first; the largest
            entry of each is positive, so that a fit gives the same signs each time.
        variance: `(component,)`, of the galaxies that they were fitted to.
        total_variance: of all features together.
    """

    mean: FloatArray
    directions: FloatArray
    variance: FloatArray
    total_variance: float

    @property
    def share_of_variance(self) -> float:
        """The part of the variance that the components hold."""
        return float(self.variance.sum() / self.total_variance) if self.total_variance else 0.0

    def transform(self, features: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Components `(galaxy, component)` of features `(galaxy, feature)`."""
        if features.shape[1] != len(self.mean):
            raise SettingError(
                f"The principal components are of {len(self.mean)} features, and these galaxies have "
                f"{features.shape[1]}: they come from another encoder."
            )
        components: npt.NDArray[np.float32] = ((features - self.mean) @ self.directions.T).astype(np.float32)
        return components

    def save(self, path: Path) -> None:
        """Write them as plain numpy arrays."""
        buffer = BytesIO()
        np.savez(
            buffer,
            mean=self.mean,
            directions=self.directions,
            variance=self.variance,
            total_variance=np.array(self.total_variance),
        )
        write_atomically(path, buffer.getvalue())


def load_components(path: str | Path) -> PrincipalComponents:
    """Read what `save` wrote; no pickle."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return PrincipalComponents(
                file["mean"], file["directions"], file["variance"], float(file["total_variance"])
            )
    except (OSError, KeyError, ValueError) as error:
        raise PredictionError(f"'{path}' holds no principal components, or is damaged: {error}") from error


def fit_components(batches: Iterable[npt.NDArray[Any]], n_components: int) -> PrincipalComponents:
    """Fit components in one pass: sums of the features and of their products, in float64.

    Products are of differences from the first batch's mean, so that a large mean costs no precision.

    Args:
        batches: features `(galaxy, feature)`.

    Raises:
        SettingError: more components than features, or than galaxies.
    """
    count, start = 0, np.zeros(0)
    sums, products = np.zeros(0), np.zeros((0, 0))
    for batch in batches:
        features = np.asarray(batch, np.float64)
        if not count:
            start = features.mean(axis=0)
            sums, products = np.zeros(len(start)), np.zeros((len(start), len(start)))
        differences = features - start
        count += len(features)
        sums += differences.sum(axis=0)
        products += differences.T @ differences
    if n_components > min(count, len(sums)):
        raise SettingError(
            f"pca must be at most the number of features, {len(sums)}, and of galaxies, {count}. Got {n_components}."
        )
    offset = sums / count
    covariance = (products - count * np.outer(offset, offset)) / max(count - 1, 1)
    values, vectors = np.linalg.eigh(covariance)
    directions = vectors[:, ::-1][:, :n_components].T
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[np.arange(n_components), largest])[:, np.newaxis]
    variance = np.maximum(values[::-1][:n_components], 0)
    return PrincipalComponents(start + offset, directions, variance, float(np.trace(covariance)))
