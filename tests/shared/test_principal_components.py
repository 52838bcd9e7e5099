import numpy as np
import pytest
from sklearn.decomposition import PCA

from zoobot.errors import PredictionError, SettingError
from zoobot.shared.principal_components import fit_components, load_components

RNG = np.random.default_rng(0)
FEATURES = (RNG.normal(size=(300, 12)) @ RNG.normal(size=(12, 12)) + 500).astype(np.float32)


def test_components_are_those_of_scikit_learn_whatever_the_batches():
    expected = PCA(5, svd_solver="full").fit(FEATURES.astype(float))
    for size in (300, 37, 1):
        found = fit_components((FEATURES[start : start + size] for start in range(0, 300, size)), 5)
        np.testing.assert_allclose(found.variance, expected.explained_variance_, rtol=1e-6)
        assert found.share_of_variance == pytest.approx(expected.explained_variance_ratio_.sum(), rel=1e-6)
        signs = np.sign((found.directions * expected.components_).sum(axis=1))
        np.testing.assert_allclose(found.directions, expected.components_ * signs[:, None], atol=1e-5)
        np.testing.assert_allclose(found.transform(FEATURES), expected.transform(FEATURES) * signs, atol=1e-3)


def test_saved_components_are_the_same_and_signs_are_fixed(tmp_path):
    found = fit_components([FEATURES], 3)
    found.save(tmp_path / "a.npz")
    loaded = load_components(tmp_path / "a.npz")
    np.testing.assert_array_equal(loaded.transform(FEATURES), found.transform(FEATURES))
    assert loaded.share_of_variance == found.share_of_variance
    assert (found.directions[np.arange(3), np.abs(found.directions).argmax(axis=1)] > 0).all()


def test_what_cannot_be(tmp_path):
    with pytest.raises(SettingError, match=r"at most the number of features, 12, and of galaxies, 300\. Got 13"):
        fit_components([FEATURES], 13)
    with pytest.raises(SettingError, match="of 12 features, and these galaxies have 11: they come from another"):
        fit_components([FEATURES], 2).transform(FEATURES[:, 1:])
    (tmp_path / "b.npz").write_bytes(b"123")
    with pytest.raises(PredictionError, match="holds no principal components, or is damaged"):
        load_components(tmp_path / "b.npz")
