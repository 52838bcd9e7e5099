"""Embeddings are the encoder's own features, and an image is found among them by itself."""

import numpy as np
import pandas as pd
import pytest

from zoobot.config import EmbedSettings
from zoobot.errors import ModelError, PredictionError, SettingError
from zoobot.frameworks import similar
from zoobot.shared.adjustments import adjust
from zoobot.shared.embeddings import read_embeddings
from zoobot.shared.images import read_image
from zoobot.tensorflow.training.representations import embed

PARTS = EmbedSettings(part_size=25, batch_size=8, device="cpu", pca=8)


@pytest.fixture(scope="module")
def embedded(trained, simulated, tmp_path_factory):
    return embed(trained.folder, simulated / "catalog.csv", tmp_path_factory.mktemp("embedded") / "E", PARTS).folder


def test_features_are_those_of_the_encoder(embedded, trained):
    found = read_embeddings(embedded)
    assert found.features.shape == (60, 16)
    assert set(found.table["model_split"]) == {"train", "validation", "test"}
    for row in (0, 31):
        view = adjust(read_image(found.table["file_loc"][row]), trained.model.settings.adjustments)
        features = trained.model.encode(view[None] / np.float32(255))
        np.testing.assert_allclose(found.features[row], features[0], rtol=2e-3, atol=1e-4)
    assert len(pd.read_parquet(embedded / "pca_8.parquet")) == 60


def test_an_image_finds_itself_and_the_commands_find_the_framework(embedded, trained, simulated, tmp_path, zoobot):
    table = read_embeddings(embedded).table
    found = similar(embedded, image=table["file_loc"][5])
    assert found.table["id_str"][0] == table["id_str"][5]
    assert found.table["likeness"][0] == pytest.approx(1, abs=1e-3)
    done = zoobot("embed", trained.folder, simulated / "catalog.csv", "--output", tmp_path / "E", "--device", "cpu")
    assert done.code == 0, done.err
    np.testing.assert_array_equal(read_embeddings(tmp_path / "E").features, read_embeddings(embedded).features)
    page = tmp_path / "alike.html"
    assert zoobot("similar", tmp_path / "E", "--id", table["id_str"][5], "--gallery", page).code == 0
    assert zoobot("anomalies", tmp_path / "E", "--output", tmp_path / "anomalies.csv").code == 0


def test_what_cannot_be_embedded(embedded, trained, simulated, tmp_path):
    with pytest.raises(SettingError, match=r"expects images with image_size 48, and 80 was given"):
        embed(trained.folder, simulated / "catalog.csv", tmp_path / "E", EmbedSettings(image_size=80))
    with pytest.raises(ModelError, match="There is no encoder 'resnet18' for Keras"):
        embed("resnet18", simulated / "catalog.csv", tmp_path / "E")
    (tmp_path / "bad.jpg").write_text("no image")
    with pytest.raises(PredictionError, match=r"bad\.jpg' is not an image"):
        similar(embedded, image=tmp_path / "bad.jpg")
