import shutil

import numpy as np
import onnxruntime
import pytest
import torch

from zoobot.config import PredictSettings
from zoobot.errors import ModelError
from zoobot.pytorch.estimators import onnx_model
from zoobot.pytorch.estimators.onnx_model import export
from zoobot.pytorch.predictions.predict_on_catalog import predict
from zoobot.shared.predictions import read_predictions


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """A copy of the trained model's folder with its ONNX file, exported once."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    shutil.copytree(trained.folder, folder)
    done = export(folder)
    assert done.path == folder / "model.onnx"
    assert done.difference < 1e-4
    assert not list(folder.glob(".*"))
    return folder


def test_outputs_are_those_of_the_model_for_any_batch(trained, exported):
    session = onnxruntime.InferenceSession(exported / "model.onnx", providers=["CPUExecutionProvider"])
    for count in (1, 5):
        images = np.random.default_rng(0).integers(0, 256, (count, 1, 48, 48), np.uint8)
        features, concentrations = session.run(["features", "concentrations"], {"images": images})
        with torch.no_grad():
            np.testing.assert_allclose(concentrations, trained.model(torch.from_numpy(images)), rtol=1e-3)
        assert features.shape == (count, trained.model.head.linear.in_features)


@pytest.mark.parametrize(
    "chosen", [{}, {"samples": 3}, {"samples": 2, "sample_by": "both"}], ids=["central", "dropout", "both"]
)
def test_predictions_are_those_of_torch(exported, simulated, tmp_path, monkeypatch, chosen):
    runs = []
    run = onnx_model.OnnxEncoder.run
    monkeypatch.setattr(onnx_model.OnnxEncoder, "run", lambda self, images: runs.append(1) or run(self, images))
    for engine in ("auto", "torch"):
        predict(exported, simulated / "catalog.csv", tmp_path / engine, PredictSettings(engine=engine, **chosen))
    assert len(runs) == 1
    onnx, torchs = (read_predictions(tmp_path / engine).concentrations for engine in ("auto", "torch"))
    np.testing.assert_allclose(onnx, torchs, rtol=1e-3)


def test_file_of_other_weights_is_not_used(exported, trained, simulated, tmp_path, caplog):
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    other = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(other[:-4] + bytes(4))
    predict(folder, simulated / "catalog.csv", tmp_path / "P")
    assert "was made of other weights than" in caplog.text
    with pytest.raises(ModelError, match="was made of other weights than"):
        predict(folder, simulated / "catalog.csv", tmp_path / "Q", PredictSettings(engine="onnx"))
    with pytest.raises(ModelError, match=r"There is no '.*model\.onnx' for --engine onnx\. 'zoobot export"):
        predict(trained.folder, simulated / "catalog.csv", tmp_path / "R", PredictSettings(engine="onnx"))


def test_outputs_that_differ_are_not_written(trained, exported, tmp_path, monkeypatch, zoobot):
    monkeypatch.setattr(onnx_model, "_write", lambda model, path, checksum: shutil.copy(exported / "model.onnx", path))
    monkeypatch.setattr(onnx_model, "_compare", lambda *_: 0.5)
    failed = zoobot("export", trained.folder, "--output", tmp_path / "m.onnx")
    assert failed.code == 1
    assert "as ONNX differ from torch's by 5.0e-01 of their spread" in failed.err
    assert not list(tmp_path.iterdir())
