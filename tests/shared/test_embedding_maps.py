import cv2
import numpy as np
import pandas as pd
import pytest

from zoobot.config import MapSettings
from zoobot.errors import MissingExtraError, PredictionError
from zoobot.shared import embedding_maps
from zoobot.shared.embedding_maps import choose_galaxies, draw_map

RNG = np.random.default_rng(0)


@pytest.fixture
def embeddings(tmp_path):
    """40 galaxies of one red and one blue kind, whose features are far apart."""
    rows = []
    for number in range(40):
        red = number % 2
        file = tmp_path / f"{number}.png"
        cv2.imwrite(str(file), np.full((20, 20, 3), (0, 0, 255) if red else (255, 0, 0), np.uint8))
        rows.append([f"g{number}", str(file), *(RNG.normal(size=5) + 20 * red)])
    columns = ["id_str", "file_loc", *(f"feat_{place}" for place in range(5))]
    pd.DataFrame(rows, columns=columns).to_parquet(tmp_path / "e.parquet")
    return tmp_path / "e.parquet"


@pytest.fixture
def without_umap(monkeypatch):
    """In the place of UMAP, the first two features."""

    def lay_out(features, settings):
        return (features[:, :2] - features[:, :2].min(axis=0)) / np.ptp(features[:, :2], axis=0)

    monkeypatch.setattr(embedding_maps, "require_extra", lambda *_: None)
    monkeypatch.setattr(embedding_maps, "_lay_out", lay_out)


def test_galaxies_are_drawn_where_they_are(embeddings, tmp_path, without_umap, zoobot):
    done = zoobot(
        *("map", embeddings, "--output", tmp_path / "map.png", "--table", tmp_path / "places.csv"),
        *("--cells", 2, "--side", 8),
    )
    assert done.code == 0, done.err
    picture = cv2.imread(str(tmp_path / "map.png"))
    assert picture.shape == (16, 16, 3)
    assert picture[12, 4].tolist() == [255, 0, 0]  # blue at the lower left
    assert picture[4, 12].tolist() == [0, 0, 255]
    assert picture[4, 4].tolist() == [255, 255, 255]
    places = pd.read_csv(tmp_path / "places.csv")
    assert len(places) == 40
    assert places["x"][1::2].min() > places["x"][::2].max()


def test_each_cell_has_the_galaxy_nearest_its_centre():
    places = np.array([[0.1, 0.1], [0.2, 0.3], [1.0, 1.0], [0.8, 0.2]])
    assert choose_galaxies(places, 2) == {(0, 0): 1, (1, 1): 2, (1, 0): 3}


def test_too_few_galaxies(embeddings, tmp_path, without_umap):
    with pytest.raises(PredictionError, match=r"with 40 neighbours needs more .* has 40: give fewer --neighbours"):
        draw_map(embeddings, tmp_path / "map.png", settings=MapSettings(neighbours=40))


def test_a_missing_umap_names_the_command(embeddings, tmp_path, monkeypatch):
    def missing(extra, modules):
        raise MissingExtraError(f"{extra} {modules}")

    monkeypatch.setattr(embedding_maps, "require_extra", missing)
    with pytest.raises(MissingExtraError, match="umap"):
        draw_map(embeddings, tmp_path / "map.png")
