"""Which galaxies are alike, and which are like no other, by their features."""

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.float32]


def find_nearest(features: Features, queries: Features, k: int) -> tuple[npt.NDArray[np.int64], Features]:
    """The galaxies most like each query, exactly.

    The likeness is the cosine of the angle between features, both seen from the mean galaxy: 1 for the same image.

    Args:
        features: `(galaxy, feature)`.
        queries: `(query, feature)`, of the same encoder.
        k: how many; of fewer galaxies, all.

    Returns:
        Rows and likeness, `(query, k)`, the most alike first.
    """
    import faiss

    centre = features.mean(axis=0)
    index = faiss.IndexFlatIP(features.shape[1])
    index.add(_to_unit_length(features - centre))
    likeness, rows = index.search(_to_unit_length(queries - centre), min(k, len(features)))
    return rows, likeness


def measure_isolation(features: Features, seed: int) -> npt.NDArray[np.float64]:
    """How few random cuts set each galaxy apart, `(galaxy,)` from 0 to 1: above one half is unusual.

    Isolation forest (Liu, Ting & Zhou 2008, IEEE ICDM, 413).
    """
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=300, random_state=seed).fit(features)
    scores: npt.NDArray[np.float64] = -forest.score_samples(features)
    return scores


def measure_distance(features: Features, k: int) -> npt.NDArray[np.float64]:
    """Mean distance to the `k` nearest other galaxies, `(galaxy,)`, relative to the spread of all features."""
    import faiss

    centred = np.ascontiguousarray(features - features.mean(axis=0), np.float32)
    spread = np.sqrt((centred.astype(np.float64) ** 2).sum(axis=1).mean())
    index = faiss.IndexFlatL2(features.shape[1])
    index.add(centred)
    squared, rows = index.search(centred, min(k + 1, len(features)))
    itself = rows == np.arange(len(features))[:, np.newaxis]
    itself[~itself.any(axis=1), -1] = True  # among galaxies with the very same features faiss may leave it out
    others = np.sqrt(np.maximum(squared[~itself].reshape(len(features), -1), 0))
    distances: npt.NDArray[np.float64] = others.mean(axis=1).astype(np.float64) / (spread or 1.0)
    return distances


def _to_unit_length(features: Features) -> Features:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.ascontiguousarray(features / np.maximum(lengths, 1e-12), np.float32)
