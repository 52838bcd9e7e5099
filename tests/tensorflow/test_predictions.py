import shutil

import numpy as np
import pandas as pd
import pytest

from tests.tensorflow.conftest import TINY
from zoobot.config import KerasTrainSettings, PredictSettings
from zoobot.errors import ModelError, SettingError
from zoobot.shared.adjustments import adjust
from zoobot.shared.catalogs import galaxy_hash
from zoobot.shared.dropout_masks import dropout_masks
from zoobot.shared.images import read_image
from zoobot.shared.predictions import read_predictions
from zoobot.tensorflow.estimators.define_model import ZoobotTree
from zoobot.tensorflow.predictions.predict_on_catalog import predict

PARTS = PredictSettings(part_size=25, batch_size=7)


@pytest.fixture(scope="module")
def predicted(trained, simulated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("predicted") / "P"
    predict(trained.folder, simulated / "catalog.csv", folder, PARTS)
    return read_predictions(folder)


def test_each_galaxy_gets_the_model_s_concentrations(predicted, trained, simulated):
    adjustments = trained.model.settings.adjustments
    rows = [0, 30, 59]
    views = [adjust(read_image(simulated / predicted.table["file_loc"][row]), adjustments) for row in rows]
    np.testing.assert_allclose(predicted.concentrations[rows, :, 0], trained.model(np.stack(views)), rtol=1e-4)


def test_the_split_and_the_framework_travel_along(predicted, trained):
    split = pd.read_parquet(trained.folder / "galaxies.parquet")
    assert dict(zip(predicted.id_str, predicted.table["model_split"], strict=True)) == dict(split.to_numpy())
    assert predicted.model["config"]["framework"] == "tensorflow"


def test_samples_of_dropout_and_views_are_those_of_the_model_itself(trained, simulated, tmp_path):
    model = trained.model
    table = pd.DataFrame({"id_str": ["g"], "file_loc": [str(simulated / "images" / "sim_000003.jpg")]})
    image, galaxy = read_image(table["file_loc"][0]), galaxy_hash("g", 0)

    def features(key):
        return model.encode(adjust(image, model.settings.adjustments, key)[None] / np.float32(255))

    masks = dropout_masks([galaxy], 2, 16, model.settings.dropout)[0]
    expected = {
        "dropout": [model.head(features(None) * masks[sample]) for sample in (0, 1)],
        "views": [model.head(features((0, sample, galaxy))) for sample in (0, 1)],
        "both": [model.head(features((0, sample, galaxy)) * masks[sample]) for sample in (0, 1)],
    }
    for sample_by, samples in expected.items():
        predict(trained.folder, table, tmp_path / sample_by, PredictSettings(samples=2, sample_by=sample_by))
        found = read_predictions(tmp_path / sample_by).concentrations[0]
        np.testing.assert_allclose(found, np.stack([sample[0] for sample in samples], axis=1), rtol=1e-4)


def test_goes_on_with_the_parts_that_are_there_and_lists_bad_images(trained, predicted, simulated, tmp_path):
    table = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str})
    table["file_loc"] = [str(simulated / file) for file in table["file_loc"]]
    table.loc[3, "file_loc"] = "nowhere.jpg"
    predict(trained.folder, table, tmp_path / "P", PARTS)
    parts = sorted((tmp_path / "P").glob("part-*.parquet"))
    kept = parts[0].stat().st_mtime_ns
    parts[1].unlink()
    result = predict(trained.folder, table, tmp_path / "P", PARTS)
    assert parts[0].stat().st_mtime_ns == kept
    assert (result.n_predicted, result.rejected["id_str"].tolist()) == (59, ["sim_000003"])
    expected = np.delete(predicted.concentrations, 3, axis=0)
    np.testing.assert_allclose(read_predictions(tmp_path / "P").concentrations, expected, rtol=1e-4)


def test_the_command_finds_the_framework_by_itself(trained, predicted, simulated, tmp_path, zoobot):
    done = zoobot("predict", trained.folder, simulated / "catalog.csv", "--output", tmp_path / "P")
    assert done.code == 0, done.err
    found = read_predictions(tmp_path / "P").concentrations
    np.testing.assert_allclose(found, predicted.concentrations, rtol=1e-4)


def test_what_is_of_pytorch_is_refused(trained, simulated, tmp_path):
    with pytest.raises(SettingError, match=r"--engine onnx is of PyTorch's models"):
        predict(trained.folder, simulated / "catalog.csv", tmp_path / "P", PredictSettings(engine="onnx"))
    with pytest.raises(SettingError, match=r"--device mps: Keras finds no such device on this machine. It has: cpu"):
        predict(trained.folder, simulated / "catalog.csv", tmp_path / "P", PredictSettings(device="mps"))


def test_only_the_folder_s_own_model_is_accepted(trained, simulated, tmp_path):
    some = pd.DataFrame({"id_str": ["g"], "file_loc": [str(simulated / "images" / "sim_000003.jpg")]})
    predict(trained.folder, some, tmp_path / "P", loaded=trained.model)
    other = ZoobotTree(trained.model.schema, KerasTrainSettings(**TINY))
    with pytest.raises(ModelError, match="given as 'loaded' is not that of"):
        predict(trained.folder, some, tmp_path / "Q", loaded=other)


def test_weights_that_are_missing(trained, simulated, tmp_path):
    shutil.copytree(trained.folder, tmp_path / "model")
    (tmp_path / "model" / "model.weights.h5").unlink()
    with pytest.raises(ModelError, match="missing or do not fit"):
        predict(tmp_path / "model", simulated / "catalog.csv", tmp_path / "P")
