import numpy as np
import pytest

from zoobot.shared.similarity import find_nearest, measure_distance, measure_isolation

RNG = np.random.default_rng(0)
FEATURES = (RNG.normal(size=(200, 16)) + 5).astype(np.float32)


def test_nearest_are_those_of_a_plain_loop():
    centred = FEATURES - FEATURES.mean(axis=0)
    rows, likeness = find_nearest(FEATURES, FEATURES[:5], 7)
    for query in range(5):
        cosines = [
            np.dot(centred[query], other) / np.linalg.norm(centred[query]) / np.linalg.norm(other) for other in centred
        ]
        order = np.argsort(cosines)[::-1][:7]
        np.testing.assert_array_equal(rows[query], order)
        np.testing.assert_allclose(likeness[query], np.array(cosines)[order], atol=1e-5)
    assert (rows[:, 0] == np.arange(5)).all()
    assert find_nearest(FEATURES[:3], FEATURES[:1], 20)[0].shape == (1, 3)


def test_distances_are_those_of_a_plain_loop_also_of_twins():
    features = np.concatenate([FEATURES, FEATURES[:3]])
    spread = np.sqrt(((features - features.mean(axis=0)) ** 2).sum(axis=1).mean())
    expected = []
    for row, own in enumerate(features):
        others = np.delete(features, row, axis=0)
        expected.append(np.sort(np.linalg.norm(others - own, axis=1))[:4].mean() / spread)
    np.testing.assert_allclose(measure_distance(features, 4), expected, rtol=1e-3, atol=1e-4)
    assert (measure_distance(np.ones((5, 3), np.float32), 2) == 0).all()


@pytest.mark.parametrize("measure", [lambda x: measure_isolation(x, 0), lambda x: measure_distance(x, 5)])
def test_planted_outliers_stand_out(measure):
    planted = FEATURES.copy()
    planted[[3, 77]] += 6 * RNG.choice([-1, 1], (2, 16))
    assert set(np.argsort(measure(planted))[-2:]) == {3, 77}


def test_isolation_follows_from_the_seed():
    np.testing.assert_array_equal(measure_isolation(FEATURES, 1), measure_isolation(FEATURES, 1))
    assert (measure_isolation(FEATURES, 1) != measure_isolation(FEATURES, 2)).any()
